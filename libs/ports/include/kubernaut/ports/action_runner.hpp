#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kubernaut/async/clock.hpp"
#include "kubernaut/async/task.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/execution.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/kube/client.hpp"

namespace kn::ports {

using async::Task;

/// What an action is and needs; the guard and the workflow loader read it.
struct ActionSpec {
    std::string name, description;
    std::vector<ParamSpec> params;
    std::vector<std::string> target_kinds;  ///< "Deployment", ...; empty = any
    Risk risk = Risk::none;
    bool mutating = true;
    bool reversible = true;    ///< has a compensation
    bool disruptive = false;   ///< takes pods or nodes away: floor and eviction budgets apply
    bool gitops_safe = false;  ///< may act on GitOps-owned objects (the "G" mark)
    Duration timeout = std::chrono::minutes{5};
    int tries = 2;
    struct Permission {
        std::string verb, resource, subresource;  ///< resource as plural.group
    };
    std::vector<Permission> permissions;
};

/// Everything that one action call may use.
struct ActionContext {
    std::shared_ptr<kube::Client> client;  ///< of the step's cluster
    async::Clock* clock = nullptr;
    ObjectRef target;     ///< as planned
    json::Object params;  ///< validated, defaults filled in
    ActionId id;          ///< derived from execution, step and attempt: names of created objects end in its last 8 hex
    ExecutionId execution;
    std::string fault_class;
    json::Value pre_image;  ///< stored; null in prepare()
    bool dry_run = false;
    Deadline deadline;
    std::string security_note;  ///< free text for people, never interpreted
};

/// prepare() reads and checks; its result is stored before anything is changed.
struct Prepared {
    json::Value pre_image;            ///< touched fields, resourceVersion, manager; whole object for deletions
    std::vector<std::string> writes;  ///< ObjectKey strings of every object that execute() will change
    std::string request_digest;       ///< SHA-256 over what will be sent
    std::string summary;              ///< "roll shop/cart back to revision 3"
};

struct ActionOutcome {
    json::Value output;  ///< for later steps and people
    json::Value post_image;
    std::vector<std::string> calls;  ///< "PATCH deployments shop/cart → 200"
};

enum class AppliedCheck : std::uint8_t { applied, not_applied, unreadable };

/// One entry of the action registry. Instances are stateless.
class Action {
public:
    virtual ~Action() = default;
    [[nodiscard]] virtual const ActionSpec& spec() const = 0;
    /// Live re-read and preconditions (uid, not deleting, not GitOps-owned unless marked, action's own), then the pre-image. failed_precondition with
    /// reason target_changed, gitops_owned, floor, condition_cleared, ... when it must not go on.
    virtual Task<Result<Prepared>> prepare(const ActionContext& context) = 0;
    /// The calls, with preconditions; a dry run sends the same calls with dryRun=All. Applied::maybe in the error = ambiguous.
    virtual Task<Result<ActionOutcome>> execute(const ActionContext& context) = 0;
    /// After an ambiguous result or a crash: has the intent of this id been carried out?
    virtual Task<Result<AppliedCheck>> applied_already(const ActionContext& context) = 0;
    /// True when the wished effect is there; false = not yet. Polled by the engine until the action's timeout.
    virtual Task<Result<bool>> verify(const ActionContext& context) = 0;
    /// Restores the pre-image if the fields still hold our value; failed_precondition with reason drift otherwise.
    virtual Task<Result<ActionOutcome>> compensate(const ActionContext& context) = 0;
};

class ActionRegistry {
public:
    virtual ~ActionRegistry() = default;
    [[nodiscard]] virtual Action* find(std::string_view name) const = 0;
    [[nodiscard]] virtual std::vector<const Action*> all() const = 0;
};

/// Called by the engine right before every mutating call (gates 1, 5, 6, 11) and for compensation with `compensating`.
class WriteGuard {
public:
    virtual ~WriteGuard() = default;
    /// `cluster` is where the call goes: a step may work in another one than its execution. failed_precondition with the gate's reason when the call must not be made now; retry_after when it may be made later.
    virtual Task<Result<>> before_write(const Execution& execution, const ClusterId& cluster, const ActionSpec& spec, bool compensating,
                                        Deadline deadline) = 0;
    /// Outcome of a call, for the breaker.
    virtual void after_write(const Execution& execution, const ActionSpec& spec, bool ok) = 0;
};

}  // namespace kn::ports
