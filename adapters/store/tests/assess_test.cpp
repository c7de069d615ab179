// The assessor over every store: what it learns is counted once, whenever its process dies.
#include "contract.hpp"
#include "kubernaut/assess/assessor.hpp"
#include "kubernaut/metrics/registry.hpp"

namespace kn::store_test {
namespace {

using assess::AssessOptions;
using assess::Assessor;

/// One answer for every object.
class OneObject final : public kube::Transport {
public:
    async::Task<Result<kube::Response>> send(kube::Request, Deadline) override {
        co_return kube::Response{.status = 200, .content_type = "application/json", .headers = {}, .body = json::dump(object)};
    }
    async::Task<Result<std::unique_ptr<kube::Stream>>> open(kube::Request, Deadline) override {
        co_return fail(ErrorCode::unavailable, "no streams here");
    }
    json::Value object;
};

class OneCluster final : public ports::ClusterGateway {
public:
    explicit OneCluster(async::EventLoop& loop) : client_(std::make_shared<kube::Client>(transport, loop.clock())) {}
    std::vector<ClusterRecord> clusters() const override { return {}; }
    std::optional<ClusterRecord> cluster(const ClusterId&) const override { return std::nullopt; }
    std::shared_ptr<kube::Client> client(const ClusterId&) override { return transport->object.is_null() ? nullptr : client_; }
    std::shared_ptr<const kube::ObjectCache> cache(const ClusterId&, const kube::Resource&) override { return nullptr; }
    std::optional<ObjectRef> tombstone(const ClusterId&, std::string_view, std::string_view, std::string_view) override { return std::nullopt; }
    async::Task<Result<>> check_fence(const ClusterId&, Deadline) override { co_return Result<>{}; }
    std::shared_ptr<OneObject> transport = std::make_shared<OneObject>();

private:
    std::shared_ptr<kube::Client> client_;
};

/// Every action can be taken back.
class Reversible final : public ports::ActionRegistry, public ports::Action {
public:
    ports::Action* find(std::string_view) const override { return const_cast<Reversible*>(this); }
    std::vector<const ports::Action*> all() const override { return {this}; }
    const ports::ActionSpec& spec() const override { return spec_; }
    ports::Task<Result<ports::Prepared>> prepare(const ports::ActionContext&) override { co_return fail(ErrorCode::internal, "not used"); }
    ports::Task<Result<ports::ActionOutcome>> execute(const ports::ActionContext&) override { co_return fail(ErrorCode::internal, "not used"); }
    ports::Task<Result<ports::AppliedCheck>> applied_already(const ports::ActionContext&) override {
        co_return fail(ErrorCode::internal, "not used");
    }
    ports::Task<Result<bool>> verify(const ports::ActionContext&) override { co_return fail(ErrorCode::internal, "not used"); }
    ports::Task<Result<ports::ActionOutcome>> compensate(const ports::ActionContext&) override { co_return fail(ErrorCode::internal, "not used"); }

private:
    ports::ActionSpec spec_;
};

/// Ends the process at a chosen write: nothing after it is heard, and whether the write itself was done is the test's choice.
class MortalStore final : public ports::LearningStore {
public:
    explicit MortalStore(ports::LearningStore& real) : real_(real) {}
    enum class Death { none, before, after };
    Death death = Death::none;
    int writes_until = 0;
    bool dead = false;

