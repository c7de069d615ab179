#include "kubernaut/kube_http/http_transport.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/kube/client.hpp"
#include "test_server.hpp"

namespace kn::kube {
namespace {

using http::Connection;
using http::SeenRequest;
using http::TestPki;
using http::TestServer;

/// Something that another thread waits for.
class Gate {
public:
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    bool wait(std::chrono::milliseconds limit = 60s) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

Request get_request(std::string path = "/api/v1/pods") { return {.path = std::move(path)}; }
Request patch_request() {
    return {.method = Method::patch, .path = "/api/v1/namespaces/a/pods/p", .content_type = "application/merge-patch+json", .body = R"({"a":1})"};
}

class HttpTransportTest : public testing::Test {
protected:
    std::shared_ptr<Transport> connect(const std::string& url, ConnectionConfig config = {}, HttpOptions options = {}) {
        config.server = url;
        return make_http_transport(std::move(config), std::move(options), *loop);
    }
    Result<Response> send(const std::shared_ptr<Transport>& transport, Request request, Duration limit = 60s) {
        return loop->block_on(transport->send(std::move(request), loop->clock().deadline_in(limit)));
    }
    Result<std::unique_ptr<Stream>> open(const std::shared_ptr<Transport>& transport) {
        return loop->block_on(transport->open(get_request("/api/v1/pods"), loop->clock().deadline_in(60s)));
    }
    Result<std::optional<std::string>> next(Stream& stream, Duration limit = 60s) {
        return loop->block_on(stream.next(loop->clock().deadline_in(limit)));
    }
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
};

TEST_F(HttpTransportTest, GivesStatusHeadersAndBodyOfAnyAnswer) {
    TestServer server([](Connection& c, const SeenRequest& r) {
        const int status = std::stoi(r.target.substr(1));
        c.answer(status, "{\"code\":" + std::to_string(status) + "}", "Retry-After: 7\r\nWarning: 299 - \"old\"\r\n");
        return true;
    });
    const auto transport = connect(server.url());
    for (const int status : {200, 201, 404, 409, 429, 500, 503}) {
        const auto answer = send(transport, get_request("/" + std::to_string(status)));
        ASSERT_TRUE(answer) << answer.error().describe();
        EXPECT_EQ(answer->status, status);
        EXPECT_EQ(answer->body, "{\"code\":" + std::to_string(status) + "}");
        EXPECT_EQ(answer->content_type, "application/json");
        EXPECT_EQ(answer->header("retry-after"), "7");
        EXPECT_EQ(answer->warnings(), std::vector<std::string>{"old"});
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST_F(HttpTransportTest, SendsMethodTargetHeadersAndBody) {
    TestServer server([](Connection& c, const SeenRequest&) { return c.answer(200, "{}"), true; });
    const auto transport = connect(server.url() + "/prefix", {.token = "t0", .impersonate_user = "bob"});
    auto request = patch_request();
    request.query = {{"dryRun", "All"}};
    request.headers = {{"X-Extra", "1"}};
    ASSERT_TRUE(send(transport, request));
    ASSERT_TRUE(send(transport, get_request()));
    const auto seen = server.seen();
    EXPECT_EQ(seen[0].method, "PATCH");
    EXPECT_EQ(seen[0].target, "/prefix/api/v1/namespaces/a/pods/p?dryRun=All");
    EXPECT_EQ(seen[0].body, R"({"a":1})");
    EXPECT_EQ(seen[0].headers.at("content-type"), "application/merge-patch+json");
    EXPECT_EQ(seen[0].headers.at("authorization"), "Bearer t0");
    EXPECT_EQ(seen[0].headers.at("impersonate-user"), "bob");
    EXPECT_EQ(seen[0].headers.at("x-extra"), "1");
    EXPECT_FALSE(seen[0].headers.contains("expect"));
    EXPECT_FALSE(seen[1].headers.contains("content-type"));
}

TEST_F(HttpTransportTest, UnpacksGzip) {
    static constexpr unsigned char packed[] = {0x1f, 0x8b, 8, 0, 0,    0,    0,    0,    2, 3, 0xcb, 0x48, 0xcd,
                                               0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0,    0};
    TestServer server([](Connection& c, const SeenRequest&) {
        return c.answer(200, std::string_view(reinterpret_cast<const char*>(packed), sizeof packed), "Content-Encoding: gzip\r\n"), true;
    });
    EXPECT_EQ(send(connect(server.url(), {}, {.compression = true}), get_request()).value().body, "hello");
    EXPECT_EQ(server.seen()[0].headers.at("accept-encoding"), "gzip");
    (void)send(connect(server.url()), get_request());
    EXPECT_FALSE(server.seen()[1].headers.contains("accept-encoding")) << "not worth it on one machine";
}

TEST_F(HttpTransportTest, RefusedConnectionsAndUnknownNamesAreProvablyNotApplied) {
    for (const auto& url : {"http://127.0.0.1:" + std::to_string(http::unused_port()), std::string("http://no-such-host.invalid:1")}) {
        const auto answer = send(connect(url), patch_request());
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, ErrorCode::unavailable) << answer.error().describe();
        EXPECT_EQ(answer.error().applied, Applied::no) << answer.error().describe();
    }
}

TEST_F(HttpTransportTest, AWriteThatGotNoAnswerMayBeApplied) {
    TestServer server([](Connection& c, const SeenRequest&) { return c.reset(), false; });
    const auto answer = send(connect(server.url()), patch_request());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
    EXPECT_EQ(answer.error().applied, Applied::maybe);
    EXPECT_EQ(server.seen().size(), 1U);
}

TEST_F(HttpTransportTest, AWriteNeverLeavesTwiceOnABrokenReusedConnection) {
    TestServer server([](Connection& c, const SeenRequest& r) {
        if (r.method == "PATCH") return false;  // read, perhaps applied, and gone
        return c.answer(200, "{}"), true;
    });
    const auto transport = connect(server.url());
    ASSERT_TRUE(send(transport, get_request()));
    const auto answer = send(transport, patch_request());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().applied, Applied::maybe);
    EXPECT_EQ(std::ranges::count(server.seen(), "PATCH", &SeenRequest::method), 1);
}

TEST_F(HttpTransportTest, TheDeadlineEndsASilentExchange) {
    Gate done;
    TestServer server([&](Connection&, const SeenRequest&) { return done.wait(), false; });
    const auto transport = connect(server.url());
    const auto started = loop->clock().steady();
    const auto read = send(transport, get_request(), 1s);
    EXPECT_EQ(read.error().code, ErrorCode::deadline_exceeded);
    EXPECT_EQ(read.error().applied, Applied::no);
    const auto write = send(transport, patch_request(), 2s);
    EXPECT_EQ(write.error().code, ErrorCode::deadline_exceeded);
    EXPECT_EQ(write.error().applied, Applied::maybe);
    EXPECT_LT(loop->clock().steady() - started, 30s);
    EXPECT_EQ(server.connections(), 2) << "after a silent timeout a fresh connection is used";
    done.open();
}

TEST_F(HttpTransportTest, AWriteThatTimesOutBeforeItLeavesIsNotApplied) {
    Gate done;
    TestServer server([&](Connection&, const SeenRequest&) { return false; });  // plain HTTP: never answers a TLS hello before it has a whole head
    const auto write = send(connect("https://127.0.0.1:" + std::to_string(server.port())), patch_request(), 300ms);
    EXPECT_EQ(write.error().code, ErrorCode::deadline_exceeded) << write.error().describe();
    EXPECT_EQ(write.error().applied, Applied::no);
    EXPECT_TRUE(server.seen().empty());
}

async::Task<> send_and_forget(std::shared_ptr<Transport> transport, async::Clock& clock, bool& ended) {
    (void)co_await transport->send(get_request(), clock.deadline_in(60s));
    ended = true;
}

TEST_F(HttpTransportTest, CancellationTakesTheTransferBack) {
    Gate arrived, closed;
    TestServer server([&](Connection& c, const SeenRequest&) {
        arrived.open();
        if (c.wait_for_close(60'000)) closed.open();
        return false;
    });
    const auto transport = connect(server.url());
    bool ended = false;
    async::TaskScope scope(loop->executor());
    scope.spawn("sender", send_and_forget(transport, loop->clock(), ended));
    for (int i = 0; i < 10000 && !arrived.wait(0ms); ++i) loop->run_for(5ms);
    ASSERT_TRUE(arrived.wait(0ms));
    scope.cancel();
    loop->block_on(scope.join());
    EXPECT_FALSE(ended);
    EXPECT_TRUE(closed.wait()) << "the server sees the connection go";
}

async::Task<> send_counted(std::shared_ptr<Transport> transport, async::Clock& clock, int& good) {
    const auto answer = co_await transport->send(get_request(), clock.deadline_in(60s));
    good += answer && answer->status == 200 ? 1 : 0;
}

TEST_F(HttpTransportTest, RequestsRunSideBySideWithinThePool) {
    std::atomic<int> inside = 0;
    Gate four;
    TestServer server([&](Connection& c, const SeenRequest&) {
        if (++inside >= 4) four.open();
        const bool together = four.wait(30s);  // nobody is answered before four are here at once
        return c.answer(together ? 200 : 500, "{}"), true;
    });
    const auto transport = connect(server.url(), {}, {.max_connections = 1});  // less than four is not taken
    int good = 0;
    async::TaskScope scope(loop->executor());
    for (int i = 0; i < 20; ++i) scope.spawn("sender", send_counted(transport, loop->clock(), good));
    loop->block_on(scope.join());
    EXPECT_EQ(good, 20);
    EXPECT_LE(server.connections(), 4 + 2);
}

TEST_F(HttpTransportTest, AnAnswerLargerThanTheLimitIsRefused) {
    TestServer server([](Connection& c, const SeenRequest&) { return c.answer(200, std::string(100'000, 'x')), true; });
    const auto answer = send(connect(server.url(), {}, {.max_response_bytes = 50'000}), get_request());
    EXPECT_EQ(answer.error().code, ErrorCode::resource_exhausted);
}

TEST_F(HttpTransportTest, StreamsEventsAndEndsCleanly) {
    Gate go;
    TestServer server([&](Connection& c, const SeenRequest&) {
        c.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        go.wait();
        c.send("6\r\n world\r\n0\r\n\r\n");
        return true;
    });
    auto stream = open(connect(server.url()));  // the stream outlives the transport
    ASSERT_TRUE(stream) << stream.error().describe();
    EXPECT_EQ((*stream)->head().status, 200);
    EXPECT_EQ(next(**stream).value(), "hello");
    EXPECT_EQ(next(**stream, 50ms).error().code, ErrorCode::deadline_exceeded) << "silence leaves the stream usable";
    go.open();
    EXPECT_EQ(next(**stream).value(), " world");
    EXPECT_EQ(next(**stream).value(), std::nullopt);
    EXPECT_EQ(next(**stream).value(), std::nullopt);
}

TEST_F(HttpTransportTest, AStreamThatIsCutInAChunkEndsWithAnErrorAfterItsBytes) {
    TestServer server([&](Connection& c, const SeenRequest&) {
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nff\r\nhalf");
        return false;
    });
    auto stream = open(connect(server.url()));
    ASSERT_TRUE(stream);
    std::string all;
    Result<std::optional<std::string>> bytes = next(**stream);
    while (bytes && *bytes) {
        all += **bytes;
        bytes = next(**stream);
    }
    EXPECT_EQ(all, "hellohalf");
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::unavailable);
}

TEST_F(HttpTransportTest, ARefusedStreamGivesItsHeadAndBody) {
    TestServer server([](Connection& c, const SeenRequest&) { return c.answer(403, R"({"kind":"Status","code":403,"reason":"Forbidden"})"), true; });
    Client client(connect(server.url()), loop->clock());
    const auto refused = loop->block_on(client.watch(resources::pods, "", {}, "", 10, loop->clock().deadline_in(10s)));
    EXPECT_EQ(refused.error().reason, "Forbidden");
}

TEST_F(HttpTransportTest, ASlowReaderPausesTheStreamAndLosesNothing) {
    constexpr std::size_t chunks = 400, chunk = 50'000;
    TestServer server([&](Connection& c, const SeenRequest&) {
        c.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(chunks * chunk) + "\r\n\r\n");
        for (std::size_t i = 0; i < chunks; ++i) c.send(std::string(chunk, static_cast<char>('a' + i % 26)));
        return true;
    });
    auto stream = open(connect(server.url(), {}, {.max_stream_backlog = 100'000}));
    ASSERT_TRUE(stream);
    loop->run_for(100ms);  // unread: the backlog fills
    std::size_t total = 0;
    bool in_order = true;
    while (true) {
        const auto bytes = next(**stream);
        ASSERT_TRUE(bytes) << bytes.error().describe();
        if (!*bytes) break;
        EXPECT_LT((*bytes)->size(), 400'000U);
        for (const char c : **bytes) in_order = in_order && c == static_cast<char>('a' + total++ / chunk % 26);
    }
    EXPECT_EQ(total, chunks * chunk);
    EXPECT_TRUE(in_order);
}

TEST_F(HttpTransportTest, DroppingAStreamClosesIt) {
    Gate closed;
    TestServer server([&](Connection& c, const SeenRequest&) {
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        if (c.wait_for_close(60'000)) closed.open();
        return false;
    });
    const auto transport = connect(server.url());
    {
        auto stream = open(transport);
        ASSERT_TRUE(stream);
    }
    EXPECT_TRUE(closed.wait());
}

TEST_F(HttpTransportTest, GoesThroughTheProxyAndHidesItsPassword) {
    TestServer proxy([](Connection& c, const SeenRequest&) { return c.answer(200, "{}"), true; });
    const std::string address = "127.0.0.1:" + std::to_string(proxy.port());
    ASSERT_TRUE(send(connect("http://cluster.test.example:8080", {.proxy_url = "http://user:hidden@" + address}), get_request()));
    EXPECT_EQ(proxy.seen()[0].target, "http://cluster.test.example:8080/api/v1/pods");
    EXPECT_TRUE(proxy.seen()[0].headers.contains("proxy-authorization"));
    for (const auto* bad : {"http://user:hidden@127.0.0.1:1", "nonsense://user:hidden@127.0.0.1:1", "http://user:hidden@[::"}) {
        const auto failed = send(connect("http://cluster.test.example:8080", {.proxy_url = bad}), patch_request());
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().describe().find("hidden"), std::string::npos) << failed.error().describe();
        EXPECT_EQ(failed.error().applied, Applied::no);
    }
}

class TlsTest : public HttpTransportTest {
protected:
    static bool ok(Connection& c, const SeenRequest&) { return c.answer(200, "{}"), true; }
    static ConnectionConfig config() { return {.ca_pem = TestPki::instance().ca_cert, .tls_server_name = "api.test.example"}; }
};

TEST_F(TlsTest, TrustsTheGivenAuthorityAndTheGivenName) {
    TestServer server(ok, TestServer::Tls::server);
    const auto answer = send(connect(server.url(), config()), get_request());
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_EQ(server.seen()[0].headers.at("host"), "127.0.0.1:" + std::to_string(server.port()));
}

TEST_F(TlsTest, RefusesAnUnknownAuthorityAndAWrongNameBeforeAnythingIsSent) {
    TestServer server(ok, TestServer::Tls::server);
    auto wrong_name = config();
    wrong_name.tls_server_name = "other.test.example";
    for (const auto& refused : {ConnectionConfig{.tls_server_name = "api.test.example"}, wrong_name}) {
        const auto answer = send(connect(server.url(), refused), patch_request());
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated) << answer.error().describe();
        EXPECT_EQ(answer.error().applied, Applied::no);
    }
    EXPECT_TRUE(server.seen().empty());
    EXPECT_TRUE(send(connect(server.url(), {.insecure_skip_tls_verify = true}), get_request()));
}

TEST_F(TlsTest, ShowsTheClientCertificate) {
    TestServer server(ok, TestServer::Tls::mutual);
    auto with = config();
    with.client_cert_pem = TestPki::instance().client_cert;
    with.client_key_pem = TestPki::instance().client_key;
    const auto good = send(connect(server.url(), with), get_request());
    EXPECT_TRUE(good) << good.error().describe();
    EXPECT_FALSE(send(connect(server.url(), config()), get_request()));
}

TEST_F(TlsTest, AHandshakeThatBreaksIsNotApplied) {
    TestServer tls(ok, TestServer::Tls::server);
    auto old = config();
    old.ca_pem = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
    const auto before = send(connect(tls.url(), old), patch_request());
    ASSERT_FALSE(before);
    EXPECT_EQ(before.error().applied, Applied::no) << before.error().describe();
    EXPECT_TRUE(tls.seen().empty());
}

class Folder {
public:
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "kn-http-XXXXXX").string();
        path_ = ::mkdtemp(pattern.data());
    }
    ~Folder() { std::filesystem::remove_all(path_); }
    std::string write(const std::string& name, std::string_view text) const {
        // As a kubelet does it: a new file moved over the old one.
        std::ofstream(path_ + "/new") << text;
        std::filesystem::rename(path_ + "/new", path_ + "/" + name);
        return path_ + "/" + name;
    }
    std::string script(const std::string& name, std::string_view body) const {
        const auto path = write(name, "#!/bin/sh\n" + std::string(body) + "\n");
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path;
    }
    [[nodiscard]] std::string lines(const std::string& name) const {
        std::ifstream in(path_ + "/" + name);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

/// 200 for one token, 401 for all others.
class GuardedServer {
public:
    void allow(std::string token) {
        const std::lock_guard lock(mutex_);
        allowed_ = "Bearer " + token;
    }
    TestServer server{[this](Connection& c, const SeenRequest& r) {
        const std::lock_guard lock(mutex_);
        const auto found = r.headers.find("authorization");
        const bool good = found != r.headers.end() && found->second == allowed_;
        return c.answer(good ? 200 : 401, "{}"), true;
    }};

private:
    std::mutex mutex_;
    std::string allowed_;
};

TEST_F(HttpTransportTest, ARotatedTokenFileIsReadAgainAfterA401AndTheRequestReplayedOnce) {
    const Folder folder;
    GuardedServer guarded;
    guarded.allow("one");
    const auto transport = connect(guarded.server.url(), {.token_file = folder.write("token", "one\n")});
    EXPECT_EQ(send(transport, get_request()).value().status, 200);
    guarded.allow("two");
    folder.write("token", "two\n");
    EXPECT_EQ(send(transport, patch_request()).value().status, 200);
    EXPECT_EQ(guarded.server.seen().size(), 3U);
    guarded.allow("three");
    EXPECT_EQ(send(transport, patch_request()).value().status, 401) << "the same token is not tried twice";
    EXPECT_EQ(guarded.server.seen().size(), 4U);
    folder.write("token", "three\n");
    EXPECT_EQ(loop->block_on(transport->open(get_request(), loop->clock().deadline_in(5s))).value()->head().status, 200);
}

TEST_F(HttpTransportTest, TheTokenFileIsReadAgainAfterItsInterval) {
    const Folder folder;
    GuardedServer guarded;
    guarded.allow("two");
    const auto transport = connect(guarded.server.url(), {.token_file = folder.write("token", "one")}, {.file_reread = 1ms});
    EXPECT_EQ(send(transport, get_request()).value().status, 401);
    folder.write("token", "two");
    loop->run_for(5ms);
    EXPECT_EQ(send(transport, get_request()).value().status, 200);
    std::filesystem::remove(folder.path() + "/token");
    loop->run_for(5ms);
    EXPECT_EQ(send(transport, get_request()).value().status, 200) << "a file that is away for a moment keeps its last content";
}

TEST_F(HttpTransportTest, AMissingTokenFileAndATokenWithALineBreakAreErrorsWithoutTheToken) {
    EXPECT_EQ(send(connect("http://127.0.0.1:1", {.token_file = "/nonexistent/token"}), get_request()).error().code, ErrorCode::unauthenticated);
    const auto broken = send(connect("http://127.0.0.1:1", {.token = "secret\r\nX-Evil: 1"}), get_request());
    EXPECT_EQ(broken.error().code, ErrorCode::unauthenticated);
    EXPECT_EQ(broken.error().describe().find("secret"), std::string::npos);
}

class ExecTest : public HttpTransportTest {
protected:
    ConnectionConfig with(const std::string& body, bool cluster_info = false) {
        ExecCredential exec{.api_version = "client.authentication.k8s.io/v1",
                            .command = folder.script("plugin", body),
                            .args = {"a b", "$(touch evil)"},
                            .env = {{"COUNT_FILE", folder.path() + "/runs"}},
                            .provide_cluster_info = cluster_info};
        return {.context = "test", .exec = exec};
    }
    static std::string credential(std::string_view token, std::string_view extra = {}) {
        return R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{"token":")" + std::string(token) + "\"" +
               std::string(extra) + "}}'";
    }
    [[nodiscard]] long runs() const { return std::ranges::count(folder.lines("runs"), '\n'); }
    const Folder folder;
    GuardedServer guarded;
};

TEST_F(ExecTest, ManyRequestsShareOneRunAndItsCachedToken) {
    guarded.allow("t1");
    const auto transport = connect(guarded.server.url(), with("echo \"$# $1 $2 $KUBERNETES_EXEC_INFO\" >> $COUNT_FILE; " + credential("t1"), true));
    int good = 0;
    async::TaskScope scope(loop->executor());
    for (int i = 0; i < 10; ++i) scope.spawn("sender", send_counted(transport, loop->clock(), good));
    loop->block_on(scope.join());
    EXPECT_EQ(good, 10);
    EXPECT_EQ(send(transport, get_request()).value().status, 200);
    EXPECT_EQ(runs(), 1);
    const auto line = folder.lines("runs");
    EXPECT_NE(line.find("2 a b $(touch evil) "), std::string::npos) << line;
    EXPECT_NE(line.find(R"("server":")" + guarded.server.url()), std::string::npos) << line;
}

TEST_F(ExecTest, A401RunsThePlugInAgainAndReplaysTheRequest) {
    guarded.allow("t1");
    const auto transport = connect(
        guarded.server.url(),
        with("echo run >> $COUNT_FILE; n=$(wc -l < $COUNT_FILE); " +
             std::string(
                 R"(echo "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"t$((n))\"}}")")),
        {.exec_retry_pause = 0ms});
    EXPECT_EQ(send(transport, patch_request()).value().status, 200);
    guarded.allow("t2");
    EXPECT_EQ(send(transport, patch_request()).value().status, 200);
    EXPECT_EQ(runs(), 2);
    EXPECT_EQ(guarded.server.seen().size(), 3U);
}

TEST_F(ExecTest, ACredentialIsRenewedAtEightyPercentOfItsLifeWhileInUse) {
    guarded.allow("t1");
    // A life of about 3 s (whole seconds): aging after more than one of them.
    const auto transport = connect(
        guarded.server.url(),
        with(
            "echo run >> $COUNT_FILE; e=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ); " +
            std::string(
                R"(echo "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":{\"token\":\"t1\",\"expirationTimestamp\":\"$e\"}}")")));
    EXPECT_EQ(send(transport, get_request()).value().status, 200);
    const auto renewed = [&] {
        EXPECT_EQ(send(transport, get_request()).value().status, 200);
        return runs() >= 2;
    };
    for (int i = 0; i < 60 && !renewed(); ++i) loop->run_for(100ms);
    EXPECT_GE(runs(), 2);
    EXPECT_EQ(std::ranges::count(guarded.server.seen(), "Bearer t1", [](const SeenRequest& r) { return r.headers.at("authorization"); }),
              static_cast<long>(guarded.server.seen().size()));
}

TEST_F(ExecTest, APlugInThatHangsFloodsFailsOrTalksNonsenseIsAnErrorWithoutSecrets) {
    struct Case {
        std::string body;
        ErrorCode code;
        std::string message;
        Duration timeout = 60s;
    };
    const std::vector<Case> cases = {
        {"sleep 300 & sleep 300", ErrorCode::deadline_exceeded, "did not end", 300ms},
        {"while :; do echo secretsecretsecretsecretsecretsecret; done", ErrorCode::resource_exhausted, "more than"},
        {"echo 'login first: eyJhbGciOiJSUzI1NiIsImtpZCI6InNlY3JldCJ9' >&2; exit 3", ErrorCode::unauthenticated, "code 3: login first: [redacted]"},
        {"echo secretsecret", ErrorCode::unauthenticated, "not JSON"},
        {R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"secretsecret"}}')",
         ErrorCode::unauthenticated, "not an ExecCredential"},
        {R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{}}')", ErrorCode::unauthenticated,
         "no credential"},
        {"kill -9 $$", ErrorCode::unavailable, "signal 9"},
    };
    for (const auto& c : cases) {
        const auto answer = send(connect(guarded.server.url(), with(c.body), {.exec_timeout = c.timeout}), get_request());
        ASSERT_FALSE(answer) << c.body;
        EXPECT_EQ(answer.error().code, c.code) << answer.error().describe();
        EXPECT_NE(answer.error().message.find(c.message), std::string::npos) << answer.error().describe();
        EXPECT_EQ(answer.error().describe().find("secret"), std::string::npos) << answer.error().describe();
        EXPECT_EQ(answer.error().describe().find("eyJ"), std::string::npos);
    }
    ConnectionConfig missing{.exec = ExecCredential{.api_version = "client.authentication.k8s.io/v1", .command = "/nonexistent/plugin"}};
    EXPECT_FALSE(send(connect(guarded.server.url(), missing), get_request()));
    EXPECT_TRUE(guarded.server.seen().empty());
}

TEST_F(ExecTest, AFailedRunIsNotRepeatedForEveryRequest) {
    const auto transport = connect(guarded.server.url(), with("echo run >> $COUNT_FILE; exit 1"), {.exec_retry_pause = 600s});
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(send(transport, get_request()));
    EXPECT_EQ(runs(), 1);
}

TEST_F(ExecTest, APlugInThatLeavesAChildBehindIsNotWaitedFor) {
    guarded.allow("t1");
    const auto started = loop->clock().steady();
    EXPECT_EQ(send(connect(guarded.server.url(), with("sleep 300 & " + credential("t1"))), get_request()).value().status, 200);
    EXPECT_LT(loop->clock().steady() - started, 60s);
}

TEST_F(ExecTest, ThePlugInMayGiveAClientCertificate) {
    TestServer server([](Connection& c, const SeenRequest&) { return c.answer(200, "{}"), true; }, TestServer::Tls::mutual);
    const auto& pki = TestPki::instance();
    json::Object status{{"clientCertificateData", pki.client_cert}, {"clientKeyData", pki.client_key}};
    json::Object answer{{"kind", "ExecCredential"}, {"apiVersion", "client.authentication.k8s.io/v1"}, {"status", status}};
    auto config = with("cat " + folder.write("answer", json::dump(answer)));
    config.ca_pem = pki.ca_cert;
    config.tls_server_name = "api.test.example";
    const auto result = send(connect(server.url(), config), get_request());
    ASSERT_TRUE(result) << result.error().describe();
    EXPECT_EQ(result->status, 200);
}

TEST_F(ExecTest, TheTransportCanBeDestroyedWhileAPlugInRuns) {
    const auto started = loop->clock().steady();
    {
        const auto transport = connect(guarded.server.url(), with("sleep 300"));
        EXPECT_EQ(send(transport, get_request(), 100ms).error().code, ErrorCode::deadline_exceeded);
    }
    EXPECT_LT(loop->clock().steady() - started, 60s);
}

}  // namespace
}  // namespace kn::kube
