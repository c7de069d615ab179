#include "backend.hpp"

#include <curl/curl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "integration/testbed.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"

namespace kn::conformance {
namespace {

using integration::TestCluster;
using integration::Testbed;

class SimulatedBackend final : public Backend {
public:
    SimulatedBackend() : loop_(async::EventLoop::simulated(Instant{std::chrono::hours{24 * 365 * 56}})) {
        sim::ClusterSpec spec;
        spec.nodes = 0;
        cluster_ = std::make_unique<sim::SimCluster>(*loop_, random_, spec);
        const auto started = loop_->block_on(cluster_->start());
        if (!started) ADD_FAILURE() << started.error().describe();
        cluster_->api().add_token("viewer-token", {.user = "viewer"});
        kube::Client admin(transport(Who::admin), loop_->clock());
        const auto binding =
            json::parse(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"testbed-viewer"},
            "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"view"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":"viewer"}]})");
        const auto bound = loop_->block_on(admin.create(kube::resources::cluster_role_bindings, "", *binding, {}, loop_->clock().deadline_in(10s)));
        if (!bound) ADD_FAILURE() << bound.error().describe();
    }
    ~SimulatedBackend() override {
        cluster_->stop();
        loop_->block_on(cluster_->join());
    }
    [[nodiscard]] bool simulated() const override { return true; }
    [[nodiscard]] int minor() const override { return 36; }
    async::EventLoop& loop() override { return *loop_; }
    std::shared_ptr<kube::Transport> transport(Who who) override {
        switch (who) {
            case Who::admin: return cluster_->transport("kubernetes-admin", {"system:masters"});
            case Who::alice: return cluster_->transport("alice", {});
            case Who::viewer: return cluster_->transport("viewer", {});
            case Who::anonymous: return cluster_->transport("system:anonymous", {});
            case Who::bad_token: break;
        }
        return with_token("not-a-token");
    }
    std::shared_ptr<kube::Transport> with_token(std::string token) override {
        const auto identity = cluster_->api().authenticate(token);
        if (identity) return cluster_->api().transport(*identity);
        return std::make_shared<Refusing>();
    }
    void compact() override {
        // As in a real cluster, where what is compacted is older than something.
        kube::Request later{.method = kube::Method::post,
                            .path = "/api/v1/namespaces/default/configmaps",
                            .content_type = "application/json",
                            .body = R"({"metadata":{"generateName":"compaction-"}})"};
        EXPECT_EQ(cluster_->api().handle(later, {.user = "kubernetes-admin", .groups = {"system:masters"}}).status, 201);
        cluster_->api().compact();
    }
    void restart() override { cluster_->api().restart(); }
    kube::Response raw(std::string_view method, const std::string& target, const kube::Headers& headers) override {
        kube::Request request;
        const auto mark = target.find('?');
        request.path = target.substr(0, mark);
        for (const auto& [name, value] : headers) {
            if (name == "Accept")
                request.accept = value;
            else
                request.headers.emplace_back(name, value);
        }
        return cluster_->api().handle(request, {.user = "kubernetes-admin", .groups = {"system:masters"}}, method);
    }
    [[nodiscard]] std::optional<kube::ConnectionConfig> connection() const override { return std::nullopt; }
    bool run_aggregated(bool /*running*/) override { return false; }

private:
    /// What the front of the server says to a token that it does not know.
    class Refusing final : public kube::Transport {
        async::Task<Result<kube::Response>> send(kube::Request, Deadline) override { co_return sim::ApiServer::unauthorized(); }
        async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request, Deadline) override {
            co_return fail(ErrorCode::unauthenticated, "401");
        }
    };
    SeededRandom random_{11};
    std::unique_ptr<async::EventLoop> loop_;
    std::unique_ptr<sim::SimCluster> cluster_;
};

