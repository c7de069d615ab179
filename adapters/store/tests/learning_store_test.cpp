#include "contract.hpp"

namespace kn::store_test {
namespace {

class LearningStoreContract : public StoreContract {
protected:
    static Assessment an_assessment(int n) {
        Assessment a{.id = AssessmentId(id("asm_", n)), .cluster = eu1, .execution = an_execution(n).id, .workflow = "w", .fault_class = "oom.leak"};
        a.action_at = t0;
        a.due_at = t0 + Duration{n * 1000};
        a.looks = 1;
        return a;
    }
    static Posterior sums(double a, std::int64_t version = 0) {
        return {.scope = ClusterId("_env/prod"), .workflow = "w", .fault_class = "oom.leak", .a = a, .b = 0.1, .n = 1, .version = version};
    }
    /// An execution that ran to its end, with one changing step.
    ExecutionId finished(int n, ExecutionState end, bool dry_run = false) {
        auto start = a_start(n);
        start.execution.dry_run = dry_run;
        must(executions().start(std::move(start), soon()));
        auto claimed = must(executions().claim("w1", t0 + 1s, 15s, 10, soon()));
        EXPECT_EQ(claimed.size(), 1U);
        Execution execution = claimed.at(0).execution;
        Step step = a_step(execution, "change", StepState::intent_stored);
        step.mutating = true;
        execution.state = ExecutionState::running;
        must(executions().commit({.execution = execution, .steps = {step}}, soon()));
        step.state = StepState::succeeded;
        execution.state = end;
        execution.finished_at = t0 + 3s;
        execution.lease_until.reset();
        must(executions().commit({.execution = execution, .steps = {step}, .release_locks = true}, soon()));
        return execution.id;
    }
    Incident ended(int n, Instant closed_at) {
        Incident incident = an_incident(n);
        must(incidents().commit({.incidents = {incident}}, soon()));
        incident.version = 1;
        incident.state = IncidentState::resolved;
        incident.closed_at = incident.updated_at = closed_at;
        must(incidents().commit({.incidents = {incident}}, soon()));
        incident.version = 2;
        return incident;
    }
};

TEST_P(LearningStoreContract, ClaimsADueAssessmentOnce) {
    for (int n = 1; n <= 3; ++n) {
        Assessment a{.id = AssessmentId(id("asm_", n)), .cluster = eu1, .execution = an_execution(n).id, .workflow = "w", .fault_class = "oom.leak"};
        a.action_at = t0;
        a.due_at = t0 + Duration{n * 1000};
        must(learning().schedule(a, soon()));
        must(learning().schedule(a, soon()));
    }
    const auto due = must(learning().claim_due(t0 + 2s, t0 + 1min, 10, soon()));
    ASSERT_EQ(due.size(), 2U);
    EXPECT_LT(due[0].due_at, due[1].due_at);
    EXPECT_TRUE(must(learning().claim_due(t0 + 2s, t0 + 1min, 10, soon())).empty());
    EXPECT_EQ(must(learning().claim_due(t0 + 2min, t0 + 3min, 10, soon())).size(), 3U) << "the claim ran out";
    Assessment scored = due[0];
    scored.score = 0.0;
    scored.done_at = t0 + 3s;
    scored.looks = 1;
    must(learning().complete({.assessment = scored, .audit = {a_record(1)}}, soon()));
    const auto done = must(learning().assessments({.fault_class = "oom.leak", .done_only = true}, {}, soon()));
    ASSERT_EQ(done.items.size(), 1U);
    EXPECT_EQ(done.items[0].score, 0.0);
    EXPECT_EQ(must(learning().assessments({}, {}, soon())).items.size(), 3U);
    scored.note = "another";
    EXPECT_EQ(error_of(learning().complete({.assessment = scored}, soon())).code, ErrorCode::aborted) << "this look is stored already";
}

TEST_P(LearningStoreContract, ALookIsStoredOnceAndSumsThatMovedAreNotOverwritten) {
    Assessment a = an_assessment(1);
    const UntreatedSpell spell{.cluster = eu1, .environment = Environment::prod, .fault_class = "oom.leak", .left = 5min, .healed = true};
    must(learning().complete({.assessment = a, .posteriors = {sums(0.75)}, .spells = {spell}}, soon()));
    const auto read = must(learning().posteriors("oom.leak", soon()));
    ASSERT_EQ(read.size(), 1U);
    EXPECT_EQ(read[0].a, 0.75);
    EXPECT_EQ(read[0].b, 0.1);
    Posterior next = read[0];
    next.a = 1.5;
    EXPECT_EQ(error_of(learning().complete({.assessment = a, .posteriors = {next}}, soon())).code, ErrorCode::aborted) << "the same look again";
    a.looks = 2;
    must(learning().complete({.assessment = a, .posteriors = {next}}, soon()));
    Assessment b = an_assessment(2);
    EXPECT_EQ(error_of(learning().complete({.assessment = b, .posteriors = {next}, .audit = {a_record(1)}}, soon())).code, ErrorCode::aborted)
        << "the sums moved since they were read";
    EXPECT_TRUE(must(registry().audit({}, {}, soon())).items.empty());
    EXPECT_EQ(must(learning().posteriors("oom.leak", soon())).at(0).a, 1.5);
    EXPECT_EQ(must(learning().spells("oom.leak", Environment::prod, 10, soon())).size(), 1U);
    EXPECT_TRUE(must(learning().spells("oom.leak", Environment::dev, 10, soon())).empty());
}

TEST_P(LearningStoreContract, ADoneAssessmentIsDueOnceMoreForTheLookAtRecurrence) {
    Assessment a = an_assessment(1);
    must(learning().schedule(a, soon()));
    a.looks = 2;
    a.done_at = t0 + 1min;
    a.score = 0.9;
    a.recheck_at = t0 + 24h;
    must(learning().complete({.assessment = a}, soon()));
    EXPECT_TRUE(must(learning().claim_due(t0 + 23h, t0 + 23h + 1min, 10, soon())).empty());
    const auto due = must(learning().claim_due(t0 + 24h, t0 + 24h + 1min, 10, soon()));
    ASSERT_EQ(due.size(), 1U);
    EXPECT_EQ(due[0].score, 0.9);
    EXPECT_EQ(due[0].looks, 2);
    a.looks = 3;
    a.recheck_at.reset();
    must(learning().complete({.assessment = a}, soon()));
    EXPECT_TRUE(must(learning().claim_due(t0 + 100h, t0 + 101h, 10, soon())).empty());
}

TEST_P(LearningStoreContract, AnUndoIsAskedForWithTheJudgementOrNotAtAll) {
    const ExecutionId good = finished(1, ExecutionState::succeeded);
    Assessment a = an_assessment(1);
    a.worse = "worse";
    must(learning().complete({.assessment = a,
                              .undo = ports::UndoRequest{good, "made it worse: x", t0 + 5min},
                              .notices = {{.kind = "execution_worse", .key = "k", .cluster = eu1}}},
                             soon()));
    const auto run = must(executions().get(good, soon()));
    EXPECT_EQ(run.execution.state, ExecutionState::compensating);
    EXPECT_EQ(run.execution.error, "made it worse: x");
    EXPECT_FALSE(run.execution.finished_at);
    EXPECT_EQ(must(executions().locks(eu1, soon())).size(), 1U) << "its target is locked again";
    EXPECT_EQ(must(stores_->outbox().claim("", t0 + 6min, t0 + 7min, 10, soon())).size(), 1U);
    const auto claimed = must(executions().claim("w2", t0 + 5min + 1s, 15s, 10, soon()));
    ASSERT_EQ(claimed.size(), 1U) << "a worker takes it up like any other";
    EXPECT_EQ(claimed[0].steps.size(), 1U);
    Execution undone = claimed[0].execution;
    Step step = claimed[0].steps[0];
    step.state = StepState::compensating;
    must(executions().commit({.execution = undone, .steps = {step}}, soon()));
    step.state = StepState::compensated;
    undone.state = ExecutionState::compensated;
    undone.lease_until.reset();
    must(executions().commit({.execution = undone, .steps = {step}, .release_locks = true}, soon()));
    a.looks = 2;
    const Error again = error_of(learning().complete({.assessment = a, .undo = ports::UndoRequest{good, "again", t0 + 6min}}, soon()));
    EXPECT_EQ(again.code, ErrorCode::failed_precondition);
    EXPECT_EQ(again.reason, "not_succeeded");
    EXPECT_EQ(must(learning().assessments({}, {}, soon())).items.at(0).looks, 1) << "the judgement went back with it";
}

TEST_P(LearningStoreContract, AnUndoWaitsForNobodyElsesWork) {
    const ExecutionId old = finished(1, ExecutionState::succeeded);
    auto other = a_start(2);
    other.locks = {an_object("cart1").str()};
    other.locks_until = t0 + 1h;
    must(executions().start(std::move(other), soon()));
    const Error busy = error_of(learning().complete({.assessment = an_assessment(1), .undo = ports::UndoRequest{old, "worse", t0 + 5min}}, soon()));
    EXPECT_EQ(busy.reason, "busy");
    EXPECT_EQ(must(executions().get(old, soon())).execution.state, ExecutionState::succeeded);
}

TEST_P(LearningStoreContract, ADryRunHasNothingToUndo) {
    const ExecutionId dry = finished(1, ExecutionState::succeeded, true);
    EXPECT_EQ(error_of(learning().complete({.assessment = an_assessment(1), .undo = ports::UndoRequest{dry, "worse", t0 + 5min}}, soon())).reason,
              "not_succeeded");
}

TEST_P(LearningStoreContract, LearnsFromAnEndedIncidentOnceAndAgainWhenItWasOpenedAgain) {
    Incident first = ended(1, t0 + 1min);
    ended(2, t0 + 30min);
    must(incidents().commit({.incidents = {an_incident(3)}}, soon()));
    const auto before = must(learning().unlearned(t0 + 10min, 10, soon()));
    ASSERT_EQ(before.size(), 1U);
    EXPECT_EQ(before[0].id, first.id);
    const UntreatedSpell spell{.cluster = eu1, .environment = Environment::prod, .fault_class = "oom.leak", .left = 1min, .healed = true};
    must(learning().learn(eu1, first.id, spell, soon()));
    must(learning().learn(eu1, first.id, spell, soon()));
    EXPECT_EQ(must(learning().spells("oom.leak", Environment::prod, 10, soon())).size(), 1U);
    EXPECT_TRUE(must(learning().unlearned(t0 + 10min, 10, soon())).empty());
    first.state = IncidentState::open;
    first.closed_at.reset();
    must(incidents().commit({.incidents = {first}}, soon()));
    ++first.version;
    must(learning().learn(eu1, first.id, spell, soon()));
    EXPECT_EQ(must(learning().spells("oom.leak", Environment::prod, 10, soon())).size(), 1U) << "it is open";
    first.state = IncidentState::resolved;
    first.closed_at = t0 + 8min;
    must(incidents().commit({.incidents = {first}}, soon()));
    EXPECT_EQ(must(learning().unlearned(t0 + 10min, 10, soon())).size(), 1U);
    must(learning().learn(eu1, first.id, std::nullopt, soon()));
    EXPECT_TRUE(must(learning().unlearned(t0 + 10min, 10, soon())).empty());
    EXPECT_EQ(must(learning().spells("oom.leak", Environment::prod, 10, soon())).size(), 1U);
}

KN_EVERY_STORE(LearningStoreContract);

}  // namespace
}  // namespace kn::store_test