    async::Task<Result<>> complete(ports::Judgement judgement, Deadline deadline) override {
        if (dead) co_return gone();
        const bool now = death != Death::none && writes_until-- == 0;
        if (now && death == Death::before) co_return die();
        auto done = co_await real_.complete(std::move(judgement), deadline);
        if (now) co_return die();
        co_return done;
    }
    async::Task<Result<>> learn(ClusterId cluster, IncidentId incident, std::optional<UntreatedSpell> spell, Deadline deadline) override {
        if (dead) co_return gone();
        const bool now = death != Death::none && writes_until-- == 0;
        if (now && death == Death::before) co_return die();
        auto done = co_await real_.learn(std::move(cluster), std::move(incident), std::move(spell), deadline);
        if (now) co_return die();
        co_return done;
    }
    async::Task<Result<>> schedule(Assessment assessment, Deadline deadline) override {
        co_return co_await real_.schedule(std::move(assessment), deadline);
    }
    async::Task<Result<std::vector<Assessment>>> claim_due(Instant now, Instant until, int limit, Deadline deadline) override {
        if (dead) co_return gone();
        co_return co_await real_.claim_due(now, until, limit, deadline);
    }
    async::Task<Result<ports::PageOf<Assessment>>> assessments(ports::AssessmentFilter filter, ports::Page page, Deadline deadline) override {
        co_return co_await real_.assessments(std::move(filter), std::move(page), deadline);
    }
    async::Task<Result<std::vector<Posterior>>> posteriors(std::string fault_class, Deadline deadline) override {
        if (dead) co_return gone();
        co_return co_await real_.posteriors(std::move(fault_class), deadline);
    }
    async::Task<Result<std::vector<Incident>>> unlearned(Instant before, int limit, Deadline deadline) override {
        if (dead) co_return gone();
        co_return co_await real_.unlearned(before, limit, deadline);
    }
    async::Task<Result<std::vector<UntreatedSpell>>> spells(std::string fault_class, Environment environment, int limit, Deadline deadline) override {
        if (dead) co_return gone();
        co_return co_await real_.spells(std::move(fault_class), environment, limit, deadline);
    }

private:
    static std::unexpected<Error> gone() { return fail(ErrorCode::unavailable, "the process has ended"); }
    std::unexpected<Error> die() {
        dead = true;
        return gone();
    }
    ports::LearningStore& real_;
};

class AssessContract : public StoreContract {
protected:
    /// Everything is due at once.
    static AssessOptions at_once() {
        return {.final_after = 0ms, .give_up = 0ms, .recurrence = 1ms, .claim = 0ms, .look_again = 0ms, .learn_after = 0ms};
    }

    void make(AssessOptions options = at_once()) {
        if (!cluster_) cluster_ = std::make_unique<OneCluster>(*loop_);
        mortal_ = std::make_unique<MortalStore>(learning());
        const ports::Stores& real = stores_->ports();
        const ports::Stores stores{real.signals, real.incidents, real.executions, *mortal_, real.registry, real.patterns};
        assessor_ = std::make_unique<Assessor>(
            *loop_, stores,
            assess::AssessPorts{.fleet = *cluster_, .wakeups = wakeups_, .feed = feed_, .metrics = metrics_, .series = nullptr, .actions = &actions_},
            options);
    }
    Instant now() { return loop_->clock().now(); }

