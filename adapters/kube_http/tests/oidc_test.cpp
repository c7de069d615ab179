// OIDC providers and proxies: the second half of the credential matrix.
#include "credential_bed.hpp"
#include "tcp_proxy.hpp"

namespace kn::kube {
namespace {

using http::Connection;
using http::SeenRequest;
using http::TcpProxy;
using http::TestServer;

/// An unsigned JSON Web Token whose name tells it apart.
std::string jwt(const std::string& name, std::chrono::seconds life) {
    const auto ends = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch() + life).count();
    std::string payload = base64_encode(R"({"sub":")" + name + R"(","exp":)" + std::to_string(ends) + "}");
    std::erase(payload, '=');
    std::ranges::replace(payload, '+', '-');
    std::ranges::replace(payload, '/', '_');
    return "eyJhbGciOiJub25lIn0." + payload + ".hush";
}

class Oidc : public CredentialBed {
protected:
    ConnectionConfig config(std::string id_token, std::string refresh_token = "hush-r1", std::string secret = "hush-secret") {
        ConnectionConfig out;
        out.context = "test";
        out.oidc = OidcProvider{.issuer = provider.url() + "/realm",
                                .client_id = "kubernaut",
                                .client_secret = std::move(secret),
                                .id_token = std::move(id_token),
                                .refresh_token = std::move(refresh_token)};
        return out;
    }
    /// Token requests that the provider saw.
    [[nodiscard]] std::vector<SeenRequest> token_requests() const {
        auto all = provider.seen();
        std::erase_if(all, [](const SeenRequest& r) { return r.method != "POST"; });
        return all;
    }
    std::string discovery_override, answer_override;
    int answer_status = 200;
    std::atomic<int> renewals = 0;
    std::vector<std::string> given;  ///< id tokens to give, in order
    TestServer provider{[this](Connection& c, const SeenRequest& r) {
        const std::lock_guard lock(mutex);
        if (r.method == "GET") {
            const auto base = "http://" + r.headers.at("host");
            return c.answer(r.target == "/realm/.well-known/openid-configuration" ? 200 : 404,
                            discovery_override.empty() ? R"({"issuer":")" + base + R"(/realm","token_endpoint":")" + base + "/token\"}"
                                                       : discovery_override),
                   true;
        }
        const auto n = static_cast<std::size_t>(renewals++);
        if (!answer_override.empty()) return c.answer(answer_status, answer_override), true;
        return c.answer(200, R"({"id_token":")" + given.at(std::min(n, given.size() - 1)) + R"(","refresh_token":"hush-r)" + std::to_string(n + 2) +
                                 "\"}"),
               true;
    }};
};

TEST_F(Oidc, ATokenThatIsGoodIsUsedWithoutAskingAnybody) {
    const auto token = jwt("one", 1h);
    allow({"Bearer " + token});
    EXPECT_EQ(ask(config(token)), 200);
    EXPECT_TRUE(provider.seen().empty());
}

TEST_F(Oidc, ATokenThatHasEndedIsRenewedWithTheRefreshTokenAndTheClientsSecret) {
    given = {jwt("two", 1h)};
    allow({"Bearer " + given[0]});
    const auto transport = connect(config(jwt("one", -1h)));
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    EXPECT_EQ(ask(transport), 200);
    ASSERT_EQ(token_requests().size(), 1U);
    const auto request = token_requests()[0];
    EXPECT_EQ(request.body, "grant_type=refresh_token&refresh_token=hush-r1");
    EXPECT_EQ(request.headers.at("authorization"), "Basic " + base64_encode("kubernaut:hush-secret"));
    EXPECT_EQ(request.headers.at("content-type"), "application/x-www-form-urlencoded");
}

TEST_F(Oidc, APublicClientNamesItselfInTheForm) {
    given = {jwt("two", 1h)};
    allow({"Bearer " + given[0]});
    EXPECT_EQ(ask(config("", "hush-r1", "")), 200) << failure.describe();
    EXPECT_EQ(token_requests().at(0).body, "grant_type=refresh_token&refresh_token=hush-r1&client_id=kubernaut");
    EXPECT_FALSE(token_requests().at(0).headers.contains("authorization"));
}

TEST_F(Oidc, ARotatedRefreshTokenIsUsedTheNextTime) {
    given = {jwt("two", 11s), jwt("three", 1h)};
    allow({"Bearer " + given[0], "Bearer " + given[1]});
    const auto transport = connect(config(jwt("one", -1h)));
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    loop->run_for(2s);  // now within the ten seconds before its end
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    ASSERT_EQ(token_requests().size(), 2U);
    EXPECT_TRUE(token_requests()[1].body.contains("hush-r2"));
}

TEST_F(Oidc, A401RenewsOnceAndReplaysOnce) {
    given = {jwt("two", 1h), jwt("three", 1h)};
    allow({"Bearer " + given[0]});
    const auto transport = connect(config(jwt("one", 1h)), {.exec_retry_pause = 0ms});
    EXPECT_EQ(ask(transport), 200) << failure.describe();
    EXPECT_EQ(server.seen().size(), 2U);
    allow({});
    EXPECT_EQ(ask(transport), 401);
    EXPECT_EQ(server.seen().size(), 4U);
}