class RealBackend final : public Backend {
public:
    RealBackend(Testbed& bed, TestCluster cluster, int minor)
        : bed_(bed), cluster_(std::move(cluster)), minor_(minor), loop_(async::EventLoop::real()) {
        config_ = kube::load_kubeconfig(cluster_.kubeconfig, cluster_.name).value();
    }
    ~RealBackend() override { transports_.clear(); }
    [[nodiscard]] bool simulated() const override { return false; }
    [[nodiscard]] int minor() const override { return minor_; }
    async::EventLoop& loop() override { return *loop_; }
    std::shared_ptr<kube::Transport> transport(Who who) override {
        auto& kept = transports_[who];
        if (!kept) {
            switch (who) {
                case Who::admin: kept = kube::make_http_transport(config_, {}, *loop_); break;
                case Who::alice: kept = with_token(cluster_.alice_token); break;
                case Who::viewer: kept = with_token(cluster_.viewer_token); break;
                case Who::bad_token: kept = with_token("not-a-token"); break;
                case Who::anonymous: kept = with_token(""); break;
            }
        }
        return kept;
    }
    std::shared_ptr<kube::Transport> with_token(std::string token) override {
        auto config = config_;
        config.client_cert_pem = config.client_key_pem = "";
        config.token = std::move(token);
        return kube::make_http_transport(std::move(config), {}, *loop_);
    }
    void compact() override {
        // Compaction is to the version that etcd had one interval ago, and only goes on while there is something new.
        kube::Client client(transport(Who::admin), loop_->clock());
        const auto soon = [&] { return loop_->clock().deadline_in(60s); };
        json::Value object = json::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"generateName":"compaction-"},"data":{}})").value();
        const auto made = loop_->block_on(client.create(kube::resources::config_maps, "default", object, {}, soon()));
        ASSERT_TRUE(made) << made.error().describe();
        const std::string name(kube::name_of(*made)), version(kube::resource_version_of(*made));
        const auto end = loop_->clock().steady() + 180s;
        for (int n = 0; loop_->clock().steady() < end; ++n) {
            (void)loop_->block_on(client.patch(kube::resources::config_maps, "default", name, kube::PatchType::merge,
                                               json::Object{{"data", json::Object{{"n", std::to_string(n)}}}}, {}, soon()));
            const auto exact =
                loop_->block_on(client.call({.path = "/api/v1/namespaces/default/configmaps",
                                             .query = {{"resourceVersion", version}, {"resourceVersionMatch", "Exact"}, {"limit", "1"}}},
                                            soon()));
            if (!exact && exact.error().reason == "Expired") return;
            loop_->run_for(250ms);
        }
        ADD_FAILURE() << "etcd was not compacted within three minutes";
    }
    void restart() override {
        ASSERT_TRUE(bed_.command("kill " + cluster_.name + " apiserver"));
        ASSERT_TRUE(bed_.command("start " + cluster_.name + " apiserver"));
        const auto end = loop_->clock().steady() + 180s;
        while (loop_->clock().steady() < end) {
            const auto ready = loop_->block_on(transport(Who::admin)->send({.path = "/readyz"}, loop_->clock().deadline_in(5s)));
            if (ready && ready->status == 200) return;
            loop_->run_for(100ms);
        }
        ADD_FAILURE() << "the API server did not come back";
    }
    kube::Response raw(std::string_view method, const std::string& target, const kube::Headers& headers) override {
        kube::Response out;
        CURL* easy = curl_easy_init();
        curl_slist* lines = nullptr;
        for (const auto& [name, value] : headers) lines = curl_slist_append(lines, (name + ": " + value).c_str());
        const bool absolute = target.starts_with("http");
        curl_easy_setopt(easy, CURLOPT_URL, (absolute ? target : config_.server + target).c_str());
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, std::string(method).c_str());
        if (method == "HEAD") curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 60'000L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        const auto blob = [&](CURLoption option, const std::string& pem) {
            curl_blob data{.data = const_cast<char*>(pem.data()), .len = pem.size(), .flags = CURL_BLOB_COPY};
            curl_easy_setopt(easy, option, &data);
        };
        if (!absolute) {
            blob(CURLOPT_CAINFO_BLOB, config_.ca_pem);
            blob(CURLOPT_SSLCERT_BLOB, config_.client_cert_pem);
            blob(CURLOPT_SSLKEY_BLOB, config_.client_key_pem);
        }
        const auto take_body = +[](char* data, std::size_t size, std::size_t count, void* into) {
            return static_cast<std::string*>(into)->append(data, size * count), size * count;
        };
        const auto take_header = +[](char* data, std::size_t size, std::size_t count, void* into) {
            const std::string line(data, size * count);
            if (const auto colon = line.find(": "); colon != std::string::npos) {
                std::string name = line.substr(0, colon);
                std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
                static_cast<kube::Headers*>(into)->emplace_back(name, line.substr(colon + 2, line.find('\r') - colon - 2));
            }
            return size * count;
        };
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
        curl_easy_setopt(easy, CURLOPT_WRITEDATA, &out.body);
        curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
        curl_easy_setopt(easy, CURLOPT_HEADERDATA, &out.headers);
        const auto code = curl_easy_perform(easy);
        if (code != CURLE_OK) ADD_FAILURE() << curl_easy_strerror(code);
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        out.status = static_cast<int>(status);
        out.content_type = out.header("content-type");
        curl_slist_free_all(lines);
        curl_easy_cleanup(easy);
        return out;
    }
    [[nodiscard]] std::optional<kube::ConnectionConfig> connection() const override { return config_; }
    bool run_aggregated(bool running) override {
        const auto done = bed_.command((running ? "start " : "kill ") + cluster_.name + " aggregated");
        EXPECT_TRUE(done) << done.error().describe();
        return true;
    }

