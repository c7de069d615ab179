// What people who run it need of the store: dead letters of executions, search in history, and old rows that go.
#include "contract.hpp"
#include "kubernaut/metrics/registry.hpp"
#include "kubernaut/store/housekeeper.hpp"

namespace kn::store_test {
namespace {

class OperationsContract : public StoreContract {
protected:
    /// An execution that has ended three workers in the middle of a change.
    Execution poisoned(int n, ExecutionState in = ExecutionState::running) {
        auto start = a_start(n);
        must(executions().start(start, soon()));
        auto claimed = must(executions().claim("w1", t0 + 1s, 15s, 10, soon()));
        EXPECT_EQ(claimed.size(), 1U);
        Execution execution = claimed.at(0).execution;
        execution.state = in;
        execution.error = in == ExecutionState::compensating ? "its own error" : "";
        Step step = a_step(execution, "change", StepState::intent_stored);
        step.mutating = true;
        must(executions().commit({.execution = execution, .steps = {step}}, soon()));
        for (int kill = 1; kill <= 3; ++kill) (void)must(executions().claim("w" + std::to_string(kill), t0 + kill * 1min, 15s, 10, soon()));
        return must(executions().get(execution.id, soon())).execution;
    }
};

TEST_P(OperationsContract, AnExecutionThatKillsItsWorkersIsListedWithItsReasonAndCounted) {
    const Execution dead = poisoned(1);
    EXPECT_EQ(dead.state, ExecutionState::failed);
    const auto letters = must(registry().dead_letters({.cluster = "eu1"}, {}, soon()));
    ASSERT_EQ(letters.items.size(), 1U);
    EXPECT_EQ(letters.items[0].id, dead.id.str());
    EXPECT_EQ(letters.items[0].kind, "execution");
    EXPECT_EQ(letters.items[0].reason, "killed 3 workers");
    EXPECT_EQ(letters.items[0].title, "rollback-deployment on eu1/shop/Deployment.apps/cart1");
    const auto one = must(registry().dead_letter(dead.id.str(), soon()));
    EXPECT_EQ(json::string_at(one.details, "state"), "running");
    EXPECT_TRUE(must(registry().dead_letters({.cluster = "us1"}, {}, soon())).items.empty());
    metrics::Registry metrics;
    Housekeeper keeper(*loop_, *stores_, metrics, {});
    must(keeper.look_once());
    EXPECT_EQ(metrics.gauge("kubernaut_dead_letter_items", "", {{"queue", "execution"}}).value(), 1);
    EXPECT_EQ(metrics.gauge("kubernaut_dead_letter_items", "", {{"queue", "notification"}}).value(), 0);
}

TEST_P(OperationsContract, AReplayGoesOnInTheStateInWhichItStoppedWithItsStepsAndItsLock) {
    for (const ExecutionState state : {ExecutionState::running, ExecutionState::compensating}) {
        const int n = state == ExecutionState::running ? 1 : 2;
        const Execution dead = poisoned(n, state);
        EXPECT_TRUE(is_terminal(dead.state));
        EXPECT_TRUE(must(executions().locks(eu1, soon())).empty());
        must(registry().replay_dead_letter(dead.id.str(), a_record(n), t0 + 1h, soon()));
        EXPECT_EQ(must(executions().locks(eu1, soon())).size(), 1U);
        auto claimed = must(executions().claim("w9", t0 + 1h + 1s, 15s, 10, soon()));
        ASSERT_EQ(claimed.size(), 1U);
        Execution back = claimed[0].execution;
        EXPECT_EQ(back.state, state);
        EXPECT_EQ(back.error, state == ExecutionState::compensating ? "its own error" : "");
        EXPECT_EQ(back.kills, 0);
        EXPECT_GT(back.epoch, dead.epoch) << "whoever held it before is fenced";
        EXPECT_FALSE(back.finished_at);
        ASSERT_EQ(claimed[0].steps.size(), 1U);
        EXPECT_EQ(claimed[0].steps[0].state, StepState::intent_stored) << "the intent is there: it is read back before anything is sent again";
        EXPECT_TRUE(must(registry().dead_letters({}, {}, soon())).items.empty());
        back.state = state == ExecutionState::running ? ExecutionState::cancelled : ExecutionState::compensated;
        back.lease_until.reset();
        must(executions().commit({.execution = back, .release_locks = true}, soon()));
    }
}

TEST_P(OperationsContract, AReplayWaitsForWhoeverHoldsTheTargetNow) {
    const Execution dead = poisoned(1);
    auto other = a_start(2);
    other.locks = {an_object("cart1").str()};
    must(executions().start(std::move(other), soon()));
    EXPECT_EQ(error_of(registry().replay_dead_letter(dead.id.str(), a_record(1), t0 + 1h, soon())).reason, "busy");
    EXPECT_EQ(must(registry().dead_letters({}, {}, soon())).items.size(), 1U) << "the letter is still there";
    EXPECT_EQ(must(executions().get(dead.id, soon())).execution.state, ExecutionState::failed);
    must(registry().purge_dead_letter(dead.id.str(), a_record(2), soon()));
    EXPECT_EQ(must(executions().get(dead.id, soon())).execution.state, ExecutionState::failed) << "the history stays";
}

TEST_P(OperationsContract, DiesASecondTimeAfterAReplay) {
    const Execution dead = poisoned(1);
    must(registry().replay_dead_letter(dead.id.str(), a_record(1), t0 + 1h, soon()));
    for (int kill = 0; kill <= 3; ++kill) (void)must(executions().claim("w", t0 + 1h + kill * 1min, 15s, 10, soon()));
    const auto letters = must(registry().dead_letters({}, {}, soon()));
    ASSERT_EQ(letters.items.size(), 1U);
    EXPECT_EQ(letters.items[0].at, t0 + 1h + 3min);
}

TEST_P(OperationsContract, HistoryIsFoundByPersonActionTimeAndCorrelationPageByPage) {
    Incident incident = an_incident(1);
    must(incidents().commit({.incidents = {incident}}, soon()));
    std::vector<std::string> act_ids;
    for (int n = 1; n <= 12; ++n) {
        auto start = a_start(n);
        if (n <= 6) start.execution.incident = incident.id;
        must(executions().start(std::move(start), soon()));
        auto claimed = must(executions().claim("w", t0 + 1s, 15s, 10, soon()));
        ActionRecord record;
        record.id = ActionId(id("act_", n));
        act_ids.push_back(record.id.str());
        record.cluster = eu1;
        record.execution = claimed.at(0).execution.id;
        record.action = n % 2 == 0 ? "restart_pod" : "rollback_deployment";
        record.requested_by = n % 3 == 0 ? "ann" : "kubernaut";
        record.target.key = an_object("cart");
        record.outcome = "succeeded";
        record.started_at = t0 + n * 1min;
        Execution execution = claimed.at(0).execution;
        AuditRecord audit = a_record(n);
        audit.details = {{"execution", execution.id.str()}};
        execution.state = ExecutionState::running;
        must(executions().commit({.execution = execution, .actions = {record}, .audit = {audit}}, soon()));
    }
    const auto count = [&](ports::ActionFilter filter) {
        std::set<std::string> seen;
        ports::Page page{.limit = 2};
        do {
            const auto got = must(executions().actions(filter, page, soon()));
            for (const auto& each : got.items) EXPECT_TRUE(seen.insert(each.id.str()).second);
            page.cursor = got.next;
        } while (!page.cursor.empty());
        return seen.size();
    };
    EXPECT_EQ(count({}), 12U);
    EXPECT_EQ(count({.actor = "ann"}), 4U);
    EXPECT_EQ(count({.action = "restart_pod"}), 6U);
    EXPECT_EQ(count({.action = "restart_pod", .actor = "ann"}), 2U);
    EXPECT_EQ(count({.since = t0 + 3min, .until = t0 + 6min}), 3U);
    EXPECT_EQ(count({.correlation = incident.id.str()}), 6U);
    EXPECT_EQ(count({.correlation = an_execution(9).id.str()}), 1U);
    EXPECT_EQ(count({.correlation = act_ids[3]}), 1U);
    EXPECT_EQ(count({.actor = "ann", .correlation = incident.id.str()}), 2U);
    EXPECT_EQ(count({.correlation = "inc_unknown"}), 0U);

    const auto audited = [&](ports::AuditFilter filter) { return must(registry().audit(std::move(filter), {.limit = 100}, soon())).items.size(); };
    EXPECT_EQ(audited({.correlation = incident.id.str()}), 6U);
    EXPECT_EQ(audited({.correlation = an_execution(9).id.str()}), 1U);
    EXPECT_EQ(audited({.verb = "execution.start"}), 12U);
    EXPECT_EQ(audited({.verb = "other"}), 0U);
    EXPECT_EQ(audited({.since = t0 + Duration{3}, .until = t0 + Duration{6}}), 3U);
    EXPECT_TRUE(must(registry().verify_audit("", soon())).intact) << "what helps to search is not part of the chain";
}

TEST_P(OperationsContract, OldRowsGoInSmallBatchesWithAllThatHangsOnThem) {
    constexpr int n = 25;
    for (int i = 1; i <= n; ++i) {
        must(executions().start(a_start(i), soon()));
        auto claimed = must(executions().claim("w", t0 + 1s, 15s, 10, soon()));
        Execution execution = claimed.at(0).execution;
        Step step = a_step(execution, "a", StepState::intent_stored);
        step.mutating = true;
        execution.state = ExecutionState::running;
        must(executions().commit({.execution = execution, .steps = {step}}, soon()));
        if (i == n) break;  // one is still at work
        step.state = StepState::succeeded;
        execution.state = ExecutionState::succeeded;
        execution.lease_until.reset();
        must(executions().commit({.execution = execution, .steps = {step}, .release_locks = true}, soon()));
        must(stores_->outbox().put({{.kind = "k", .key = std::to_string(i), .cluster = eu1}}, t0, soon()));
    }
    const auto retention = [&](Duration keep) {
        return sql::SqlStores::Retention{.inbox = keep, .signals = keep, .history = keep, .snapshots = keep, .notifications = keep};
    };
    metrics::Registry metrics;
    // The loop's clock says today, the rows are of t0.
    const Duration age = loop_->clock().now() - t0;
    if (age > 1h) {
        Housekeeper careful(*loop_, *stores_, metrics, {.retention = retention(age + 24h), .batch = 4, .pause = 0ms});
        EXPECT_EQ(must(careful.clean_once()), 0) << "nothing is old enough";
    }
    Housekeeper keeper(*loop_, *stores_, metrics, {.retention = retention(age - 24h), .batch = 4, .pause = 0ms});
    EXPECT_EQ(must(stores_->retain(retention(age - 24h), 4, soon())), 8) << "at most four of a table at once";
    EXPECT_EQ(must(keeper.clean_once()), 2 * (n - 1) - 8);
    EXPECT_EQ(must(executions().list({}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(executions().get(an_execution(n).id, soon())).steps.size(), 1U);
    EXPECT_EQ(error_of(executions().get(an_execution(1).id, soon())).code, ErrorCode::not_found);
    EXPECT_EQ(must(keeper.clean_once()), 0);
}

KN_EVERY_STORE(OperationsContract);

}  // namespace
}  // namespace kn::store_test