TEST_F(Oidc, AThousandRequestsShareOneRenewal) {
    given = {jwt("two", 1h)};
    allow({"Bearer " + given[0]});
    EXPECT_EQ(ask_at_once(connect(config(jwt("one", -1h))), 1000), 1000);
    EXPECT_EQ(token_requests().size(), 1U);
}

TEST_F(Oidc, AProviderThatRefusesLiesOrTalksNonsenseIsAnErrorWithoutSecrets) {
    struct Case {
        std::string discovery, answer;
        int status = 200;
        ErrorCode code = ErrorCode::unauthenticated;
        std::string message;
    };
    const std::vector<Case> cases = {
        {"", R"({"error":"invalid_grant","error_description":"hush-r1 was used"})", 400, ErrorCode::unauthenticated, "400 invalid_grant"},
        {"", "hush", 500, ErrorCode::unavailable, "500"},
        {"", "hush", 200, ErrorCode::unauthenticated, "not JSON"},
        {"", R"({"access_token":"hush"})", 200, ErrorCode::unauthenticated, "no id_token"},
        {"", R"({"id_token":"hush.hush.hush"})", 200, ErrorCode::unauthenticated, "no id_token with an end"},
        {"", R"({"id_token":")" + jwt("old", -1h) + "\"}", 200, ErrorCode::unauthenticated, "has ended already"},
        {R"({"issuer":"https://other.example","token_endpoint":"https://other.example/token"})", "", 200, ErrorCode::unauthenticated, "another name"},
        {"hush", "", 200, ErrorCode::unauthenticated, "not JSON"},
    };
    for (const auto& c : cases) {
        discovery_override = c.discovery;
        answer_override = c.answer;
        answer_status = c.status;
        EXPECT_EQ(ask(config(jwt("one", -1h))), 0) << c.message;
        EXPECT_EQ(failure.code, c.code) << failure.describe();
        EXPECT_TRUE(failure.describe().contains(c.message)) << failure.describe();
    }
    discovery_override = R"({"issuer":")" + provider.url() + R"(/realm","token_endpoint":"http://plain.example/token"})";
    EXPECT_EQ(ask(config(jwt("one", -1h))), 0);
    EXPECT_TRUE(failure.describe().contains("https")) << failure.describe();
    EXPECT_TRUE(server.seen().empty()) << "nothing went to the API server";
}

TEST_F(Oidc, WithoutARefreshTokenAnEndedTokenIsAnError) {
    EXPECT_EQ(ask(config(jwt("one", -1h), "")), 0);
    EXPECT_EQ(failure.code, ErrorCode::unauthenticated);
    EXPECT_TRUE(provider.seen().empty());
}

TEST_F(Oidc, AProviderThatIsAwayIsNotAskedForEveryRequest) {
    auto away = config(jwt("one", -1h));
    away.oidc->issuer = "http://127.0.0.1:" + std::to_string(http::unused_port());
    const auto transport = connect(away);
    EXPECT_EQ(ask(transport), 0);
    EXPECT_EQ(failure.code, ErrorCode::unavailable) << failure.describe();
    const auto started = loop->clock().steady();
    for (int i = 0; i < 20; ++i) EXPECT_EQ(ask(transport), 0);
    EXPECT_LT(loop->clock().steady() - started, 30s);
}

class Proxies : public CredentialBed {
protected:
    Proxies() { allow({"Bearer hush"}); }
    /// The server behind TLS, under a name that only the proxy could resolve.
    ConnectionConfig through(const std::string& proxy_url) {
        ConnectionConfig config{.token = "hush"};
        config.server = "https://api.test.example:" + std::to_string(tls.port());
        config.ca_pem = http::TestPki::instance().ca_cert;
        config.proxy_url = proxy_url;
        return config;
    }
    TestServer tls{[](Connection& c, const SeenRequest&) { return c.answer(200, "{}"), true; }, TestServer::Tls::server};
};

TEST_F(Proxies, HttpConnectCarriesTlsToANameThatTheProxyResolves) {
    TcpProxy proxy(0, TcpProxy::Kind::http_connect);
    EXPECT_EQ(ask(through("http://127.0.0.1:" + std::to_string(proxy.port()))), 200) << failure.describe();
    EXPECT_EQ(proxy.targets(), (std::vector<std::string>{"api.test.example:" + std::to_string(tls.port())}));
    EXPECT_EQ(tls.seen().at(0).headers.at("authorization"), "Bearer hush") << "end to end";
}

TEST_F(Proxies, HttpConnectWithAPassword) {
    TcpProxy proxy(0, TcpProxy::Kind::http_connect, "user:hush");
    const auto address = "@127.0.0.1:" + std::to_string(proxy.port());
    EXPECT_EQ(ask(through("http://user:hush" + address)), 200) << failure.describe();
    EXPECT_EQ(ask(through("http://user:hush-wrong" + address)), 0);
    EXPECT_EQ(failure.code, ErrorCode::unavailable);
    EXPECT_EQ(proxy.refused_logins(), 1);
}

