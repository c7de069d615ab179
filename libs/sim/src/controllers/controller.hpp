#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/event_recorder.hpp"
#include "common/informers.hpp"
#include "common/work_queue.hpp"
#include "common/writer.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/sim/controllers/manager.hpp"

namespace kn::sim {

namespace r = kube::resources;
using kube::ObjectPtr;

struct ControllerContext {
    std::shared_ptr<kube::Client> client;
    Informers& informers;
    RandomSource& random;
    const ControllerOptions& options;
};

/// Brings the objects that its keys name closer to what they should be, one look at a time. A key says only where to look; what is found there decides.
class Controller {
public:
    Controller(ControllerContext& context, std::string component, std::string manager = "kube-controller-manager",
               EventRecorder::Form form = EventRecorder::Form::core);
    virtual ~Controller() = default;

    /// Says which resources it watches and what their changes mean.
    virtual void wire() = 0;
    /// After the first lists are in.
    virtual void begin() {}
    /// The time after which to look again, or zero.
    virtual Task<Result<Duration>> reconcile(std::string key) = 0;
    /// Runs until cancelled.
    Task<> run();
    EventRecorder& events() { return events_; }
    [[nodiscard]] const std::string& component() const { return component_; }
    [[nodiscard]] std::uint64_t looks() const { return looks_; }

protected:
    using Listener = std::function<void(const ObjectPtr& now, const ObjectPtr& before, bool deleted)>;
    void watch(const kube::Resource& resource, Listener listener);
    /// Every change of an object of this resource asks for a look at it.
    void watch_own(const kube::Resource& resource);
    /// ... at its controller, when that is of this kind.
    void watch_owned(const kube::Resource& resource, std::string_view owner_kind);
    [[nodiscard]] const kube::ObjectCache& cache(const kube::Resource& resource) const;
    [[nodiscard]] ObjectPtr find(const kube::Resource& resource, std::string_view key) const;
    /// The objects in `resource` whose controller this is.
    [[nodiscard]] std::vector<ObjectPtr> owned(const kube::Resource& resource, const Value& owner) const;
    void note(const Value& object, bool warning, std::string reason, std::string message);
    [[nodiscard]] Instant now() const { return context_.client->clock().now(); }
    [[nodiscard]] kube::Client& client() const { return *context_.client; }

    ControllerContext& context_;
    WorkQueue queue_;
    Writer writer_;

private:
    std::string component_;
    EventRecorder events_;
    std::uint64_t looks_ = 0;
};

// What all of them ask about pods and objects.
std::string key_of(const Value& object);
std::pair<std::string, std::string> split_key(std::string_view key);
bool pod_ready(const Value& pod);
bool pod_finished(const Value& pod);
/// Neither finished nor being deleted.
bool pod_active(const Value& pod);
/// Ready for at least `min_ready`; `wait` is shortened to the time when it will be.
bool pod_available(const Value& pod, Duration min_ready, Instant now, Duration& wait);
bool owned_by(const Value& object, std::string_view uid);
std::string seconds_time(Instant at);
/// "25%" or 3 of `total`.
std::int64_t int_or_percent(const Value* value, std::int64_t total, bool round_up, std::int64_t otherwise);
/// Sets a condition; lastTransitionTime moves only with the status.
void set_condition(json::Array& conditions, std::string_view type, std::string_view status, std::string_view reason, std::string_view message,
                   Instant now);
void remove_condition(json::Array& conditions, std::string_view type);
/// A pod from a template: labels, annotations and spec, owned by `owner`.
json::Object pod_from_template(const Value& pod_template, const kube::Resource& owner_kind, const Value& owner);
std::string random_suffix(RandomSource& random);
std::string template_hash(const Value& pod_template);
/// Which of these pods to delete first (real ReplicaSet order): unassigned, pending, unready, newer.
void sort_for_deletion(std::vector<ObjectPtr>& pods);
inline Duration earlier_wait(Duration a, Duration b) { return a <= Duration::zero() ? b : b <= Duration::zero() ? a : std::min(a, b); }

std::unique_ptr<Controller> make_deployment_controller(ControllerContext&);
std::unique_ptr<Controller> make_replica_set_controller(ControllerContext&);
std::unique_ptr<Controller> make_stateful_set_controller(ControllerContext&);
std::unique_ptr<Controller> make_daemon_set_controller(ControllerContext&);
std::unique_ptr<Controller> make_job_controller(ControllerContext&);
std::unique_ptr<Controller> make_cron_job_controller(ControllerContext&);
std::unique_ptr<Controller> make_disruption_controller(ControllerContext&);
std::unique_ptr<Controller> make_endpoint_slice_controller(ControllerContext&);
std::unique_ptr<Controller> make_node_lifecycle_controller(ControllerContext&);
std::unique_ptr<Controller> make_taint_eviction_controller(ControllerContext&);
std::unique_ptr<Controller> make_scheduler(ControllerContext&);
std::unique_ptr<Controller> make_volume_binder(ControllerContext&);
std::unique_ptr<Controller> make_storage_provisioner(ControllerContext&);
std::unique_ptr<Controller> make_garbage_collector(ControllerContext&);
std::unique_ptr<Controller> make_quota_controller(ControllerContext&);
std::unique_ptr<Controller> make_hpa_controller(ControllerContext&);

}  // namespace kn::sim