private:
    Testbed& bed_;
    TestCluster cluster_;
    int minor_;
    std::unique_ptr<async::EventLoop> loop_;
    kube::ConnectionConfig config_;
    std::map<Who, std::shared_ptr<kube::Transport>> transports_;
};

/// Everything that was brought up, ended in this order before the program ends.
struct Running {
    std::map<std::string, std::unique_ptr<Backend>> backends;
    std::map<std::string, std::unique_ptr<Testbed>> beds;
    std::map<std::string, std::string> failures;
};
Running& running() {
    static Running all;
    return all;
}

class EndOfProgram final : public testing::Environment {
    void TearDown() override {
        running().backends.clear();
        running().beds.clear();
    }
};
const auto* const registered = testing::AddGlobalTestEnvironment(new EndOfProgram);

}  // namespace

BackendResult backend(const std::string& name) {
    auto& all = running();
    if (const auto found = all.backends.find(name); found != all.backends.end()) return {found->second.get(), {}, false};
    if (name == "simulator") {
        auto& made = all.backends[name] = std::make_unique<SimulatedBackend>();
        return {made.get(), {}, false};
    }
    if (const auto failed = all.failures.find(name); failed != all.failures.end()) return {nullptr, failed->second, false};
    std::string version = name;
    std::ranges::replace(version, '_', '.');
    const auto binary = Testbed::find_binary(version);
    if (!binary) return {nullptr, "no real control plane: bin/kubernaut-testbed-" + version + " is not built (make testbed)", true};
    auto up = Testbed::up(*binary, {"--clusters", "1", "--compaction", "2s", "--stream", "--aggregated"});
    if (!up) {
        all.failures[name] = up.error().describe();
        return {nullptr, up.error().describe(), false};
    }
    auto& bed = all.beds[name] = std::make_unique<Testbed>(*std::move(up));
    auto& made = all.backends[name] = std::make_unique<RealBackend>(*bed, bed->clusters()[0], std::atoi(version.c_str() + 3));
    return {made.get(), {}, false};
}

}  // namespace kn::conformance