TEST_F(Proxies, Socks5LeavesNamesToTheProxy) {
    TcpProxy proxy(0, TcpProxy::Kind::socks5);
    EXPECT_EQ(ask(through("socks5://127.0.0.1:" + std::to_string(proxy.port()))), 200) << failure.describe();
    EXPECT_EQ(proxy.targets(), (std::vector<std::string>{"api.test.example:" + std::to_string(tls.port())}));
}

TEST_F(Proxies, Socks5WithAPassword) {
    TcpProxy proxy(0, TcpProxy::Kind::socks5, "user:hush");
    const auto address = "@127.0.0.1:" + std::to_string(proxy.port());
    EXPECT_EQ(ask(through("socks5://user:hush" + address)), 200) << failure.describe();
    EXPECT_EQ(ask(through("socks5://user:hush-wrong" + address)), 0);
    EXPECT_EQ(failure.applied, Applied::no);
}

TEST_F(Proxies, ADeadProxyIsNoReasonToGoWithoutIt) {
    EXPECT_EQ(ask(through("http://127.0.0.1:" + std::to_string(http::unused_port()))), 0);
    EXPECT_EQ(failure.code, ErrorCode::unavailable);
    EXPECT_TRUE(tls.seen().empty());
}

TEST_F(Proxies, AServerThatDoesNotAnswerBehindTheProxyIsUnavailable) {
    TcpProxy proxy(0, TcpProxy::Kind::http_connect);
    auto config = through("http://127.0.0.1:" + std::to_string(proxy.port()));
    config.server = "https://api.test.example:" + std::to_string(http::unused_port());
    EXPECT_EQ(ask(config), 0);
    EXPECT_EQ(failure.code, ErrorCode::unavailable) << failure.describe();
}

// Dropped paths.

class DroppedPaths : public CredentialBed {
protected:
    Result<std::unique_ptr<Stream>> watch(const std::shared_ptr<Transport>& transport) {
        return loop->block_on(transport->open({.path = "/watch"}, loop->clock().deadline_in(60s)));
    }
    TestServer events{[](Connection& c, const SeenRequest& r) {
        if (r.target == "/livez") return c.answer(200, "ok"), true;
        c.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhi\n\r\n");
        (void)c.wait_for_close(600'000);
        return false;
    }};
    TcpProxy proxy{events.port()};
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(proxy.port()); }
};

TEST_F(DroppedPaths, ASilentStreamWhoseServerLivesGoesOn) {
    const auto transport = connect({.server = url()}, {.dead_peer_after = 400ms});
    const auto stream = watch(transport);
    ASSERT_TRUE(stream) << stream.error().describe();
    EXPECT_EQ(loop->block_on((*stream)->next(loop->clock().deadline_in(60s))).value().value(), "hi\n");
    EXPECT_EQ(loop->block_on((*stream)->next(loop->clock().deadline_in(2s))).error().code, ErrorCode::deadline_exceeded) << "silence is no death";
    EXPECT_GE(std::ranges::count_if(events.seen(), [](const SeenRequest& r) { return r.target == "/livez"; }), 2);
}

TEST_F(DroppedPaths, ADroppedPathIsNoticedAtItsLimitAlthoughTheSocketLooksWell) {
    const auto transport = connect({.server = url()}, {.dead_peer_after = 1s});
    const auto stream = watch(transport);
    ASSERT_TRUE(stream) << stream.error().describe();
    EXPECT_EQ(loop->block_on((*stream)->next(loop->clock().deadline_in(60s))).value().value(), "hi\n");
    proxy.stall(true);
    const auto started = loop->clock().steady();
    const auto ended = loop->block_on((*stream)->next(loop->clock().deadline_in(120s)));
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().reason, "PeerSilent") << ended.error().describe();
    EXPECT_EQ(ended.error().code, ErrorCode::unavailable);
    EXPECT_GE(loop->clock().steady() - started, 400ms);
    proxy.stall(false);
    const auto again = watch(transport);
    ASSERT_TRUE(again) << again.error().describe();
    EXPECT_EQ(loop->block_on((*again)->next(loop->clock().deadline_in(60s))).value().value(), "hi\n") << "over a new connection";
}

TEST_F(DroppedPaths, AResetAndACutInsideAChunkEndTheStreamAtOnce) {
    const auto transport = connect({.server = url()});
    const auto stream = watch(transport);
    ASSERT_TRUE(stream);
    EXPECT_TRUE(loop->block_on((*stream)->next(loop->clock().deadline_in(60s))).value());
    proxy.reset_all();
    EXPECT_FALSE(loop->block_on((*stream)->next(loop->clock().deadline_in(60s))));
    proxy.cut_after(50, false);  // three bytes into the first chunk of the next answer
    const auto cut = watch(transport);
    ASSERT_TRUE(cut) << cut.error().describe();
    const auto end = loop->block_on((*cut)->next(loop->clock().deadline_in(60s)));
    ASSERT_FALSE(end) << "not a clean end";
    EXPECT_EQ(end.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace kn::kube
