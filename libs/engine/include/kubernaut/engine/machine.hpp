#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/result.hpp"
#include "kubernaut/domain/execution.hpp"
#include "kubernaut/domain/records.hpp"
#include "kubernaut/domain/workflow.hpp"
#include "kubernaut/ports/action_runner.hpp"

namespace kn::engine {

/// What the machine asks for. The parameters are in the step's row.
enum class CallKind : std::uint8_t { prepare, execute, read_back, verify, compensate, notify, read_live };
std::string_view to_string(CallKind kind);

struct Call {
    CallKind kind = CallKind::prepare;
    std::string path;
    int attempt = 0;
    bool durable = false;  ///< changes the cluster: everything that changed in the machine must be stored before this call is made
    bool operator==(const Call&) const = default;
};

/// What happened. Every event carries its time; answers name the call that they belong to.
struct Tick {};
struct Prepared {
    std::string path;
    int attempt = 0;
    Result<ports::Prepared> result;
};
struct Executed {
    std::string path;
    int attempt = 0;
    Result<ports::ActionOutcome> result;
    bool sent = true;  ///< false: the guard stopped it and nothing was sent
};
struct ReadBack {
    std::string path;
    int attempt = 0;
    Result<ports::AppliedCheck> result;
};
struct Verified {
    std::string path;
    int attempt = 0;
    Result<bool> result;
};
struct Compensated {
    std::string path;
    int attempt = 0;
    Result<ports::ActionOutcome> result;
    bool sent = true;
};
struct Notified {
    std::string path;
    int attempt = 0;
    Result<> result;
};
struct LiveRead {
    std::string path;
    int attempt = 0;
    Result<json::Value> result;
};
/// Everything that was ever sent to this execution, in order.
struct Signals {
    std::vector<std::pair<std::string, json::Value>> all;
};
struct CancelRequested {
    std::string by;
};
using Event = std::variant<Tick, Prepared, Executed, ReadBack, Verified, Compensated, Notified, LiveRead, Signals, CancelRequested>;

/// What to do next.
struct Effect {
    std::vector<Call> calls;         ///< to start now
    std::optional<Instant> wake_at;  ///< tick again then at the latest
    bool finished = false;           ///< the execution is in a terminal state
};

/// Everything that changed since the last take().
struct Changes {
    std::vector<Step> steps;
    std::vector<ActionRecord> actions;
    std::vector<AuditRecord> audit;
    bool execution = false;
    [[nodiscard]] bool empty() const { return !execution && steps.empty() && actions.empty() && audit.empty(); }
};

struct MachineOptions {
    RetryPolicy retry;
    Duration schedule_to_start = std::chrono::minutes{10};
    Duration read_back_limit = std::chrono::minutes{1};
    Duration verify_first = 500ms, verify_most = 5s;
    Duration compensation_limit = std::chrono::hours{1};
    Duration approval_ttl = std::chrono::minutes{15};
    std::size_t max_output = 256 * 1024, max_outputs = 2 * 1024 * 1024;
};

using SpecLookup = std::function<const ports::ActionSpec*(std::string_view action)>;

/// Moves one execution through its workflow. Pure: no I/O and no clock; its whole memory is the execution and its step rows, so that a machine made
/// from stored rows goes on where another one stopped. Rows that say a call was being made are ambiguous to a new machine: it reads back first.
/// Randomness (back-off jitter) comes from `random`.
class WorkflowMachine {
public:
    /// invalid_argument when the definition in the execution cannot be read.
    static Result<WorkflowMachine> make(ExecutionWithSteps stored, SpecLookup specs, RandomSource& random, MachineOptions options = {});
    WorkflowMachine(WorkflowMachine&&) noexcept;
    WorkflowMachine& operator=(WorkflowMachine&&) noexcept;
    ~WorkflowMachine();

    Effect on(const Event& event, Instant now);

    /// Rows to store since the last call; the caller stores all of it in one transaction or drops the machine.
    Changes take_changes();
    [[nodiscard]] bool has_changes() const;

    [[nodiscard]] const Execution& execution() const;
    /// Epoch, lease and wake-up belong to the driver.
    Execution& mutable_execution();
    [[nodiscard]] const Step* step(std::string_view path) const;
    [[nodiscard]] std::vector<Step> steps() const;
    [[nodiscard]] const WorkflowDefinition& definition() const;
    /// Latest moment for the calls of this step's attempt (start to close); for compensation, its own limit.
    [[nodiscard]] Instant deadline_of(const Step& step) const;
    /// The cluster that the step works in: its own or the execution's.
    [[nodiscard]] ClusterId cluster_of(const Step& step) const;
    /// Text of a notify or approval step.
    [[nodiscard]] std::string message_of(const Step& step) const;
    /// Steps wait for signals or approvals: feed Signals when there are new ones.
    [[nodiscard]] bool wants_signals() const;
    /// Calls were asked for and not answered yet.
    [[nodiscard]] bool calls_under_way() const;

    struct State;

private:
    explicit WorkflowMachine(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// The id of a step's effect: the same for every worker that carries out this attempt.
ActionId action_id(const ExecutionId& execution, std::string_view path, int attempt);

}  // namespace kn::engine
