#include "kubernaut/net/http_server.hpp"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "kubernaut/async/signal.hpp"

// Raw sockets on a thread of their own speak to the server, so that no client library hides what is on the wire.
#include <future>
#include <thread>

namespace kn::net {
namespace {

using tcp = boost::asio::ip::tcp;

class CountingStream final : public BodyStream {
public:
    explicit CountingStream(int pieces, bool* destroyed) : pieces_(pieces), destroyed_(destroyed) {}
    ~CountingStream() override { *destroyed_ = true; }
    Task<std::optional<std::string>> next() override {
        co_await async::yield();
        if (pieces_ == 0) co_return std::nullopt;
        if (pieces_ > 0) --pieces_;
        co_return "piece;";
    }

private:
    int pieces_;
    bool* destroyed_;
};

class HttpServerTest : public ::testing::Test {
protected:
    void serve(ServerOptions options) {
        server = std::make_unique<HttpServer>(*loop, std::move(options), [this](HttpRequest request) { return answer(std::move(request)); });
        ASSERT_TRUE(server->start());
    }
    Task<HttpResponse> answer(HttpRequest request) {
        seen = request;
        HttpResponse response;
        response.content_type = "text/plain";
        response.body = "path=" + request.path + " body=" + std::to_string(request.body.size());
        if (request.path == "/stream") response.stream = std::make_unique<CountingStream>(3, &stream_destroyed);
        if (request.path == "/endless") response.stream = std::make_unique<CountingStream>(-1, &stream_destroyed);
        co_return response;
    }
    /// Sends `request`, reads until the other side closes or `until` has come; the loop runs meanwhile.
    std::string exchange(const std::string& request, const std::string& until = "") {
        auto reply = std::async(std::launch::async, [&, port = server->port()] {
            boost::asio::io_context context;
            tcp::socket socket(context);
            socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
            boost::system::error_code ec;
            boost::asio::write(socket, boost::asio::buffer(request), ec);
            std::string text;
            char buffer[4096];
            while (until.empty() || text.find(until) == std::string::npos) {
                const auto n = socket.read_some(boost::asio::buffer(buffer), ec);
                if (ec) break;
                text.append(buffer, n);
            }
            boost::asio::post(loop->context(), [] {});  // the waiting loop looks again
            return text;
        });
        loop->run_until([&] { return reply.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }, 2s);
        return reply.get();
    }
    void TearDown() override {
        if (server != nullptr) loop->block_on(server->stop(100ms));
    }
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
    std::unique_ptr<HttpServer> server;
    HttpRequest seen;
    bool stream_destroyed = false;
};

TEST_F(HttpServerTest, DecodesPathQueryAndHeaders) {
    serve({});
    const auto reply = exchange("GET /a%2Fb/c?x=1+2&y=%26&flag HTTP/1.1\r\nHost: h\r\nX-Thing: V\r\nConnection: close\r\n\r\n");
    EXPECT_NE(reply.find("200 OK"), std::string::npos) << reply;
    EXPECT_EQ(seen.path, "/a/b/c");
    EXPECT_EQ(seen.param("x"), "1 2");
    EXPECT_EQ(seen.param("y"), "&");
    EXPECT_EQ(seen.header("x-thing"), "V");
    EXPECT_TRUE(seen.loopback);
}

TEST_F(HttpServerTest, KeepsTheConnectionForTheNextRequest) {
    serve({});
    const auto reply = exchange("GET /one HTTP/1.1\r\nHost: h\r\n\r\nGET /two HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_NE(reply.find("path=/one"), std::string::npos);
    EXPECT_NE(reply.find("path=/two"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesBodiesOverTheLimitWith413AndHugeHeadersWith431) {
    serve({.body_limit = 1000});
    EXPECT_NE(exchange("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'x')).find("413"), std::string::npos);
    EXPECT_NE(exchange("GET / HTTP/1.1\r\nHost: h\r\nX: " + std::string(100'000, 'x') + "\r\n\r\n").find("431"), std::string::npos);
}

TEST_F(HttpServerTest, AnswersNonsenseWith400) {
    serve({});
    EXPECT_NE(exchange("nonsense\r\n\r\n").find("400"), std::string::npos);
}

TEST_F(HttpServerTest, StreamsInChunksToTheEnd) {
    serve({});
    const auto reply = exchange("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n");
    EXPECT_NE(reply.find("Transfer-Encoding: chunked"), std::string::npos) << reply;
    EXPECT_NE(reply.find("6\r\npiece;\r\n6\r\npiece;\r\n6\r\npiece;\r\n0\r\n\r\n"), std::string::npos) << reply;
    EXPECT_TRUE(stream_destroyed);
}

TEST_F(HttpServerTest, AReaderThatGoesAwayEndsItsStream) {
    serve({});
    exchange("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n", "piece;");
    EXPECT_TRUE(loop->run_until([&] { return stream_destroyed; }, 20s));
}

TEST_F(HttpServerTest, StopEndsOpenStreamsAndAnswersInFlight) {
    serve({});
    std::thread reader([port = server->port()] {
        boost::asio::io_context context;
        tcp::socket socket(context);
        socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
        boost::asio::write(socket, boost::asio::buffer(std::string("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n")));
        boost::system::error_code ec;
        std::string text;
        boost::asio::read(socket, boost::asio::dynamic_buffer(text), ec);
    });
    loop->run_until([&] { return seen.path == "/endless"; }, 20s);
    loop->block_on(server->stop(50ms));
    reader.join();
    EXPECT_TRUE(stream_destroyed);
}

TEST_F(HttpServerTest, APortInUseIsAnErrorThatSaysSo) {
    serve({});
    HttpServer second(*loop, {.listen = "127.0.0.1:" + std::to_string(server->port())},
                      [](HttpRequest) -> Task<HttpResponse> { co_return HttpResponse{}; });
    const auto started = second.start();
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().message.find("another process has the port"), std::string::npos);
}

TEST(SplitAddress, KnowsHostsPortsAndMistakes) {
    EXPECT_EQ(split_address("[::1]:80").value(), std::pair(std::string("::1"), std::uint16_t{80}));
    EXPECT_EQ(split_address(":8080").value().first, "0.0.0.0");
    for (const char* bad : {"", "8080", "host:", "host:x", "host:99999"}) EXPECT_FALSE(split_address(bad)) << bad;
}

}  // namespace
}  // namespace kn::net
