#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/engine/engine_driver.hpp"
#include "kubernaut/testing/recording_notifier.hpp"
#include "player.hpp"

namespace kn::engine::test {

/// A process that can be killed at any point: from then on nothing that it does has an effect or comes back.
struct Process {
    async::Clock* clock = nullptr;
    std::string owner;
    std::int64_t points = 0, kill_at = -1;
    bool dead = false;
    async::Signal never;

    /// A place where a process may end; every store call and every effect has several.
    async::Task<> point() {
        if (++points == kill_at) dead = true;
        if (!dead) co_return;
        while (true) co_await never.wait(*clock, Deadline::never());
    }
};

/// The rules of the real store that the engine relies on: epochs, leases, intents before effects, legal transitions.
struct Tables {
    std::map<std::string, ExecutionWithSteps> executions;
    std::map<std::string, std::vector<std::pair<std::string, json::Value>>> signals;
    std::map<std::string, ActionRecord> actions;
    std::vector<AuditRecord> audit;
    std::vector<Assessment> assessments;
    std::set<std::string> dead;
    std::map<std::string, int> locks_released;
    std::set<std::string> held_by_others;  ///< objects that another execution has locked
    std::vector<std::string> broken;       ///< rules that the engine broke
    std::int64_t commits = 0;
};

class FakeStore final : public ports::ExecutionStore {
public:
    FakeStore(Tables& tables, Process& process) : t_(tables), p_(process) {}
    int failures = 0;  ///< commits that are refused as unavailable first