    /// An incident, the execution that treated it, and the assessment that its end scheduled.
    Assessment treated(int n, IncidentState state = IncidentState::resolved, double available_before = 0.5) {
        const Instant opened = now() - 1h + Duration{n};
        Incident incident;
        incident.id = IncidentId(derive_id("inc_", opened, {std::to_string(n)}));
        incident.cluster = eu1;
        incident.environment = Environment::prod;
        incident.target.key = an_object("cart" + std::to_string(n));
        incident.fault_class = "crashloop.bad_rollout";
        incident.incident_key = make_incident_key(incident.target.key, incident.fault_class);
        incident.opened_at = incident.updated_at = incident.next_look_at = opened;
        incident.diagnosis.emplace();
        incident.diagnosis->facts.push_back(Fact{.name = "workload.available_ratio", .value = available_before, .state = Truth::yes});
        tell(incident, opened + 1s, "diagnosed", "crashloop.bad_rollout: x");

        auto start = a_start(n);
        start.execution.id = ExecutionId(derive_id("exe_", opened + 10s, {std::to_string(n)}));
        start.execution.incident = incident.id;
        start.execution.plan.fault_class = incident.fault_class;
        start.execution.plan.risk = Risk::medium;
        start.execution.created_at = start.execution.updated_at = opened + 10s;
        incident.execution = start.execution.id;
        must(incidents().commit({.incidents = {incident}}, soon()));
        must(executions().start(std::move(start), soon()));
        auto claimed = must(executions().claim("w", now(), 15s, 10, soon()));
        EXPECT_EQ(claimed.size(), 1U);
        Execution execution = claimed.at(0).execution;
        Step step = a_step(execution, "roll", StepState::intent_stored);
        step.action = "rollback_deployment";
        step.mutating = true;
        execution.state = ExecutionState::running;
        must(executions().commit({.execution = execution, .steps = {step}}, soon()));
        step.state = StepState::succeeded;
        execution.state = ExecutionState::succeeded;
        execution.touched_at = opened + 20s;
        execution.finished_at = opened + 1min;
        execution.lease_until.reset();
        Assessment assessment;
        assessment.id = AssessmentId(derive_id("asm_", opened + 10s, {execution.id.str()}));
        assessment.cluster = eu1;
        assessment.environment = Environment::prod;
        assessment.execution = execution.id;
        assessment.incident = incident.id;
        assessment.incident_key = incident.incident_key;
        assessment.workflow = execution.plan.workflow;
        assessment.fault_class = incident.fault_class;
        assessment.target = incident.target.key;
        assessment.stage = AssessmentStage::quick;
        assessment.action_at = opened + 20s;
        assessment.due_at = opened + 6min;
        must(executions().commit({.execution = execution, .steps = {step}, .release_locks = true, .assessment = assessment}, soon()));

        incident.version = 1;
        incident.state = state;
        incident.outcome = state == IncidentState::resolved ? Outcome::remediated : Outcome::none;
        if (is_terminal(state)) incident.closed_at = opened + 2min;
        if (state != IncidentState::open) must(incidents().commit({.incidents = {incident}}, soon()));
        return assessment;
    }
    void another(const Assessment& first, std::string fault_class, const ObjectKey& target, Duration after) {
        Incident incident;
        incident.id = IncidentId(derive_id("inc_", first.action_at + after, {fault_class, target.str()}));
        incident.cluster = eu1;
        incident.target.key = target;
        incident.fault_class = std::move(fault_class);
        incident.incident_key = make_incident_key(target, incident.fault_class);
        incident.opened_at = incident.updated_at = incident.next_look_at = first.action_at + after;
        must(incidents().commit({.incidents = {incident}}, soon()));
    }
    json::Value deployment(int desired, int available, const std::string& manager = "kubernaut") {
        return json::Object{
            {"apiVersion", "apps/v1"},
            {"kind", "Deployment"},
            {"metadata", json::Object{{"name", "cart1"},
                                      {"namespace", "shop"},
                                      {"managedFields", json::Array{json::Object{{"manager", manager},
                                                                                 {"time", format_rfc3339(now() - 1min)},
                                                                                 {"fieldsV1", json::Object{{"f:spec", json::Object{}}}}}}}}},
            {"spec", json::Object{{"replicas", desired}}},
            {"status", json::Object{{"availableReplicas", available}}}};
    }
    Assessment stored(const Assessment& of) { return must(learning().assessments({.execution = of.execution.str()}, {}, soon())).items.at(0); }
    /// Passes until nothing is due.
    void settle() {
        for (int i = 0; i < 20; ++i) {
            const auto looked = run(assessor_->run_once());
            const auto learned = run(assessor_->learn_once());
            if (looked && learned && *looked == 0 && *learned == 0) return;
        }
        ADD_FAILURE() << "it never comes to rest";
    }

