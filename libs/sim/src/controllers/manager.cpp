#include "kubernaut/sim/controllers/manager.hpp"

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

struct Entry {
    std::string_view name;
    std::unique_ptr<Controller> (*make)(ControllerContext&);
};

constexpr Entry all_controllers[] = {
    {"deployment", make_deployment_controller},
    {"replicaset", make_replica_set_controller},
    {"statefulset", make_stateful_set_controller},
    {"daemonset", make_daemon_set_controller},
    {"job", make_job_controller},
    {"cronjob", make_cron_job_controller},
    {"disruption", make_disruption_controller},
    {"endpoints", make_endpoint_slice_controller},
    {"node", make_node_lifecycle_controller},
    {"node", make_taint_eviction_controller},
    {"scheduler", make_scheduler},
    {"volume", make_volume_binder},
    {"storage", make_storage_provisioner},
    {"gc", make_garbage_collector},
    {"quota", make_quota_controller},
    {"hpa", make_hpa_controller},
};

}  // namespace

struct ControllerManager::Impl {
    Impl(std::shared_ptr<kube::Client> c, async::Executor executor, RandomSource& rnd, ControllerOptions o)
        : options(std::move(o)), informers(c, rnd), context{c, informers, rnd, options}, scope(std::move(executor)) {}
    ControllerOptions options;
    Informers informers;
    ControllerContext context;
    std::vector<std::unique_ptr<Controller>> controllers;
    async::TaskScope scope;
};

ControllerManager::ControllerManager(std::shared_ptr<kube::Client> client, async::Executor executor, RandomSource& random, ControllerOptions options)
    : impl_(std::make_unique<Impl>(std::move(client), std::move(executor), random, std::move(options))) {
    for (const auto& entry : all_controllers) {
        if (impl_->options.enabled.empty() || impl_->options.enabled.contains(entry.name)) impl_->controllers.push_back(entry.make(impl_->context));
    }
}
ControllerManager::~ControllerManager() = default;

async::Task<Result<>> ControllerManager::start() {
    for (const auto& controller : impl_->controllers) controller->wire();
    KN_CO_CHECK(co_await impl_->informers.start(impl_->scope, impl_->context.client->clock().deadline_in(30s)));
    for (const auto& controller : impl_->controllers) {
        controller->begin();
        impl_->scope.spawn(controller->component(), controller->run());
        impl_->scope.spawn(controller->component() + " events", controller->events().run());
    }
    co_return Result<>{};
}

void ControllerManager::stop() { impl_->scope.cancel(); }
async::Task<> ControllerManager::join() { return impl_->scope.join(); }

std::uint64_t ControllerManager::reconciled() const {
    std::uint64_t sum = 0;
    for (const auto& controller : impl_->controllers) sum += controller->looks();
    return sum;
}

}  // namespace kn::sim