    Task<Result<>> start(ports::StartRequest request, Deadline) override {
        t_.executions[request.execution.id.str()] = {.execution = request.execution, .steps = {}};
        co_return Result<>{};
    }
    Task<Result<std::vector<ExecutionWithSteps>>> claim(std::string owner, Instant now, Duration lease, int limit, Deadline) override {
        co_await p_.point();
        std::vector<ExecutionWithSteps> out;
        for (auto& [id, row] : t_.executions) {
            Execution& e = row.execution;
            using enum ExecutionState;
            if (is_terminal(e.state) || static_cast<int>(out.size()) >= limit || t_.dead.contains(id)) continue;
            if (e.lease_until && *e.lease_until > now) continue;
            const bool due = !e.wake_at || *e.wake_at <= now || e.cancel_requested;
            if (e.state != queued && !((e.state == running || e.state == verifying || e.state == compensating) && due)) continue;
            if (e.lease_until && ++e.kills >= 3) {
                t_.dead.insert(id);
                continue;
            }
            e.owner = owner, e.lease_until = now + lease, ++e.epoch;
            out.push_back(row);
        }
        co_await p_.point();
        co_return out;
    }
    Task<Result<std::vector<ExecutionId>>> renew(std::string owner, Instant until, Deadline) override {
        co_await p_.point();
        std::vector<ExecutionId> out;
        for (auto& [id, row] : t_.executions) {
            if (row.execution.owner != owner || !row.execution.lease_until) continue;
            row.execution.lease_until = until;
            out.push_back(row.execution.id);
        }
        co_return out;
    }
    Task<Result<>> commit(ports::ExecutionCommit c, Deadline) override {
        co_await p_.point();
        if (failures > 0) {
            --failures;
            co_return fail(ErrorCode::unavailable, "the store is away");
        }
        auto& row = t_.executions[c.execution.id.str()];
        if (row.execution.epoch != c.execution.epoch) co_return fail(ErrorCode::aborted, "another epoch");
        ++t_.commits;
        const bool cancel = row.execution.cancel_requested;
        const std::string by = row.execution.cancel_by;
        const auto kills = row.execution.kills;
        if (is_terminal(row.execution.state)) t_.broken.push_back("a terminal execution was written again");
        row.execution = c.execution;
        row.execution.kills = std::ranges::any_of(c.steps, [](const Step& step) { return is_terminal(step.state); }) ? 0 : kills;
        if (cancel) row.execution.cancel_requested = true, row.execution.cancel_by = by;
        for (Step& step : c.steps) put(row.steps, step);
        for (auto& record : c.actions) t_.actions[record.id.str()] = record;
        for (auto& link : c.audit) t_.audit.push_back(link);
        if (c.assessment) t_.assessments.push_back(*c.assessment);
        if (c.release_locks) ++t_.locks_released[c.execution.id.str()];
        co_await p_.point();
        co_return Result<>{};
    }
    Task<Result<>> lock(ClusterId, ExecutionId id, std::int64_t epoch, std::vector<std::string> keys, Instant, Deadline) override {
        co_await p_.point();
        if (t_.executions[id.str()].execution.epoch != epoch) co_return fail(ErrorCode::aborted, "another epoch");
        for (const auto& key : keys) {
            if (t_.held_by_others.contains(key))
                co_return fail(Error{.code = ErrorCode::failed_precondition, .message = key + " is held", .reason = "busy"});
        }
        co_return Result<>{};
    }
    Task<Result<ExecutionWithSteps>> get(ExecutionId id, Deadline) override {
        co_await p_.point();
        co_return t_.executions[id.str()];
    }
    Task<Result<ports::PageOf<Execution>>> list(ports::ExecutionFilter, ports::Page, Deadline) override { co_return ports::PageOf<Execution>{}; }
    Task<Result<std::optional<Instant>>> next_wake(Deadline) override {
        co_await p_.point();
        std::optional<Instant> next;
        for (const auto& [id, row] : t_.executions) {
            const auto& e = row.execution;
            if (!is_terminal(e.state) && !e.lease_until && e.wake_at && (!next || *e.wake_at < *next)) next = e.wake_at;
        }
        co_return next;
    }
    Task<Result<>> request_cancel(ExecutionId id, std::string by, Instant, Deadline) override {
        auto& e = t_.executions[id.str()].execution;
        e.cancel_requested = true, e.cancel_by = by;
        co_return Result<>{};
    }
    Task<Result<>> send_signal(ExecutionId id, std::string name, json::Value payload, Instant now, Deadline) override {
        t_.signals[id.str()].emplace_back(name, payload);
        t_.executions[id.str()].execution.wake_at = now;
        co_return Result<>{};
    }
    Task<Result<std::vector<std::pair<std::string, json::Value>>>> signals(ExecutionId id, Deadline) override {
        co_await p_.point();
        co_return t_.signals[id.str()];
    }
    Task<Result<std::vector<Execution>>> dead_letters(Deadline) override {
        std::vector<Execution> out;
        for (const auto& id : t_.dead) out.push_back(t_.executions[id].execution);
        co_return out;
    }
    Task<Result<ports::PageOf<ActionRecord>>> actions(ports::ActionFilter, ports::Page, Deadline) override {
        co_return ports::PageOf<ActionRecord>{};
    }
    Task<Result<std::vector<std::pair<std::string, ExecutionId>>>> locks(ClusterId, Deadline) override {
        co_return std::vector<std::pair<std::string, ExecutionId>>{};
    }

private:
    void put(std::vector<Step>& steps, const Step& step) {
        const auto at = std::ranges::find_if(steps, [&](const Step& old) { return old.path == step.path && old.attempt == step.attempt; });
        const auto from = at == steps.end() ? StepState::pending : at->state;
        const bool effect =
            step.mutating && (step.state == StepState::in_flight || step.state == StepState::ambiguous || step.state == StepState::succeeded);
        if (effect && (from == StepState::pending || from == StepState::ready))
            t_.broken.push_back(step.path + " has an effect without a stored intent");
        if (from != step.state && !may_reach(from, step.state)) {
            t_.broken.push_back(step.path + ": " + std::string(to_string(from)) + " → " + std::string(to_string(step.state)));
        }
        if (at == steps.end())
            steps.push_back(step);
        else
            *at = step;
    }
    Tables& t_;
    Process& p_;
};

/// What the cluster has seen.
struct FakeCluster {
    std::map<std::string, int> effects;  ///< by "value" parameter of the step
    std::set<std::string> applied;       ///< action ids
    std::map<std::string, int> undone;
    int prepares = 0, dry_runs = 0, verifies = 0;
    std::vector<std::string> writes;     ///< beyond the target, of every action
    double lose_answer = 0, refuse = 0;  ///< shares of calls
    int not_yet = 0;                     ///< looks of verify() that say so first
};

class FakeAction final : public ports::Action {
public:
    FakeAction(const ports::ActionSpec& spec, FakeCluster& cluster, Process& process, RandomSource& random)
        : spec_(spec), c_(cluster), p_(process), random_(random) {}
    [[nodiscard]] const ports::ActionSpec& spec() const override { return spec_; }
    Task<Result<ports::Prepared>> prepare(const ports::ActionContext&) override {
        co_await p_.point();
        ++c_.prepares;
        co_return ports::Prepared{.pre_image = json::Object{{"was", 1}}, .writes = c_.writes, .request_digest = "d", .summary = "s"};
    }
    Task<Result<ports::ActionOutcome>> execute(const ports::ActionContext& context) override {
        const std::string value(json::string_at(json::Value(context.params), "value"));
        const std::string id = context.id.str();
        if (context.dry_run) {
            ++c_.dry_runs;
            co_return ports::ActionOutcome{};
        }
        co_await p_.point();
        if (random_.unit() < c_.refuse) co_return fail(ErrorCode::unavailable, "try again");
        ++c_.effects[value];
        c_.applied.insert(id);
        co_await p_.point();
        if (random_.unit() < c_.lose_answer) co_return fail(lost());
        co_return ports::ActionOutcome{.output = json::Object{{"did", value}}, .post_image = nullptr, .calls = {"PATCH"}};
    }
    Task<Result<ports::AppliedCheck>> applied_already(const ports::ActionContext& context) override {
        const std::string id = context.id.str();
        co_await p_.point();
        co_return c_.applied.contains(id) ? ports::AppliedCheck::applied : ports::AppliedCheck::not_applied;
    }
    Task<Result<bool>> verify(const ports::ActionContext&) override {
        co_await p_.point();
        co_return ++c_.verifies > c_.not_yet;
    }
    Task<Result<ports::ActionOutcome>> compensate(const ports::ActionContext& context) override {
        const std::string value(json::string_at(json::Value(context.params), "value"));
        co_await p_.point();
        c_.undone[value] = 1;  // idempotent, as the contract asks
        co_await p_.point();
        co_return ports::ActionOutcome{};
    }

private:
    const ports::ActionSpec& spec_;
    FakeCluster& c_;
    Process& p_;
    RandomSource& random_;
};

class FakeRegistry final : public ports::ActionRegistry {
public:
    FakeRegistry(FakeCluster& cluster, Process& process, RandomSource& random) {
        for (const auto& [name, spec] : fake_specs()) actions_.emplace(name, std::make_unique<FakeAction>(spec, cluster, process, random));
    }
    [[nodiscard]] ports::Action* find(std::string_view name) const override {
        const auto found = actions_.find(name);
        return found == actions_.end() ? nullptr : found->second.get();
    }
    [[nodiscard]] std::vector<const ports::Action*> all() const override { return {}; }

private:
    std::map<std::string, std::unique_ptr<ports::Action>, std::less<>> actions_;
};

class FakeGateway final : public ports::ClusterGateway {
public:
    explicit FakeGateway(async::Clock& clock) : client_(std::make_shared<kube::Client>(nullptr, clock)) {}
    [[nodiscard]] std::vector<ClusterRecord> clusters() const override { return {}; }
    [[nodiscard]] std::optional<ClusterRecord> cluster(const ClusterId& id) const override {
        return ClusterRecord{.id = id, .environment = Environment::dev};
    }
    std::shared_ptr<kube::Client> client(const ClusterId&) override { return client_; }
    std::shared_ptr<const kube::ObjectCache> cache(const ClusterId&, const kube::Resource&) override { return nullptr; }
    std::optional<ObjectRef> tombstone(const ClusterId&, std::string_view, std::string_view, std::string_view) override { return std::nullopt; }
    Task<Result<>> check_fence(const ClusterId&, Deadline) override { co_return Result<>{}; }

private:
    std::shared_ptr<kube::Client> client_;
};

class FakeGuard final : public ports::WriteGuard {
public:
    explicit FakeGuard(Process& process) : p_(process) {}
    int holds = 0;
    std::string deny;
    Task<Result<>> before_write(const Execution&, const ClusterId&, const ports::ActionSpec&, bool, Deadline) override {
        co_await p_.point();
        if (!deny.empty()) co_return fail(Error{.code = ErrorCode::failed_precondition, .message = deny, .reason = deny});
        if (holds > 0) {
            --holds;
            co_return fail(Error{.code = ErrorCode::failed_precondition, .message = "paused", .reason = "paused", .retry_after = Duration{20'000}});
        }
        co_return Result<>{};
    }
    void after_write(const Execution&, const ports::ActionSpec&, bool) override {}

private:
    Process& p_;
};

/// One worker process with all that the driver needs.
struct Worker {
    Worker(async::EventLoop& loop, Tables& tables, FakeCluster& cluster, std::string name, std::uint64_t seed, EngineOptions options = {})
        : random(seed), store(tables, process), registry(cluster, process, random), gateway(loop.clock()), guard(process) {
        process.clock = &loop.clock();
        options.owner = name;
        process.owner = std::move(name);
        driver = std::make_unique<EngineDriver>(store, registry, gateway, guard, notifier, wakeups, feed, loop.clock(), random, loop.executor(),
                                                std::move(options));
    }
    Process process;
    SeededRandom random;
    FakeStore store;
    FakeRegistry registry;
    FakeGateway gateway;
    FakeGuard guard;
    kn::testing::RecordingNotifier notifier;
    ports::Wakeups wakeups;
    ports::LiveFeed feed;
    std::unique_ptr<EngineDriver> driver;
};

}  // namespace kn::engine::test
