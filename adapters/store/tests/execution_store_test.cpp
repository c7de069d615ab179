#include "contract.hpp"

namespace kn::store_test {
namespace {

class ExecutionStoreContract : public StoreContract {
protected:
    /// Started and claimed by "w1" for a minute.
    Execution claimed(int n) {
        must(executions().start(a_start(n), soon()));
        const auto got = must(executions().claim("w1", t0 + 1s, 60s, 10, soon()));
        return got.empty() ? Execution{} : got.back().execution;
    }
    Result<> commit(const Execution& execution, std::vector<Step> steps = {}) {
        return run(executions().commit({.execution = execution, .steps = std::move(steps)}, soon()));
    }
    std::string reason_of(ports::StartRequest request) { return error_of(executions().start(std::move(request), soon())).reason; }
};

TEST_P(ExecutionStoreContract, StartsAnExecutionAndReadsItBack) {
    must(executions().start(a_start(1), soon()));
    const auto got = must(executions().get(an_execution(1).id, soon()));
    EXPECT_EQ(got.execution.definition, an_execution(1).definition);
    EXPECT_EQ(got.execution.context, an_execution(1).context);
    EXPECT_EQ(got.execution.plan.target.key, an_execution(1).plan.target.key);
    EXPECT_EQ(got.execution.state, ExecutionState::queued);
    EXPECT_TRUE(got.steps.empty());
    EXPECT_EQ(error_of(executions().start(a_start(1), soon())).code, ErrorCode::already_exists) << "a caller that crashed after starting it";
    EXPECT_EQ(error_of(executions().get(ExecutionId("exe_none"), soon())).code, ErrorCode::not_found);
}

TEST_P(ExecutionStoreContract, ALockKeepsASecondExecutionOffTheTarget) {
    must(executions().start(a_start(1), soon()));
    auto second = a_start(2);
    second.locks = {a_start(1).locks[0], an_object("zzz").str()};
    const Error error = error_of(executions().start(second, soon()));
    EXPECT_EQ(error.code, ErrorCode::failed_precondition);
    EXPECT_EQ(error.reason, "busy");
    EXPECT_NE(error.message.find(an_execution(1).id.str()), std::string::npos) << error.message;
    EXPECT_EQ(must(executions().locks(eu1, soon())).size(), 1U) << "the refused start has left nothing";
    EXPECT_EQ(error_of(executions().get(an_execution(2).id, soon())).code, ErrorCode::not_found);
}

TEST_P(ExecutionStoreContract, LocksOnMoreObjectsAreTakenTogetherAndEndWithTheExecution) {
    must(executions().start(a_start(1), soon()));
    must(executions().start(a_start(2), soon()));
    const auto claimed = must(executions().claim("w", t0, 1min, 2, soon()));
    ASSERT_EQ(claimed.size(), 2U);
    Execution first = claimed[0].execution, second = claimed[1].execution;
    const std::string shared = an_object("settings").str(), own = an_object("aaa").str();
    ASSERT_TRUE(run(executions().lock(eu1, first.id, first.epoch, {shared}, t0 + 1min, soon())));
    EXPECT_TRUE(run(executions().lock(eu1, first.id, first.epoch, {shared}, t0 + 2min, soon()))) << "its own lock again";
    const auto before = must(executions().locks(eu1, soon())).size();
    EXPECT_EQ(error_of(executions().lock(eu1, second.id, second.epoch, {own, shared}, t0 + 1min, soon())).reason, "busy");
    EXPECT_EQ(must(executions().locks(eu1, soon())).size(), before) << "all or none";
    EXPECT_EQ(error_of(executions().lock(eu1, first.id, first.epoch - 1, {own}, t0 + 1min, soon())).code, ErrorCode::aborted);
    first.state = ExecutionState::cancelled;
    ASSERT_TRUE(run(executions().commit({.execution = first, .release_locks = true}, soon())));
    EXPECT_TRUE(run(executions().lock(eu1, second.id, second.epoch, {own, shared}, t0 + 1min, soon())));
}

TEST_P(ExecutionStoreContract, ALockOutlivesItsTimeAsLongAsItsExecutionIsUnfinished) {
    auto first = a_start(1);
    first.locks_until = from_millis(1);
    must(executions().start(first, soon()));
    auto second = a_start(2);
    second.locks = first.locks;
    EXPECT_EQ(reason_of(second), "busy");
    Execution execution = must(executions().claim("w", t0, 1s, 1, soon())).at(0).execution;
    execution.state = ExecutionState::cancelled;
    ASSERT_TRUE(run(executions().commit({.execution = execution, .release_locks = true}, soon())));
    EXPECT_TRUE(run(executions().start(second, soon())));
}

TEST_P(ExecutionStoreContract, ACooldownRefusesUntilItIsOver) {
    auto request = a_start(1);
    request.cooldowns = {{"eu1/shop/Deployment/cart rollback_deployment", t0 + 1000h * 24}};
    must(executions().start(request, soon()));
    auto second = a_start(2);
    second.cooldowns = request.cooldowns;
    EXPECT_EQ(reason_of(second), "cooldown");
    auto third = a_start(3);
    third.cooldowns = {{"incident abc", from_millis(5)}};
    must(executions().start(third, soon()));
    auto fourth = a_start(4);
    fourth.cooldowns = third.cooldowns;
    EXPECT_TRUE(run(executions().start(fourth, soon()))) << "that one is over";
}

TEST_P(ExecutionStoreContract, BudgetsCountInFlightAndPerHour) {
    const auto with = [](int n, int in_flight, int per_hour) {
        auto request = a_start(n);
        request.budgets = {{"eu1/shop", "budget_namespace", in_flight, per_hour}, {"_fleet", "budget_fleet", 100, 100}};
        return request;
    };
    must(executions().start(with(1, 2, 3), soon()));
    must(executions().start(with(2, 2, 3), soon()));
    EXPECT_EQ(reason_of(with(3, 2, 3)), "budget_namespace") << "two in flight";
    for (const auto& each : must(executions().claim("w", t0 + 1s, 60s, 10, soon()))) {
        Execution execution = each.execution;
        execution.state = ExecutionState::cancelled;
        must(executions().commit({.execution = execution, .release_locks = true}, soon()));
    }
    must(executions().start(with(4, 2, 3), soon()));
    EXPECT_EQ(reason_of(with(5, 2, 3)), "budget_namespace") << "three in this hour";
    EXPECT_TRUE(run(executions().start(with(6, 2, 4), soon())));
}

TEST_P(ExecutionStoreContract, AStartWritesItsIncidentAndAuditOrNothing) {
    must(incidents().commit({.incidents = {an_incident(1)}}, soon()));
    Incident incident = must(incidents().find(an_incident(1).id, soon()));
    incident.state = IncidentState::diagnosing;
    auto request = a_start(1);
    request.incident = incident;
    request.audit = {a_record(1)};
    must(executions().start(request, soon()));
    EXPECT_EQ(must(incidents().find(incident.id, soon())).version, 2);
    auto second = a_start(2);
    second.incident = incident;
    second.audit = {a_record(2)};
    EXPECT_EQ(error_of(executions().start(second, soon())).code, ErrorCode::aborted) << "the incident has moved";
    EXPECT_EQ(must(registry().audit({}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(executions().locks(eu1, soon())).size(), 1U);
}

TEST_P(ExecutionStoreContract, GivesWorkToOneWorkerAndRaisesTheEpoch) {
    must(executions().start(a_start(1), soon()));
    must(executions().start(a_start(2), soon()));
    const auto one = must(executions().claim("w1", t0 + 1s, 15s, 1, soon()));
    ASSERT_EQ(one.size(), 1U);
    EXPECT_EQ(one[0].execution.id, an_execution(1).id) << "oldest first";
    EXPECT_EQ(one[0].execution.epoch, 1);
    EXPECT_EQ(one[0].execution.owner, "w1");
    EXPECT_EQ(one[0].execution.lease_until, t0 + 16s);
    EXPECT_EQ(must(executions().claim("w2", t0 + 2s, 15s, 10, soon())).size(), 1U);
    EXPECT_TRUE(must(executions().claim("w3", t0 + 3s, 15s, 10, soon())).empty());
    EXPECT_EQ(must(executions().renew("w1", t0 + 60s, soon())), std::vector{an_execution(1).id});
    const auto late = must(executions().claim("w3", t0 + 30s, 15s, 10, soon()));
    ASSERT_EQ(late.size(), 1U) << "w2 has let its lease run out";
    EXPECT_EQ(late[0].execution.epoch, 2);
    EXPECT_EQ(late[0].execution.kills, 1);
    EXPECT_EQ(must(executions().renew("w2", t0 + 90s, soon())).size(), 0U);
}

TEST_P(ExecutionStoreContract, RefusesWritesOfAnOldEpoch) {
    const Execution old = claimed(1);
    const Execution now = must(executions().claim("w2", t0 + 2h, 15s, 10, soon())).at(0).execution;
    Execution write = old;
    write.state = ExecutionState::running;
    const auto refused = commit(write, {a_step(old, "a", StepState::ready)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::aborted);
    write.epoch = now.epoch;
    EXPECT_TRUE(commit(write));
    EXPECT_TRUE(must(executions().get(old.id, soon())).steps.empty()) << "the fenced write has left nothing";
}

/// One commit may carry the machine through several states, each change of which is in the table.
bool reachable(ExecutionState from, ExecutionState to) {
    std::vector<ExecutionState> reach{from};
    for (std::size_t i = 0; i < reach.size(); ++i) {
        if (reach[i] == to) return true;
        for (const auto& [next, name] : EnumNames<ExecutionState>::entries) {
            if (may_change(reach[i], next) && std::find(reach.begin(), reach.end(), next) == reach.end()) reach.push_back(next);
        }
    }
    return false;
}

TEST_P(ExecutionStoreContract, RefusesEveryChangeThatTheStateTableDoesNotAllow) {
    int n = 0;
    for (const auto& [from, from_name] : EnumNames<ExecutionState>::entries) {
        for (const auto& [to, to_name] : EnumNames<ExecutionState>::entries) {
            auto request = a_start(++n);
            request.execution.state = from;
            must(executions().start(request, soon()));
            Execution execution = request.execution;
            execution.state = to;
            const auto done = commit(execution);
            EXPECT_EQ(done.has_value(), reachable(from, to)) << from_name << " → " << to_name;
            if (!done) EXPECT_EQ(done.error().reason, "illegal_transition") << done.error().describe();
        }
    }
}

TEST_P(ExecutionStoreContract, AStepNeverGoesBack) {
    Execution execution = claimed(1);
    execution.state = ExecutionState::running;
    int n = 0;
    for (const auto& [from, from_name] : EnumNames<StepState>::entries) {
        for (const auto& [to, to_name] : EnumNames<StepState>::entries) {
            const std::string path = "s" + std::to_string(++n);
            ASSERT_TRUE(commit(execution, {a_step(execution, path, from)}));
            EXPECT_EQ(commit(execution, {a_step(execution, path, to)}).has_value(), may_reach(from, to)) << from_name << " → " << to_name;
        }
    }
}

TEST_P(ExecutionStoreContract, AMutatingStepNeedsAStoredIntentFirst) {
    Execution execution = claimed(1);
    execution.state = ExecutionState::running;
    Step step = a_step(execution, "rollback", StepState::in_flight);
    step.mutating = true;
    EXPECT_FALSE(commit(execution, {step})) << "new";
    step.state = StepState::ready;
    ASSERT_TRUE(commit(execution, {step}));
    step.state = StepState::succeeded;
    EXPECT_FALSE(commit(execution, {step})) << "from ready";
    step.state = StepState::intent_stored;
    step.pre_image = json::Value(json::Object{{"replicas", 3}});
    ASSERT_TRUE(commit(execution, {step}));
    step.state = StepState::succeeded;
    EXPECT_TRUE(commit(execution, {step}));
    const auto got = must(executions().get(execution.id, soon()));
    ASSERT_EQ(got.steps.size(), 1U);
    EXPECT_EQ(got.steps[0].state, StepState::succeeded);
    EXPECT_EQ(json::int_at(got.steps[0].pre_image, "replicas"), 3);
}

TEST_P(ExecutionStoreContract, ATurnIsOneTransactionWithItsRecords) {
    Execution execution = claimed(1);
    execution.state = ExecutionState::running;
    execution.touched_at = t0 + 2s;
    ActionRecord record;
    record.id = ActionId(id("act_", 1));
    record.cluster = eu1;
    record.execution = execution.id;
    record.action = "rollback_deployment";
    record.requested_by = "kubernaut";
    record.target.key = execution.plan.target.key;
    record.outcome = "intent";
    record.started_at = t0 + 2s;
    Assessment assessment{.id = AssessmentId(id("asm_", 1)), .cluster = eu1, .execution = execution.id};
    ports::ExecutionCommit turn{.execution = execution,
                                .steps = {a_step(execution, "a", StepState::intent_stored)},
                                .actions = {record},
                                .audit = {a_record(1)},
                                .assessment = assessment};
    must(executions().commit(turn, soon()));
    turn.execution.epoch = 99;
    turn.actions[0].id = ActionId(id("act_", 2));
    EXPECT_EQ(error_of(executions().commit(turn, soon())).code, ErrorCode::aborted);
    record.outcome = "succeeded";
    must(executions().commit({.execution = execution, .actions = {record}}, soon()));
    const auto history = must(executions().actions({.cluster = "eu1", .action = "rollback_deployment", .since = t0}, {}, soon()));
    ASSERT_EQ(history.items.size(), 1U);
    EXPECT_EQ(history.items[0].outcome, "succeeded");
    EXPECT_EQ(must(registry().audit({}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(learning().assessments({.execution = execution.id.str()}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(executions().get(execution.id, soon())).execution.touched_at, t0 + 2s);
}

TEST_P(ExecutionStoreContract, WaitsForTimersAndIsWokenBySignalsAndCancels) {
    Execution execution = claimed(1);
    execution.state = ExecutionState::running;
    execution.wake_at = t0 + 1h;
    execution.lease_until.reset();
    ASSERT_TRUE(commit(execution));
    EXPECT_EQ(must(executions().next_wake(soon())), t0 + 1h);
    EXPECT_TRUE(must(executions().claim("w2", t0 + 5s, 15s, 10, soon())).empty());
    must(executions().send_signal(execution.id, "cause.resolved", json::Value(json::Object{{"by", "inc_2"}}), t0 + 6s, soon()));
    const auto woken = must(executions().claim("w2", t0 + 6s, 15s, 10, soon()));
    ASSERT_EQ(woken.size(), 1U);
    const auto delivered = must(executions().signals(execution.id, soon()));
    ASSERT_EQ(delivered.size(), 1U);
    EXPECT_EQ(delivered[0].first, "cause.resolved");
    EXPECT_EQ(json::string_at(delivered[0].second, "by"), "inc_2");

    // A signal that comes while the worker is about to wait again is not lost.
    execution = woken[0].execution;
    must(executions().send_signal(execution.id, "second", nullptr, t0 + 7s, soon()));
    execution.wake_at = t0 + 2h;
    execution.lease_until.reset();
    ASSERT_TRUE(commit(execution));
    EXPECT_EQ(must(executions().claim("w3", t0 + 8s, 15s, 10, soon())).size(), 1U);

    must(executions().request_cancel(execution.id, "ann", t0 + 9s, soon()));
    execution = must(executions().get(execution.id, soon())).execution;
    EXPECT_TRUE(execution.cancel_requested);
    EXPECT_EQ(execution.cancel_by, "ann");
    execution.cancel_requested = false;
    execution.wake_at = t0 + 3h;
    execution.lease_until.reset();
    ASSERT_TRUE(commit(execution));
    const auto cancelled = must(executions().claim("w4", t0 + 10s, 15s, 10, soon()));
    ASSERT_EQ(cancelled.size(), 1U) << "the commit has not taken the wish to cancel back";
    execution = cancelled[0].execution;
    execution.state = ExecutionState::cancelled;
    ASSERT_TRUE(commit(execution));
    EXPECT_EQ(error_of(executions().request_cancel(execution.id, "bob", t0, soon())).code, ErrorCode::failed_precondition);
    EXPECT_EQ(must(executions().next_wake(soon())), std::nullopt);
}

TEST_P(ExecutionStoreContract, PutsAnExecutionAwayThatKillsItsWorkers) {
    auto request = a_start(1);
    request.budgets = {{"eu1", "budget_cluster", 1, 100}};
    must(executions().start(request, soon()));
    Instant now = t0 + 1s;
    for (int kills = 0; kills < 3; ++kills, now += 1min) {
        const auto got = must(executions().claim("w" + std::to_string(kills), now, 15s, 10, soon()));
        ASSERT_EQ(got.size(), 1U);
        Execution execution = got[0].execution;
        EXPECT_EQ(execution.kills, kills);
        execution.state = ExecutionState::running;
        ASSERT_TRUE(commit(execution, {a_step(execution, "a", StepState::ready)}));
    }
    EXPECT_TRUE(must(executions().claim("w4", now, 15s, 10, soon())).empty());
    const auto dead = must(executions().dead_letters(soon()));
    ASSERT_EQ(dead.size(), 1U);
    EXPECT_EQ(dead[0].state, ExecutionState::failed);
    EXPECT_NE(dead[0].error.find("killed 3 workers"), std::string::npos) << dead[0].error;
    auto next = a_start(2);
    next.locks = request.locks;
    next.budgets = request.budgets;
    EXPECT_TRUE(run(executions().start(next, soon()))) << "its lock and its budget are free";
}

TEST_P(ExecutionStoreContract, AWorkerThatBringsStepsToTheirEndIsNotPoisoned) {
    must(executions().start(a_start(1), soon()));
    Instant now = t0 + 1s;
    for (int turn = 0; turn < 8; ++turn, now += 1min) {
        const auto got = must(executions().claim("w", now, 15s, 10, soon()));
        ASSERT_EQ(got.size(), 1U) << turn;
        Execution execution = got[0].execution;
        execution.state = ExecutionState::running;
        ASSERT_TRUE(commit(execution, {a_step(execution, "s" + std::to_string(turn), StepState::succeeded)}));
    }
    EXPECT_TRUE(must(executions().dead_letters(soon())).empty());
}

TEST_P(ExecutionStoreContract, AnUnreadableExecutionBecomesADeadLetterAndHoldsNobodyUp) {
    must(executions().start(a_start(1), soon()));
    must(executions().start(a_start(2), soon()));
    tamper("UPDATE executions SET doc = '{\"state\":' WHERE id = '" + an_execution(1).id.str() + "'");
    const auto got = must(executions().claim("w", t0 + 1s, 15s, 10, soon()));
    ASSERT_EQ(got.size(), 1U);
    EXPECT_EQ(got[0].execution.id, an_execution(2).id);
    const auto dead = must(executions().dead_letters(soon()));
    ASSERT_EQ(dead.size(), 1U);
    EXPECT_EQ(dead[0].id, an_execution(1).id);
    EXPECT_EQ(must(executions().list({}, {}, soon())).items.size(), 1U) << "the list shows what it can read";
}

TEST_P(ExecutionStoreContract, ListsByFilter) {
    for (int n = 1; n <= 6; ++n) must(executions().start(a_start(n, n % 2 == 0 ? eu1 : us1), soon()));
    EXPECT_EQ(must(executions().list({.cluster = "eu1"}, {}, soon())).items.size(), 3U);
    EXPECT_EQ(must(executions().list({.target = an_object("cart3", us1).str()}, {}, soon())).items.size(), 1U);
    EXPECT_TRUE(must(executions().list({.states = {ExecutionState::running}}, {}, soon())).items.empty());
    const auto page = must(executions().list({.workflow = "rollback-deployment"}, {.limit = 4}, soon()));
    EXPECT_EQ(page.items.front().id, an_execution(6).id);
    EXPECT_EQ(must(executions().list({}, {.limit = 4, .cursor = page.next}, soon())).items.size(), 2U);
}

KN_EVERY_STORE(ExecutionStoreContract);

}  // namespace
}  // namespace kn::store_test
