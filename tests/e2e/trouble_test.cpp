// What is broken around the hub: its settings, its workflows, its database, its clusters, their certificates. A clear word, nothing lost, the process
// lives.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "kubernaut/base/log.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/testing/postgres_server.hpp"
#include "kubernaut/testing/process.hpp"
#include "kubernaut/testing/temp_dir.hpp"
#include "sim/front.hpp"

namespace kn::e2e {
namespace {

class Trouble : public ::testing::Test {
protected:
    void SetUp() override { log::configure(log::Level::off, log::Format::text); }
    testing::TempDir folder;
    std::unique_ptr<async::EventLoop> loop = async::EventLoop::real();
    std::string binary = testing::kubernaut_binary(KN_BINARY);
    int port = testing::free_port();
    std::unique_ptr<testing::Process> hub;

    [[nodiscard]] std::string path(const std::string& name) const { return folder.path() + "/" + name; }
    [[nodiscard]] std::string settings(const std::string& more) const {
        return "http: {listen: \"127.0.0.1:" + std::to_string(port) +
               "\"}\nlog: {format: text}\nauth: {tokens: [{name: ann, token: ann-token}], bindings: [{subject: ann, role: admin}]}\n" + more;
    }
    void start(const std::string& more) {
        testing::write_file(path("kubernaut.yaml"), settings(more));
        auto started = testing::Process::start({binary, "serve", "-c", path("kubernaut.yaml")}, {.output = path("hub.log")});
        ASSERT_TRUE(started) << started.error().describe();
        hub = std::make_unique<testing::Process>(*std::move(started));
    }
    struct Answer {
        int status = 0;
        std::string body, retry_after;
    };
    /// Status 0: no answer.
    Answer call(kube::Method method, const std::string& target, std::string body = {}) {
        kube::ConnectionConfig config;
        config.server = "http://127.0.0.1:" + std::to_string(port);
        const auto transport = kube::make_http_transport(config, {}, *loop);
        kube::Request request{.method = method, .path = target};
        if (!body.empty()) request.content_type = "application/json", request.body = std::move(body);
        request.headers = {{"Authorization", "Bearer ann-token"}};
        const auto answer = loop->block_on(transport->send(std::move(request), loop->clock().deadline_in(15s)));
        if (!answer) return {0, answer.error().describe(), ""};
        return {answer->status, answer->body, std::string(answer->header("retry-after"))};
    }
    Answer get(const std::string& target) { return call(kube::Method::get, target); }
    Answer post_alert(const std::string& cluster, const std::string& name) {
        return call_without_token("/api/v1/alerts",
                                  "{\"version\":\"4\",\"status\":\"firing\",\"alerts\":[{\"status\":\"firing\",\"startsAt\":\"2026-03-01T09:00:00Z\","
                                  "\"labels\":{\"alertname\":\"KubeDeploymentReplicasMismatch\","
                                  "\"cluster\":\"" +
                                      cluster + "\",\"namespace\":\"shop\",\"deployment\":\"" + name + "\"}}]}");
    }
    Answer call_without_token(const std::string& target, std::string body) {
        kube::ConnectionConfig config;
        config.server = "http://127.0.0.1:" + std::to_string(port);
        const auto transport = kube::make_http_transport(config, {}, *loop);
        kube::Request request{.method = kube::Method::post, .path = target};
        request.content_type = "application/json";
        request.body = std::move(body);
        const auto answer = loop->block_on(transport->send(std::move(request), loop->clock().deadline_in(15s)));
        if (!answer) return {0, answer.error().describe(), ""};
        return {answer->status, answer->body, std::string(answer->header("retry-after"))};
    }
    bool until(Duration limit, const std::function<bool()>& done) {
        const Deadline end = loop->clock().deadline_in(limit);
        while (!done()) {
            if (end.passed(loop->clock().steady())) return false;
            loop->run_for(200ms);
        }
        return true;
    }
    bool ready() {
        return until(30s, [this] { return get("/readyz").status == 200; });
    }
    std::string hub_log() { return testing::read_file(path("hub.log")); }
};

constexpr const char* unreachable = "clusters: [{id: dark1, environment: dev, mode: auto, server: \"https://127.0.0.1:1\", token: x}]\n";

TEST_F(Trouble, BrokenSettingsAreToldAllAtOnceWithLineAndPath) {
    testing::write_file(path("bad.yaml"),
                        "http: {listen: 7}\nguard:\n  mode: sometimes\n  colour: red\nengine:\n  lease: soon\nclusters:\n  - {id: Not_A_Label}\n");
    const auto checked = testing::run({binary, "config", "check", path("bad.yaml")});
    ASSERT_TRUE(checked);
    EXPECT_EQ(checked->exit_code, 1);
    for (const char* part :
         {"line 1", "http.listen", "line 3", "guard.mode", "line 4", "guard.colour", "line 6", "engine.lease", "line 8", "clusters"})
        EXPECT_NE(checked->err.find(part), std::string::npos) << part << "\n" << checked->err;
    const auto served = testing::run({binary, "serve", "-c", path("bad.yaml")});
    ASSERT_TRUE(served);
    EXPECT_EQ(served->exit_code, 2);
    EXPECT_NE(served->err.find("guard.mode"), std::string::npos);
    testing::write_file(path("worse.yaml"), "http: {listen: \"x\n  - ]\n");
    const auto worse = testing::run({binary, "config", "check", path("worse.yaml")});
    ASSERT_TRUE(worse);
    EXPECT_EQ(worse->exit_code, 1);
    EXPECT_NE(worse->err.find("line"), std::string::npos) << worse->err;
    const auto absent = testing::run({binary, "serve", "-c", path("absent.yaml")});
    ASSERT_TRUE(absent);
    EXPECT_EQ(absent->exit_code, 2);
}

TEST_F(Trouble, BrokenWorkflowsAreToldAllAtOnceWithFileLineAndPath) {
    std::filesystem::create_directories(path("catalog"));
    testing::write_file(path("catalog/first.yaml"),
                        "id: first\nversion: 1\ndescription: x\nrisk: enormous\nfault_classes: [no.such.class]\nsteps:\n  - id: a\n    action: "
                        "no_such_action\n  - id: b\n    action: restart_workload\n    with: {colour: red}\n");
    testing::write_file(path("catalog/second.yaml"), "id: second\nversion: one\nsteps: {}\n");
    testing::write_file(path("catalog/third.yaml"), "id: [third\n");
    testing::write_file(path("kubernaut.yaml"), settings("store: {url: \"sqlite://" + path("hub.db") + "\"}\ndecision: {catalog: [builtin, " +
                                                         path("catalog") + "]}\n" + unreachable));
    const auto served = testing::run({binary, "serve", "-c", path("kubernaut.yaml")});
    ASSERT_TRUE(served) << served.error().describe();
    EXPECT_EQ(served->exit_code, 1);
    for (const char* part :
         {"first.yaml", "second.yaml", "third.yaml", "risk", "no.such.class", "no_such_action", "colour", "first.yaml:8", "second.yaml:3"})
        EXPECT_NE(served->err.find(part), std::string::npos) << part << "\n" << served->err;
}

TEST_F(Trouble, ADatabaseThatIsNotThereAtTheStartIsNamed) {
    testing::write_file(path("kubernaut.yaml"), settings(std::string("store: {url: \"postgres://nobody@127.0.0.1:1/none\"}\n") + unreachable));
    const auto served = testing::run({binary, "serve", "-c", path("kubernaut.yaml")});
    ASSERT_TRUE(served) << served.error().describe();
    EXPECT_EQ(served->exit_code, 1);
    EXPECT_NE(served->err.find("error: opening the store"), std::string::npos) << served->err;
    EXPECT_NE(served->err.find("127.0.0.1"), std::string::npos) << served->err;
    testing::write_file(path("kubernaut.yaml"), settings(std::string("store: {url: \"sqlite:///no/such/folder/hub.db\"}\n") + unreachable));
    const auto no_folder = testing::run({binary, "serve", "-c", path("kubernaut.yaml")});
    ASSERT_TRUE(no_folder);
    EXPECT_EQ(no_folder->exit_code, 1);
    EXPECT_NE(no_folder->err.find("/no/such/folder"), std::string::npos) << no_folder->err;
}

TEST_F(Trouble, ADatabaseThatDiesIsA503AndWhatWasNotStoredWasNotAccepted) {
    auto server = testing::PostgresServer::start();
    if (!server && server.error().code == ErrorCode::not_found) GTEST_SKIP() << server.error().message;
    ASSERT_TRUE(server) << server.error().describe();
    start("store: {url: \"" + (*server)->tcp_url() + "\"}\n" + unreachable);
    ASSERT_TRUE(ready()) << hub_log();
    EXPECT_EQ(post_alert("dark1", "before").status, 200);
    (*server)->kill();
    const auto refused = post_alert("dark1", "during");
    EXPECT_EQ(refused.status, 503) << refused.body;
    EXPECT_FALSE(refused.retry_after.empty());
    EXPECT_TRUE(until(20s, [this] { return get("/readyz").status == 503; }));
    EXPECT_EQ(get("/livez").status, 200);
    EXPECT_EQ(get("/api/v1/incidents").status / 100, 5);
    ASSERT_TRUE((*server)->restart());
    ASSERT_TRUE(ready()) << hub_log();
    EXPECT_TRUE(until(30s, [this] { return post_alert("dark1", "during").status == 200; })) << "the sender repeats it";
    const auto signals = get("/api/v1/signals");
    EXPECT_EQ(signals.status, 200);
    EXPECT_NE(signals.body.find("before"), std::string::npos);
    EXPECT_NE(signals.body.find("during"), std::string::npos);
    ASSERT_TRUE(hub->running());
    hub->signal(SIGTERM);
    const auto ended = hub->wait(30s);
    ASSERT_TRUE(ended) << hub_log();
    EXPECT_EQ(*ended, 0);
}

TEST_F(Trouble, OversizedBodiesAre413AndTheConnectionIsOver) {
    start("store: {url: \"sqlite://" + path("hub.db") + "\"}\nhttp2: {}\n" + std::string(unreachable));
    const auto refused = hub->wait(20s);
    ASSERT_TRUE(refused);
    EXPECT_EQ(*refused, 2) << "http2 is no setting";
    start("store: {url: \"sqlite://" + path("hub.db") + "\"}\n" + unreachable);
    ASSERT_TRUE(ready()) << hub_log();
    const auto answer =
        call_without_token("/api/v1/alerts", "{\"version\":\"4\",\"alerts\":[],\"padding\":\"" + std::string(11U << 20U, 'x') + "\"}");
    EXPECT_TRUE(answer.status == 413 || answer.status == 0) << answer.status << answer.body.substr(0, 200);
    EXPECT_EQ(post_alert("dark1", "after").status, 200);
}

TEST_F(Trouble, DeadClustersAndExpiredCertificatesConcernNobodyElse) {
    SeededRandom random(3);
    sim::SimCluster cluster(*loop, random, {.name = "good1", .nodes = 1}), stale(*loop, random, {.name = "stale1", .nodes = 1});
    const auto valid = app::self_signed(), expired = app::self_signed(std::chrono::hours{-1});
    ASSERT_TRUE(valid);
    ASSERT_TRUE(expired);
    for (auto* each : {&cluster, &stale}) {
        each->api().add_token("hub-token", {.user = "kubernaut", .groups = {"system:masters"}});
        ASSERT_TRUE(loop->block_on(each->start()));
    }
    app::SimFront good_front(*loop, cluster.api(), "127.0.0.1:0", *valid), stale_front(*loop, stale.api(), "127.0.0.1:0", *expired);
    ASSERT_TRUE(good_front.start());
    ASSERT_TRUE(stale_front.start());
    const auto server = [](const app::SimFront& front) { return "https://127.0.0.1:" + std::to_string(front.port()); };
    testing::write_file(path("good"), app::kubeconfig_of({{"good1", server(good_front), "hub-token"}}, valid->cert_pem));
    testing::write_file(path("stale"), app::kubeconfig_of({{"stale1", server(stale_front), "hub-token"}}, expired->cert_pem));
    start("store: {url: \"sqlite://" + path("hub.db") +
          "\"}\nclusters:\n  - {id: dark1, environment: dev, mode: auto, server: \"https://127.0.0.1:1\", token: x}\n" +
          "  - {id: good1, environment: dev, mode: auto, kubeconfig: \"" + path("good") +
          "\"}\n  - {id: stale1, environment: dev, mode: auto, kubeconfig: \"" + path("stale") + "\"}\n");
    ASSERT_TRUE(ready()) << hub_log();
    const auto verdict = [this](const std::string& id) {
        const auto body = json::parse(get("/api/v1/clusters/" + id).body);
        return body ? std::string(json::string_at(*body, "verdict")) + ": " + std::string(json::string_at(*body, "verdict_reason")) : std::string();
    };
    EXPECT_TRUE(until(40s,
                      [&] {
                          return verdict("good1").starts_with("healthy") && !verdict("dark1").starts_with("healthy") &&
                                 verdict("stale1").find("certificate") != std::string::npos;
                      }))
        << verdict("good1") << "\n"
        << verdict("dark1") << "\n"
        << verdict("stale1") << "\n"
        << hub_log();
    EXPECT_FALSE(verdict("stale1").starts_with("healthy"));
    for (const char* id : {"good1", "dark1", "stale1"}) EXPECT_EQ(post_alert(id, "absent").status, 200) << id;
    EXPECT_TRUE(until(40s, [&] {
        const auto list = json::parse(get("/api/v1/incidents").body);
        if (!list) return false;
        for (const auto& incident : json::array_at(*list, "items")) {
            if (json::string_at(incident, "cluster") == "good1" && json::string_at(incident, "state") == "resolved") return true;
        }
        return false;
    })) << get("/api/v1/incidents").body;
    EXPECT_EQ(get("/readyz").status, 200);
    for (const auto& write : stale.api().writes()) EXPECT_NE(write.user, "kubernaut") << "nothing is sent to a server that could not prove who it is";
    ASSERT_TRUE(hub->running());
    hub->kill();
    for (auto* front : {&good_front, &stale_front}) loop->block_on(front->stop());
    for (auto* each : {&cluster, &stale}) {
        each->stop();
        loop->block_on(each->join());
    }
}

}  // namespace
}  // namespace kn::e2e
