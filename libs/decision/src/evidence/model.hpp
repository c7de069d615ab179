#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::decision {

/// The last end of a container, as far as its status tells.
struct Ending {
    int exit_code = 0;
    std::string reason;
    std::optional<Instant> started, finished;
    [[nodiscard]] std::optional<Duration> lived() const {
        if (!started || !finished) return std::nullopt;
        return *finished - *started;
    }
};

struct ContainerView {
    std::string name, image, waiting;  ///< waiting: state.waiting.reason
    bool init = false, sidecar = false;
    bool ready = false, running = false;
    std::optional<bool> started;
    std::int64_t restarts = 0;
    std::optional<Instant> running_since;
    std::optional<Ending> last;  ///< state.terminated, else lastState.terminated
    bool terminated_now = false;
    std::string hint;
    const json::Value* spec = nullptr;  ///< its entry in the pod's spec
};

struct PodView {
    const json::Value* object = nullptr;
    std::string name, ns, uid, node, phase, restart_policy, reason;
    int revision = -1;  ///< index into Model::revisions
    bool deleting = false, ready = false, scheduled = false, unschedulable = false, finished = false;
    std::optional<Instant> created, started, ready_changed, deleted_at;
    std::optional<bool> ready_known;
    std::vector<ContainerView> containers;
};

struct Revision {
    std::string name, uid, hash;
    std::int64_t number = 0;
    std::optional<Instant> created;  ///< when the object was made
    std::optional<Instant> since;    ///< when it became the newest, as far as known
    bool reused = false;             ///< it was rolled back to: `created` says nothing
    const json::Value* pod_template = nullptr;
    std::int64_t replicas = 0;  ///< that exist now
};

/// The snapshot's pods and revisions in a form that facts are made from. Points into the snapshot, which must outlive it.
struct Model {
    std::string kind;           ///< of the target
    std::vector<PodView> pods;  ///< by name; without terminating ones
    std::vector<PodView> terminating;
    std::vector<Revision> revisions;  ///< oldest first
    int newest = -1;
    int good = -1;                              ///< newest earlier one that was available long enough; -1 = none known
    bool good_unknown = false;                  ///< it cannot be told
    const json::Value* pod_template = nullptr;  ///< of the target (or the pod's own spec, wrapped by `pod_is_template`)
    bool pod_is_template = false;

    [[nodiscard]] const json::Value* pod_spec() const;  ///< the spec inside pod_template
};

Model model_of(const EvidenceSnapshot& snapshot, const RuleAges& ages);
PodView pod_view(const json::Value& pod);

/// The container ended badly again and again, or cannot be started at all, and is not running steadily now.
bool is_crashing(const PodView& pod, const ContainerView& container, Instant now);
/// The kubelet cannot get the image.
bool is_image_waiting(const ContainerView& container);
/// When the trouble of this container began, estimated from its endings and the kubelet's back-off (10 s doubling to 5 min); not before the pod was made.
std::optional<Instant> first_failure(const PodView& pod, const ContainerView& container, const std::vector<SeenEvent>& events);

/// The pod spec inside a target object: spec.template.spec, spec.jobTemplate..., or the pod's own spec.
const json::Value* template_of(const json::Value& object);

}  // namespace kn::decision
