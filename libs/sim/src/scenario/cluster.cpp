#include "kubernaut/sim/scenario/cluster.hpp"

#include <algorithm>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/sim/api/api_server.hpp"

namespace kn::sim {
namespace {

namespace r = kube::resources;

ApiServerOptions api_options(const ClusterSpec& spec) {
    ApiServerOptions options;
    options.version = spec.version;
    // The simulator's own heartbeat and Events would fill the log of writes in a day.
    options.keep_write = [](std::string_view user, std::string_view resource) {
        return !user.starts_with("system:sim:") || (resource != "leases.coordination.k8s.io" && !resource.starts_with("events"));
    };
    return options;
}

async::Task<Result<>> create_basics(std::shared_ptr<kube::Client> client) {
    json::Object standard{
        {"apiVersion", "storage.k8s.io/v1"},
        {"kind", "StorageClass"},
        {"provisioner", "disk.sim.kubernaut.io"},
        {"reclaimPolicy", "Delete"},
        {"volumeBindingMode", "Immediate"},
        {"allowVolumeExpansion", true},
        {"metadata", json::Object{{"name", "standard"}, {"annotations", json::Object{{"storageclass.kubernetes.io/is-default-class", "true"}}}}}};
    auto made = co_await client->create(r::storage_classes, {}, std::move(standard), {.field_manager = "sim"}, client->clock().deadline_in(10s));
    if (!made && made.error().code != ErrorCode::already_exists) co_return fail(std::move(made).error());
    co_return Result<>{};
}

std::vector<NodeSpec> nodes_of(const ClusterSpec& spec) {
    std::vector<NodeSpec> nodes;
    for (int i = 0; i < spec.nodes; ++i) {
        NodeSpec node{.name = spec.name + "-node-" + std::to_string(i), .cpu = spec.node_cpu, .memory = spec.node_memory, .pods = spec.node_pods};
        node.zone = std::string("zone-") + static_cast<char>('a' + i % std::max(1, spec.zones));
        nodes.push_back(std::move(node));
    }
    return nodes;
}

Stage stage_of(const ClusterSpec& spec, std::shared_ptr<kube::Client> client, Kubelet& kubelet, std::shared_ptr<BehaviourBook> book,
               std::shared_ptr<Metrics> metrics) {
    const double hurry = std::max(1.0, spec.kubelet.hurry);
    return {.cluster = spec.name,
            .client = std::move(client),
            .kubelet = &kubelet,
            .book = std::move(book),
            .metrics = std::move(metrics),
            .hurry = hurry,
            .alert_hold = Duration{static_cast<std::int64_t>(60'000 / hurry)}};
}

}  // namespace

struct SimCluster::Impl {
    Impl(async::EventLoop& l, RandomSource& rnd, ClusterSpec s)
        : loop(l),
          random(rnd),
          spec(std::move(s)),
          api(l, rnd, api_options(spec)),
          book(std::make_shared<BehaviourBook>()),
          metrics(std::make_shared<Metrics>()),
          client(client_as("system:admin")),
          controllers(client_as("system:sim:controllers"), l.executor(), rnd, controller_options()),
          kubelet(client_as("system:sim:kubelets"), l.executor(), rnd, kubelet_options(), book, metrics) {}

    std::shared_ptr<kube::Client> client_as(std::string user) {
        return std::make_shared<kube::Client>(api.transport({.user = std::move(user), .groups = {"system:masters"}}), loop.clock());
    }
    ControllerOptions controller_options() {
        ControllerOptions options = spec.controllers;
        if (!options.utilization) {
            options.utilization = [this](std::string_view ns, std::string_view, const json::Value& target) { return utilization(ns, target); };
        }
        return options;
    }
    KubeletOptions kubelet_options() const {
        KubeletOptions options = spec.kubelet;
        options.kubelet_version = spec.version;
        return options;
    }
    /// The load on a workload shared by its ready pods, as a part of their CPU request.
    std::optional<double> utilization(std::string_view ns, const json::Value& target) const {
        const auto kind = json::string_at(target, "kind"), name = json::string_at(target, "name");
        const auto load = metrics->load(std::string(ns) + "/" + std::string(kind) + "/" + std::string(name), loop.clock().now());
        const auto* workload = api.peek(kind == "StatefulSet" ? r::stateful_sets : r::deployments, ns, name);
        if (!load || workload == nullptr) return std::nullopt;
        double request = 0;
        for (const auto& container : json::array_at(*workload, "spec", "template", "spec", "containers"))
            request += kube::quantity_at(json::at(container, "resources", "requests", "cpu")).value_or(0);
        const auto ready = json::int_at(*workload, "status", "readyReplicas").value_or(0);
        if (request <= 0 || ready <= 0) return std::nullopt;
        return *load / (static_cast<double>(ready) * request);
    }

    async::EventLoop& loop;
    RandomSource& random;
    ClusterSpec spec;
    ApiServer api;
    std::shared_ptr<BehaviourBook> book;
    std::shared_ptr<Metrics> metrics;
    std::shared_ptr<kube::Client> client;
    ControllerManager controllers;
    Kubelet kubelet;
};

SimCluster::SimCluster(async::EventLoop& loop, RandomSource& random, ClusterSpec spec)
    : impl_(std::make_unique<Impl>(loop, random, std::move(spec))) {
    impl_->api.set_log_source([impl = impl_.get()](const ApiServer::LogQuery& query) {
        return impl->kubelet.logs(query.ns, query.pod, query.container, query.previous, query.tail_lines);
    });
}
SimCluster::~SimCluster() = default;

async::Task<Result<>> SimCluster::start() {
    KN_CO_CHECK(co_await create_basics(impl_->client));
    KN_CO_CHECK(co_await impl_->controllers.start());
    co_return co_await impl_->kubelet.start(nodes_of(impl_->spec));
}

void SimCluster::stop() {
    impl_->kubelet.stop();
    impl_->controllers.stop();
}

async::Task<> SimCluster::join() {
    co_await impl_->kubelet.join();
    co_await impl_->controllers.join();
}

const ClusterSpec& SimCluster::spec() const { return impl_->spec; }
ApiServer& SimCluster::api() { return impl_->api; }
std::shared_ptr<kube::Transport> SimCluster::transport(std::string user, std::vector<std::string> groups) {
    return impl_->api.transport({.user = std::move(user), .groups = std::move(groups)});
}
std::shared_ptr<kube::Client> SimCluster::client() { return impl_->client; }
Kubelet& SimCluster::kubelet() { return impl_->kubelet; }
ControllerManager& SimCluster::controllers() { return impl_->controllers; }
std::shared_ptr<BehaviourBook> SimCluster::book() { return impl_->book; }
std::shared_ptr<Metrics> SimCluster::metrics() { return impl_->metrics; }
Stage SimCluster::stage() { return stage_of(impl_->spec, impl_->client, impl_->kubelet, impl_->book, impl_->metrics); }

struct BorrowedCluster::Impl {
    Impl(async::EventLoop& loop, RandomSource& random, std::shared_ptr<kube::Transport> transport, ClusterSpec s)
        : spec(std::move(s)),
          client(std::make_shared<kube::Client>(std::move(transport), loop.clock())),
          book(std::make_shared<BehaviourBook>()),
          metrics(std::make_shared<Metrics>()),
          controllers(client, loop.executor(), random, only_storage(spec.controllers)),
          kubelet(client, loop.executor(), random, spec.kubelet, book, metrics) {}
    /// The control plane brings everything but a storage driver.
    static ControllerOptions only_storage(ControllerOptions options) {
        options.enabled = {"storage"};
        return options;
    }
    ClusterSpec spec;
    std::shared_ptr<kube::Client> client;
    std::shared_ptr<BehaviourBook> book;
    std::shared_ptr<Metrics> metrics;
    ControllerManager controllers;
    Kubelet kubelet;
};

BorrowedCluster::BorrowedCluster(async::EventLoop& loop, RandomSource& random, std::shared_ptr<kube::Transport> transport, ClusterSpec spec)
    : impl_(std::make_unique<Impl>(loop, random, std::move(transport), std::move(spec))) {}
BorrowedCluster::~BorrowedCluster() = default;

async::Task<Result<>> BorrowedCluster::start() {
    KN_CO_CHECK(co_await create_basics(impl_->client));
    KN_CO_CHECK(co_await impl_->controllers.start());
    co_return co_await impl_->kubelet.start(nodes_of(impl_->spec));
}

void BorrowedCluster::stop() {
    impl_->kubelet.stop();
    impl_->controllers.stop();
}

async::Task<> BorrowedCluster::join() {
    co_await impl_->kubelet.join();
    co_await impl_->controllers.join();
}

Stage BorrowedCluster::stage() { return stage_of(impl_->spec, impl_->client, impl_->kubelet, impl_->book, impl_->metrics); }
Kubelet& BorrowedCluster::kubelet() { return impl_->kubelet; }

}  // namespace kn::sim
