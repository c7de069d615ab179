#include "kubernaut/notify/courier.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "kubernaut/base/hash.hpp"

namespace kn::notify {
namespace {

/// Takes one mail the way RFC 5321 wants it and keeps what was said.
class SmtpServer {
public:
    SmtpServer() {
        listener_ = socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 1) != 0 ||
            getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            ADD_FAILURE() << "no port";
        }
        port = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~SmtpServer() {
        shutdown(listener_, SHUT_RDWR);
        thread_.join();
        close(listener_);
    }
    int port = 0;
    std::string said;
    std::string greeting = "220 test\r\n";

private:
    void serve() {
        const int peer = accept(listener_, nullptr, nullptr);
        if (peer < 0) return;
        answer(peer, greeting);
        std::string line;
        bool data = false;
        char c = 0;
        while (recv(peer, &c, 1, 0) == 1) {
            said += c;
            line += c;
            if (c != '\n') continue;
            if (data) {
                if (line == ".\r\n") data = false, answer(peer, "250 taken\r\n");
            } else if (line.starts_with("EHLO")) {
                answer(peer, "250-test\r\n250 8BITMIME\r\n");
            } else if (line.starts_with("DATA")) {
                data = true;
                answer(peer, "354 go on\r\n");
            } else if (line.starts_with("QUIT")) {
                answer(peer, "221 bye\r\n");
                break;
            } else {
                answer(peer, "250 ok\r\n");
            }
            line.clear();
        }
        close(peer);
    }
    static void answer(int peer, const std::string& text) { (void)send(peer, text.data(), text.size(), MSG_NOSIGNAL); }
    int listener_ = -1;
    std::thread thread_;
};

Envelope an_envelope() {
    return {.messages = {{.kind = "incident_escalated",
                          .key = "inc_1 incident_escalated 3",
                          .cluster = ClusterId("eu1"),
                          .ns = "shop",
                          .title = "cart is broken",
                          .text = "nothing helped",
                          .severity = Severity::critical}},
            .key = "inc_1 incident_escalated 3",
            .at = from_millis(1'790'000'000'000)};
}

TEST(MailCourier, HandsTheMessageToAServer) {
    const auto loop = async::EventLoop::real();
    auto server = std::make_unique<SmtpServer>();
    const auto courier = make_mail_courier({.url = "smtp://127.0.0.1:" + std::to_string(server->port),
                                            .from = "hub@example.org",
                                            .user = {},
                                            .password = {},
                                            .to = {"a@example.org", "b@example.org"},
                                            .plain = true});
    const auto done = loop->block_on(courier->deliver(an_envelope(), loop->clock().deadline_in(20s)));
    ASSERT_TRUE(done) << done.error().describe();
    courier->stop();
    const std::string& said = server->said;
    EXPECT_NE(said.find("MAIL FROM:<hub@example.org>"), std::string::npos) << said;
    EXPECT_NE(said.find("RCPT TO:<a@example.org>"), std::string::npos);
    EXPECT_NE(said.find("RCPT TO:<b@example.org>"), std::string::npos);
    EXPECT_NE(said.find("Subject: [kubernaut critical] cart is broken"), std::string::npos);
}

TEST(MailCourier, DoesNotGoOnWithoutEncryptionUnlessItMay) {
    const auto loop = async::EventLoop::real();
    auto server = std::make_unique<SmtpServer>();
    const auto courier = make_mail_courier({.url = "smtp://127.0.0.1:" + std::to_string(server->port),
                                            .from = "hub@example.org",
                                            .user = "u",
                                            .password = "secret",
                                            .to = {"a@example.org"}});
    const auto done = loop->block_on(courier->deliver(an_envelope(), loop->clock().deadline_in(20s)));
    EXPECT_FALSE(done);
    courier->stop();
    server.reset();
}

/// Keeps the request and answers what it is told.
class FakeTransport final : public kube::Transport {
public:
    async::Task<Result<kube::Response>> send(kube::Request request, Deadline) override {
        last = std::move(request);
        co_return answer;
    }
    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request, Deadline) override { co_return fail(ErrorCode::unavailable, "no"); }
    kube::Request last;
    kube::Response answer{.status = 200, .content_type = {}, .headers = {}, .body = {}};
};

TEST(HttpCourier, SignsAWebhookKeepsTheQueryAndTellsTheAnswer) {
    const auto loop = async::EventLoop::simulated(from_millis(1'790'000'000'000));
    const auto transport = std::make_shared<FakeTransport>();
    const auto courier = make_http_courier({.type = "webhook", .path = "/hook?key=a%20b&x=1", .secret = "s"}, transport);
    const auto deliver = [&] { return loop->block_on(courier->deliver(an_envelope(), loop->clock().deadline_in(5s))); };
    ASSERT_TRUE(deliver());
    EXPECT_EQ(transport->last.path, "/hook");
    EXPECT_EQ(transport->last.query, (std::vector<std::pair<std::string, std::string>>{{"key", "a b"}, {"x", "1"}}));
    const auto header = [&](std::string_view name) {
        for (const auto& [key, value] : transport->last.headers) {
            if (key == name) return value;
        }
        return std::string();
    };
    EXPECT_EQ(header("Idempotency-Key"), "inc_1 incident_escalated 3");
    EXPECT_EQ(header("X-Kubernaut-Signature"), "sha256=" + to_hex(hmac_sha256("s", header("X-Kubernaut-Timestamp") + "." + transport->last.body)));
    transport->answer.status = 500;
    EXPECT_EQ(deliver().error().code, ErrorCode::unavailable);
    transport->answer.status = 429;
    transport->answer.headers = {{"retry-after", "30"}};
    EXPECT_EQ(deliver().error().retry_after, 30s);
    transport->answer.status = 404;
    EXPECT_FALSE(deliver());
}

}  // namespace
}  // namespace kn::notify
