#pragma once

#include <deque>
#include <functional>
#include <map>
#include <set>

#include "kubernaut/engine/machine.hpp"
#include "kubernaut/expr/expr.hpp"

namespace kn::engine {

/// Where a list of steps runs.
struct Scope {
    std::string prefix;  ///< of paths: "", "verify/", "loop[2]/"
    std::string home;    ///< prefix of the nearest workflow: expressions see the steps of that one
    const WorkflowDefinition* workflow = nullptr;
    json::Object params;
    json::Object vars;  ///< item, index
};

enum class Progress : std::uint8_t { busy, done, failed };

/// What is not stored about a path: calls under way, when to try again. A new machine starts without.
struct Volatile {
    std::optional<CallKind> calling;
    Instant not_before{};
    int polls = 0;                    ///< looks so far, for the back-off of looking
    int failures = 0;                 ///< attempts that failed by themselves
    Instant first_start{};            ///< of the first attempt
    bool stored = false;              ///< the row was handed over for storing at least once
    std::optional<json::Value> live;  ///< the target as just read, for one evaluation
};

struct WorkflowMachine::State {
    State(SpecLookup lookup, RandomSource& source, MachineOptions given) : specs(std::move(lookup)), random(&source), options(std::move(given)) {}

    // -- made from stored rows (machine.cpp)
    Result<> load(ExecutionWithSteps stored);
    Effect turn(const Event& event, Instant at);

    // -- the whole (phases.cpp)
    void advance();
    void run_steps();
    void run_end();
    bool run_compensation();
    Progress run_finally();
    void finish(ExecutionState end);
    void fail_execution(const std::string& error);
    [[nodiscard]] bool stopping() const { return execution.cancel_requested || !execution.error.empty(); }
    [[nodiscard]] Scope top(std::string prefix);

    // -- lists and steps (lists.cpp)
    Progress run_list(const std::vector<StepSpec>& list, const Scope& scope, bool stop);
    Progress run_step(const StepSpec& spec, const Scope& scope, bool stop);
    Progress run_branch(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_parallel(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_loop(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_subworkflow(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_wait(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_signal(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_assert(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_notify(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress run_undo(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress complete(Step& row, json::Value output);
    Progress fail_step(const StepSpec& spec, Step& row, const Scope& scope, const Error& error);
    Progress tolerate(const StepSpec& spec, const Scope& scope);
    Progress after_inner(const StepSpec& spec, Step& row, const Scope& scope, Progress inner, bool stop);

    // -- actions (actions.cpp)
    Progress run_action(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    Progress prepare_action(const StepSpec& spec, Step& row, const Scope& scope);
    Progress verify_action(const StepSpec& spec, Step& row, const Scope& scope, bool stop);
    void on_prepared(const Prepared& event);
    void on_executed(const Executed& event);
    void on_read_back(const ReadBack& event);
    void on_verified(const Verified& event);
    void on_compensated(const Compensated& event);
    void succeed_action(Step& row, ports::ActionOutcome outcome, std::string_view how);
    /// Another attempt if the error, the tries and the time allow one, otherwise the attempt's failure is the step's.
    void fail_attempt(Step& row, const Error& error, std::string_view outcome);
    /// nullopt while busy; true = compensated, false = not.
    std::optional<bool> compensate(Step& row);
    [[nodiscard]] bool can_compensate(const Step& row) const;
    void record(const Step& row, std::string outcome, std::string error, const ports::ActionOutcome* made = nullptr);
    void audit(std::string verb, std::string object, std::string reason, json::Object details = {});

    // -- expressions (environment.cpp)
    expr::Environment environment(const Scope& scope, const std::string& path);
    Result<expr::Program> compiled(const std::string& text);
    /// unset = a live read was asked for first; otherwise the answer.
    std::optional<Result<std::optional<bool>>> condition(const std::string& text, const Scope& scope, Step& row);
    Result<json::Value> expand(const json::Value& value, const Scope& scope, const std::string& path);
    [[nodiscard]] std::string home_of(const std::string& path) const;

    // -- rows
    Step* find(std::string_view path);
    Step& open(const StepSpec& spec, const std::string& path);
    void touch(const Step& row) { dirty[{row.path, row.attempt}] = row; }
    void change(Step& row, StepState state);
    void call(const Step& row, CallKind kind);
    bool answered(const std::string& path, int attempt, CallKind kind);
    void wake(Instant at);
    Duration poll_delay(int polls) const;
    Duration jitter(const RetryPolicy& policy, int failures) const;
    /// The definition of a row's step; nullptr for rows of the engine's own (verify).
    [[nodiscard]] const StepSpec* spec_of(const Step& row) const;
    [[nodiscard]] const WorkflowDefinition* workflow_at(const std::string& home) const;
    [[nodiscard]] RetryPolicy retry_of(const Step& row) const;
    [[nodiscard]] Duration timeout_of(const Step& row) const;
    [[nodiscard]] Instant total_limit(const Step& row) const;
    [[nodiscard]] bool holds(const Error& error, bool sent) const;
    Instant next_start();
    [[nodiscard]] Instant deadline_of(const Step& row) const;
    [[nodiscard]] bool calls_under_way() const;

    Execution execution;
    WorkflowDefinition definition;
    std::map<std::string, WorkflowDefinition> subworkflows;
    std::map<std::string, Step, std::less<>> rows;  ///< the newest attempt of every path
    std::map<std::string, Volatile, std::less<>> memory;
    mutable std::map<std::pair<const WorkflowDefinition*, std::string>, const StepSpec*> specs_by_id;
    std::map<std::string, expr::Program> programs;
    std::map<std::string, ActionRecord> records;  ///< of calls made by this machine
    std::vector<std::pair<std::string, json::Value>> signals;
    bool waits_for_signal = false;
    Instant last_start{};  ///< starts are told apart even within one millisecond: compensation goes by them

    SpecLookup specs;
    RandomSource* random;
    MachineOptions options;

    // of the turn under way
    Instant now{};
    Effect effect;
    std::map<std::pair<std::string, int>, Step> dirty;
    std::map<std::string, ActionRecord> dirty_actions;
    std::vector<AuditRecord> dirty_audit;
    bool dirty_execution = false;
};

}  // namespace kn::engine
