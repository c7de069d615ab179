// The hub behind TLS: who has a known client certificate is somebody, who has none needs a token, and plain HTTP gets nowhere.
#include <gtest/gtest.h>

#include "kubernaut/base/log.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/testing/process.hpp"
#include "kubernaut/testing/temp_dir.hpp"
#include "sim/front.hpp"

namespace kn::e2e {
namespace {

constexpr const char* alert =
    R"({"version":"4","status":"firing","alerts":[{"status":"firing","startsAt":"2026-03-01T09:00:00Z","labels":{"alertname":"KubePodNotReady","cluster":"dark1","namespace":"shop","pod":"cart-1"}}]})";

TEST(Tls, AClientCertificateIsACredentialForAlertsAndForPeople) {
    log::configure(log::Level::off, log::Format::text);
    const testing::TempDir folder;
    const auto loop = async::EventLoop::real();
    const int port = testing::free_port();
    const auto path = [&](const char* name) { return folder.path() + "/" + name; };
    // Each of these certificates is its own authority; the client's common name is "kubernaut-sim".
    const auto server = app::self_signed(), client = app::self_signed(), stranger = app::self_signed();
    ASSERT_TRUE(server && client && stranger);
    testing::write_file(path("server.crt"), server->cert_pem);
    testing::write_file(path("server.key"), server->key_pem);
    testing::write_file(path("client-ca.crt"), client->cert_pem);
    testing::write_file(path("kubernaut.yaml"), "http: {listen: \"127.0.0.1:" + std::to_string(port) + "\", tls: {cert: \"" + path("server.crt") +
                                                    "\", key: \"" + path("server.key") + "\", client_ca: \"" + path("client-ca.crt") +
                                                    "\"}}\nlog: {format: text}\nstore: {url: \"sqlite://" + path("hub.db") +
                                                    "\"}\nauth: {mtls: {kubernaut-sim: ann}, bindings: [{subject: ann, role: viewer}]}\n" +
                                                    "intake: {sources: [{name: kubernaut-sim, auth: mtls}]}\nclusters: [{id: dark1, environment: "
                                                    "dev, server: \"https://127.0.0.1:1\", token: x}]\n");
    auto hub = testing::Process::start({testing::kubernaut_binary(KN_BINARY), "serve", "-c", path("kubernaut.yaml")}, {.output = path("hub.log")});
    ASSERT_TRUE(hub) << hub.error().describe();

    const auto call = [&](const net::TlsFiles* identity, const std::string& scheme, kube::Method method, const std::string& target) {
        kube::ConnectionConfig config;
        config.server = scheme + "://127.0.0.1:" + std::to_string(port);
        config.ca_pem = server->cert_pem;
        if (identity != nullptr) config.client_cert_pem = identity->cert_pem, config.client_key_pem = identity->key_pem;
        const auto transport = kube::make_http_transport(config, {}, *loop);
        kube::Request request{.method = method, .path = target};
        if (method == kube::Method::post) request.content_type = "application/json", request.body = alert;
        const auto answer = loop->block_on(transport->send(std::move(request), loop->clock().deadline_in(5s)));
        return answer ? answer->status : 0;
    };
    const Deadline end = loop->clock().deadline_in(30s);
    while (call(nullptr, "https", kube::Method::get, "/livez") != 200 && !end.passed(loop->clock().steady())) loop->run_for(200ms);

    EXPECT_EQ(call(&*client, "https", kube::Method::post, "/api/v1/alerts"), 200) << testing::read_file(path("hub.log"));
    EXPECT_EQ(call(&*client, "https", kube::Method::get, "/api/v1/incidents"), 200);
    EXPECT_EQ(call(nullptr, "https", kube::Method::post, "/api/v1/alerts"), 401);
    EXPECT_EQ(call(nullptr, "https", kube::Method::get, "/api/v1/incidents"), 401);
    const int unknown = call(&*stranger, "https", kube::Method::get, "/api/v1/incidents");
    EXPECT_TRUE(unknown == 0 || unknown == 401) << "a certificate of another authority is worth nothing, got " << unknown;
    EXPECT_NE(call(nullptr, "http", kube::Method::get, "/livez"), 200);
    EXPECT_TRUE(hub->running());
}

}  // namespace
}  // namespace kn::e2e