    ports::Wakeups wakeups_;
    ports::LiveFeed feed_;
    metrics::Registry metrics_;
    Reversible actions_;
    std::unique_ptr<OneCluster> cluster_;
    std::unique_ptr<MortalStore> mortal_;
    std::unique_ptr<Assessor> assessor_;
};

TEST_P(AssessContract, AGoodFixIsScoredCountedInThreeScopesAndTold) {
    make();
    cluster_->transport->object = deployment(4, 4);
    const Assessment a = treated(1);
    settle();
    const Assessment judged = stored(a);
    ASSERT_TRUE(judged.score);
    EXPECT_DOUBLE_EQ(*judged.score, 1);
    EXPECT_DOUBLE_EQ(judged.confidence, 1);
    EXPECT_EQ(judged.metric, 1.0) << "half of the replicas were available before, all are now";
    EXPECT_EQ(judged.drift, Truth::no);
    EXPECT_EQ(judged.stage, AssessmentStage::recurrence) << "and it has not come back";
    const auto sums = must(learning().posteriors(a.fault_class, soon()));
    ASSERT_EQ(sums.size(), 3U);
    for (const auto& each : sums) {
        EXPECT_EQ(each.n, 1);
        EXPECT_NEAR(each.a, 1, 1e-4);
        EXPECT_NEAR(each.b, 0, 1e-4);
    }
    const auto incident = must(incidents().get(eu1, *a.incident, soon()));
    EXPECT_EQ(incident.story.back().kind, "assessed");
    const auto spells = must(learning().spells(a.fault_class, Environment::prod, 10, soon()));
    ASSERT_EQ(spells.size(), 1U) << "the untreated part of a treated incident";
    EXPECT_EQ(spells[0].left, 20s);
    EXPECT_FALSE(spells[0].healed);
}

TEST_P(AssessContract, WhenSomebodyElseChangedTheTargetNothingIsCredited) {
    make();
    cluster_->transport->object = deployment(4, 4, "kubectl-edit");
    const Assessment a = treated(1);
    settle();
    const Assessment judged = stored(a);
    EXPECT_EQ(judged.drift, Truth::yes);
    EXPECT_FALSE(judged.attributable);
    EXPECT_NE(judged.note.find("kubectl-edit"), std::string::npos) << judged.note;
    EXPECT_TRUE(must(learning().posteriors(a.fault_class, soon())).empty());
}

TEST_P(AssessContract, ComingBackLaterTakesCreditAwayOnceAndNeverGivesAny) {
    make({.final_after = 0ms, .give_up = 0ms, .recurrence = 1h, .claim = 0ms, .look_again = 0ms, .learn_after = 0ms});
    const Assessment a = treated(1);
    // The hour since the action is nearly over: first the judgement, then the look back.
    settle();
    Assessment judged = stored(a);
    ASSERT_TRUE(judged.recheck_at);
    const double before = must(learning().posteriors(a.fault_class, soon())).at(0).a;
    another(a, a.fault_class, a.target, 10min);
    make({.final_after = 0ms, .give_up = 0ms, .recurrence = 1h, .claim = 0ms, .look_again = 0ms, .learn_after = 0ms});
    Assessment due = judged;
    due.recheck_at = now() - 1s;
    due.looks += 1;
    must(learning().complete({.assessment = due}, soon()));
    settle();
    judged = stored(a);
    EXPECT_EQ(judged.came_back, Truth::yes);
    EXPECT_FALSE(judged.recheck_at);
    EXPECT_LT(*judged.score, 1);
    const auto sums = must(learning().posteriors(a.fault_class, soon()));
    for (const auto& each : sums) {
        EXPECT_LT(each.a, before);
        EXPECT_EQ(each.n, 1) << "it is still one judgement";
        EXPECT_NEAR(each.a + each.b, judged.confidence, 1e-4);
        EXPECT_NEAR(each.a, judged.confidence * *judged.uplift, 1e-4);
    }
    const int looks = judged.looks;
    settle();
    EXPECT_EQ(stored(a).looks, looks);
}

TEST_P(AssessContract, WorseIsTakenBackByTheEngineAndToldLoudly) {
    make();
    cluster_->transport->object = deployment(4, 1);
    const Assessment a = treated(1, IncidentState::open);
    must(assessor_->run_once());
    EXPECT_EQ(must(executions().get(a.execution, soon())).execution.state, ExecutionState::succeeded) << "once may be chance";
    EXPECT_EQ(stored(a).stage, AssessmentStage::quick);
    must(assessor_->run_once());
    const auto run_now = must(executions().get(a.execution, soon()));
    EXPECT_EQ(run_now.execution.state, ExecutionState::compensating);
    EXPECT_NE(run_now.execution.error.find("25 % of its replicas"), std::string::npos) << run_now.execution.error;
    const auto notices = must(stores_->outbox().claim("", now(), now() + 1min, 10, soon()));
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_EQ(notices[0].message.kind, "execution_worse");
    EXPECT_EQ(notices[0].message.severity, Severity::critical);
    EXPECT_EQ(stored(a).stage, AssessmentStage::final);
    EXPECT_FALSE(stored(a).worse.empty());
    EXPECT_EQ(must(incidents().get(eu1, *a.incident, soon())).story.back().kind, "assessed");
}

TEST_P(AssessContract, WorseThatCannotBeTakenBackEscalatesTheIncident) {
    make();
    cluster_->transport->object = deployment(4, 1, "kubectl-edit");
    Assessment a = treated(1, IncidentState::open);
    auto incident = must(incidents().get(eu1, *a.incident, soon()));
    incident.state = IncidentState::diagnosing;
    must(incidents().commit({.incidents = {incident}}, soon()));
    must(assessor_->run_once());
    must(assessor_->run_once());
    EXPECT_EQ(must(executions().get(a.execution, soon())).execution.state, ExecutionState::succeeded) << "somebody else's change is not touched";
    incident = must(incidents().get(eu1, *a.incident, soon()));
    EXPECT_EQ(incident.state, IncidentState::escalated);
    EXPECT_EQ(incident.state_reason, "worse");
    EXPECT_EQ(must(stores_->outbox().claim("", now(), now() + 1min, 10, soon())).size(), 1U);
}

TEST_P(AssessContract, ANewClassOnTheTargetIsWorseAndTroubleElsewhereIsNot) {
    make();
    const Assessment a = treated(1), b = treated(2);
    another(a, "pending.capacity", a.target, 2min);
    another(b, "image.not_found", an_object("far-away"), 2min);
    must(assessor_->run_once());
    must(assessor_->run_once());
    EXPECT_EQ(must(executions().get(a.execution, soon())).execution.state, ExecutionState::compensating);
    EXPECT_EQ(must(executions().get(b.execution, soon())).execution.state, ExecutionState::succeeded);
    EXPECT_EQ(stored(b).side_effects, Truth::no);
}

TEST_P(AssessContract, ADipThatIsOverAtTheSecondLookIsNotWorse) {
    make();
    cluster_->transport->object = deployment(4, 1);
    const Assessment a = treated(1, IncidentState::open);
    must(assessor_->run_once());
    cluster_->transport->object = deployment(4, 4);
    must(assessor_->run_once());
    EXPECT_EQ(must(executions().get(a.execution, soon())).execution.state, ExecutionState::succeeded);
    EXPECT_EQ(stored(a).worse, "");
    EXPECT_NE(stored(a).stage, AssessmentStage::quick);
    EXPECT_TRUE(must(stores_->outbox().claim("", now(), now() + 1min, 10, soon())).empty());
}

TEST_P(AssessContract, AnotherWorkflowThatWasNeededAfterwardsTakesTheCredit) {
    make();
    const Assessment first = treated(1), second = treated(2);
    auto incident = must(incidents().get(eu1, *first.incident, soon()));
    auto other = a_start(3);
    other.execution.id = ExecutionId(derive_id("exe_", first.action_at + 5min, {"later"}));
    other.execution.plan.workflow = "restart";
    other.execution.created_at = first.action_at + 5min;
    incident.execution = other.execution.id;
    must(executions().start(std::move(other), soon()));
    tell(incident, now(), "x", "y");
    must(incidents().commit({.incidents = {incident}}, soon()));
    settle();
    EXPECT_EQ(stored(first).resolved, Truth::no);
    EXPECT_EQ(stored(second).resolved, Truth::yes);
}

/// Dies at every write in turn, once before and once after it was done; the next process goes on.
TEST_P(AssessContract, WhatIsLearnedIsCountedOnceWheneverTheProcessDies) {
    constexpr int fixes = 2;
    for (const auto death : {MortalStore::Death::before, MortalStore::Death::after}) {
        // Two fixes: quick, final, recurrence each, and two ended incidents.
        for (int at = 0; at < 8; ++at) {
            SCOPED_TRACE("write " + std::to_string(at) + (death == MortalStore::Death::before ? " not done" : " done, unheard"));
            stores_.reset();
            database_.clear();
            SetUp();
            cluster_.reset();
            make();
            std::vector<Assessment> all;
            for (int n = 1; n <= fixes; ++n) all.push_back(treated(n));
            mortal_->death = death;
            mortal_->writes_until = at;
            for (int i = 0; i < 20 && !mortal_->dead; ++i) {
                (void)run(assessor_->run_once());
                (void)run(assessor_->learn_once());
            }
            EXPECT_TRUE(mortal_->dead) << "it should have come to this write";
            make();
            settle();
            for (const auto& each : all) EXPECT_EQ(stored(each).stage, AssessmentStage::recurrence);
            const auto sums = must(learning().posteriors("crashloop.bad_rollout", soon()));
            ASSERT_EQ(sums.size(), 3U);
            for (const auto& each : sums) {
                EXPECT_EQ(each.n, fixes);
                EXPECT_NEAR(each.a + each.b, stored(all[0]).confidence + stored(all[1]).confidence, 1e-4);
            }
            EXPECT_EQ(must(learning().spells("crashloop.bad_rollout", Environment::prod, 10, soon())).size(), 2U);
            std::int64_t verdicts = 0;
            for (const auto& record : must(registry().audit({.verb = "assess"}, {.limit = 100}, soon())).items)
                verdicts += record.verb == "assess" ? 1 : 0;
            EXPECT_EQ(verdicts, 2 * fixes) << "one record a final look and one a look back";
            if (HasFailure()) return;
        }
    }
}

KN_EVERY_STORE(AssessContract);

}  // namespace
}  // namespace kn::store_test
