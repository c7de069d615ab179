#include <gtest/gtest.h>

#include "generate.hpp"
#include "kubernaut/domain/codec.hpp"

namespace kn {
namespace {

using testing::Generator;

Signal make_signal(Generator& g) {
    Signal s;
    s.id = SignalId(g.word()), s.cluster = ClusterId(g.word()), s.key = g.word(), s.source = g.one<SignalSource>(), s.name = g.hostile(0);
    s.alert_fp = g.word(), s.status = g.one<SignalStatus>(), s.state = g.one<SignalState>(), s.severity = g.one<Severity>();
    s.starts_at = g.time(), s.received_at = g.time(), s.ends_at = g.maybe([&] { return g.time(); }), s.clock_suspect = g.flip();
    s.object = g.maybe([&] { return g.key(); }), s.container = g.word();
    for (auto i = g.below(5); i > 0; --i) s.labels[g.hostile(1)] = g.hostile(0), s.annotations[g.word()] = g.hostile(0);
    s.incident = g.maybe([&] { return IncidentId(g.word()); });
    s.error = g.hostile(0), s.count = static_cast<std::int64_t>(g.below(1'000'000'000'000)), s.last_seen = g.time();
    return s;
}

Diagnosis make_diagnosis(Generator& g) {
    Diagnosis d{g.word(), g.number(), g.number(), {}, {}, g.time()};
    for (auto i = g.below(4); i > 0; --i)
        d.candidates.push_back({g.word(), g.number(), g.flip(), {g.word()}, {}, {g.word(), g.word()}, g.hostile(0)});
    for (auto i = g.below(4); i > 0; --i) d.facts.push_back({g.word(), g.value(), g.one<Truth>(), g.word(), g.time(), g.word()});
    return d;
}

Plan make_plan(Generator& g) {
    Plan p;
    p.id = PlanId(g.word()), p.workflow = g.word(), p.version = static_cast<int>(g.below(9)), p.fault_class = g.word(), p.target = g.ref();
    p.params = g.object(), p.risk = g.one<Risk>(), p.p = g.number(), p.rank_score = -g.number(), p.posterior_version = g.word();
    p.reasons = {g.hostile(0), g.hostile(1)}, p.alternatives = {{g.word(), g.number(), g.hostile(0)}}, p.hash = g.word();
    return p;
}

Incident make_incident(Generator& g) {
    Incident i;
    i.id = IncidentId(g.word()), i.cluster = ClusterId(g.word()), i.environment = g.one<Environment>(), i.target = g.ref();
    i.resolution = g.one<Resolution>(), i.correlation_key = g.word(), i.incident_key = g.word(), i.fault_class = g.word(), i.p = g.number();
    i.state = g.one<IncidentState>(), i.outcome = g.one<Outcome>(), i.severity = g.one<Severity>(), i.alert_name = g.hostile(0);
    i.signals_firing = 3, i.signals_total = static_cast<std::int64_t>(g.below(100));
    i.diagnosis = g.maybe([&] { return make_diagnosis(g); }), i.plan = g.maybe([&] { return make_plan(g); });
    i.execution = g.maybe([&] { return ExecutionId(g.word()); }), i.tried = {g.word()}, i.cause = g.maybe([&] { return IncidentId(g.word()); });
    i.previous = g.maybe([&] { return IncidentId(g.word()); }), i.state_reason = g.hostile(0), i.hold_until = g.maybe([&] { return g.time(); });
    i.opened_at = g.time(), i.updated_at = g.time(), i.next_look_at = g.time(), i.closed_at = g.maybe([&] { return g.time(); });
    i.evidence_gone_since = g.maybe([&] { return g.time(); }), i.version = static_cast<std::int64_t>(g.below(50));
    for (auto n = g.below(5); n > 0; --n) tell(i, g.time(), g.word(), g.hostile(0));
    return i;
}

Execution make_execution(Generator& g) {
    Execution e;
    e.id = ExecutionId(g.word()), e.cluster = ClusterId(g.word()), e.incident = g.maybe([&] { return IncidentId(g.word()); }), e.plan = make_plan(g);
    e.definition = g.object(), e.context = g.object(), e.state = g.one<ExecutionState>(), e.dry_run = g.flip(), e.requested_by = g.hostile(0);
    e.error = g.hostile(0), e.reason = g.word(), e.owner = g.word(), e.epoch = static_cast<std::int64_t>(g.below(9)), e.cancel_requested = g.flip();
    e.lease_until = g.maybe([&] { return g.time(); }), e.wake_at = g.maybe([&] { return g.time(); }), e.cancel_by = g.word(), e.kills = 2;
    e.created_at = g.time(), e.updated_at = g.time(), e.started_at = g.maybe([&] { return g.time(); });
    e.finished_at = g.maybe([&] { return g.time(); }), e.touched_at = g.maybe([&] { return g.time(); });
    return e;
}

Step make_step(Generator& g) {
    Step s;
    s.execution = ExecutionId(g.word()), s.path = g.hostile(1), s.id = g.word(), s.kind = "action", s.action = g.word(), s.state = g.one<StepState>();
    s.attempt = static_cast<int>(g.below(5)), s.params = g.object(), s.pre_image = g.value(), s.output = g.value(), s.request_digest = g.word();
    s.error = g.hostile(0), s.error_code = g.word(), s.started_at = g.maybe([&] { return g.time(); }), s.mutating = g.flip();
    s.finished_at = g.maybe([&] { return g.time(); }), s.due_at = g.maybe([&] { return g.time(); }), s.compensation = g.flip();
    return s;
}

ActionRecord make_action(Generator& g) {
    ActionRecord r;
    r.id = ActionId(g.word()), r.cluster = ClusterId(g.word()), r.execution = ExecutionId(g.word()),
    r.incident = g.maybe([&] { return IncidentId(g.word()); });
    r.action = g.word(), r.workflow = g.word(), r.fault_class = g.word(), r.requested_by = g.hostile(0), r.why = g.hostile(0), r.target = g.ref();
    r.params = g.object(), r.pre_image = g.value(), r.post_image = g.value(), r.calls = {g.hostile(0)}, r.outcome = g.word(), r.error = g.hostile(0);
    r.dry_run = g.flip(), r.compensation = g.flip(), r.started_at = g.time(), r.finished_at = g.maybe([&] { return g.time(); });
    return r;
}

AuditRecord make_audit(Generator& g) {
    return {ClusterId(g.word()),
            static_cast<std::int64_t>(g.below(99)),
            g.time(),
            g.hostile(0),
            g.word(),
            g.hostile(0),
            g.hostile(0),
            g.object(),
            g.word(),
            g.word()};
}

Approval make_approval(Generator& g) {
    Approval a;
    a.id = ApprovalId(g.word()), a.cluster = ClusterId(g.word()), a.incident = IncidentId(g.word()), a.plan_hash = g.word(), a.workflow = g.word();
    a.target = g.key(), a.risk = g.one<Risk>(), a.needed = 2, a.votes = {{g.hostile(0), g.flip(), g.hostile(0), g.time()}};
    a.state = g.one<ApprovalState>(), a.reason = g.hostile(0), a.asked_at = g.time(), a.expires_at = g.time();
    return a;
}

Assessment make_assessment(Generator& g) {
    Assessment a;
    a.id = AssessmentId(g.word()), a.cluster = ClusterId(g.word()), a.environment = g.one<Environment>(), a.execution = ExecutionId(g.word());
    a.incident = g.maybe([&] { return IncidentId(g.word()); }), a.incident_key = g.word(), a.workflow = g.word(), a.fault_class = g.word();
    a.target = g.key(), a.stage = g.one<AssessmentStage>(), a.action_at = g.time(), a.due_at = g.time(),
    a.done_at = g.maybe([&] { return g.time(); });
    a.resolved = g.one<Truth>(), a.came_back = g.one<Truth>(), a.side_effects = g.one<Truth>(), a.drift = g.one<Truth>();
    a.metric = g.maybe([&] { return g.number(); }), a.score = g.maybe([&] { return g.number(); }), a.confidence = g.number();
    a.would_have_healed = g.maybe([&] { return g.number(); }), a.uplift = g.maybe([&] { return g.number(); }), a.attributable = g.flip();
    a.note = g.hostile(0), a.looks = static_cast<int>(g.below(9));
    return a;
}

Posterior make_posterior(Generator& g) {
    return {ClusterId("_env/" + g.word()), g.word(), g.word(), g.number(), g.number(), static_cast<std::int64_t>(g.below(9)), g.time(), 4};
}

UntreatedSpell make_spell(Generator& g) {
    return {ClusterId(g.word()), g.one<Environment>(), g.word(), Duration{static_cast<std::int64_t>(g.below(99999))}, 5s, g.flip()};
}

Pause make_pause(Generator& g) {
    return {ClusterId("_fleet"), g.word(), g.hostile(0), g.hostile(0), g.time(), g.maybe([&] { return g.time(); })};
}

ClusterRecord make_cluster(Generator& g) {
    ClusterRecord c;
    c.id = ClusterId(g.word()), c.uid = g.word(), c.kind = g.word(), c.environment = g.one<Environment>(),
    c.labels = {{g.word() + "1", g.hostile(0)}};
    c.admin = g.one<AdminState>(), c.mode = g.one<Mode>(), c.verdict = g.one<ClusterVerdict>(), c.verdict_reason = g.hostile(0),
    c.verdict_since = g.time();
    c.epoch = static_cast<std::int64_t>(g.below(9)), c.server_version = g.word();
    return c;
}

ObjectSnapshot make_snapshot(Generator& g) {
    return {g.key(), g.word(), g.word(), g.flip() ? g.value() : json::Value(nullptr), g.word(), g.time(), g.maybe([&] { return g.time(); })};
}

/// Through the JSON tree nothing is lost; the second writing equals the first, so that every field is compared.
template <class T> void round_trip(const T& value) {
    const json::Value first = to_json(value);
    const auto back = from_json<T>(first);
    ASSERT_TRUE(back) << json::dump(first) << "\n" << back.error().describe();
    EXPECT_EQ(json::canonical(first), json::canonical(to_json(*back)));
}

TEST(Codec, WritesAndReadsEveryDomainValueWithoutLoss) {
    Generator g(testing::seed("WritesAndReadsEveryDomainValueWithoutLoss"));
    for (int i = 0; i < 300; ++i) {
        round_trip(g.ref());
        round_trip(make_signal(g));
        round_trip(make_diagnosis(g));
        round_trip(make_plan(g));
        round_trip(make_incident(g));
        round_trip(make_execution(g));
        round_trip(make_step(g));
        round_trip(make_action(g));
        round_trip(make_audit(g));
        round_trip(make_approval(g));
        round_trip(make_assessment(g));
        round_trip(make_posterior(g));
        round_trip(make_spell(g));
        round_trip(make_pause(g));
        round_trip(make_cluster(g));
        round_trip(make_snapshot(g));
    }
}

TEST(Codec, GivesBackTheSameValueAndNotOnlyTheSameText) {
    Generator g(testing::seed("GivesBackTheSameValueAndNotOnlyTheSameText"));
    for (int i = 0; i < 200; ++i) {
        const Signal s = make_signal(g);
        const Signal b = from_json<Signal>(to_json(s)).value();
        EXPECT_TRUE(s.id == b.id && s.key == b.key && s.status == b.status && s.starts_at == b.starts_at && s.ends_at == b.ends_at &&
                    s.object == b.object && s.labels == b.labels && s.annotations == b.annotations && s.incident == b.incident &&
                    s.count == b.count && s.last_seen == b.last_seen);
        const Incident x = make_incident(g);
        const Incident y = from_json<Incident>(to_json(x)).value();
        EXPECT_TRUE(x.target == y.target && x.state == y.state && x.hold_until == y.hold_until && x.version == y.version && x.tried == y.tried &&
                    x.story.size() == y.story.size() && x.diagnosis.has_value() == y.diagnosis.has_value() && x.p == y.p && x.previous == y.previous);
        const Execution e = make_execution(g);
        const Execution f = from_json<Execution>(to_json(e)).value();
        EXPECT_TRUE(e.definition == f.definition && e.context == f.context && e.epoch == f.epoch && e.wake_at == f.wake_at && e.kills == f.kills &&
                    e.plan.params == f.plan.params && e.cancel_requested == f.cancel_requested && e.touched_at == f.touched_at);
    }
}

TEST(Codec, IgnoresUnknownNamesAndGivesDefaultsForMissingOnes) {
    const auto incident = from_json<Incident>(json::parse(R"({"id":"inc_1","from_the_future":{"a":[1]}})").value()).value();
    EXPECT_EQ(incident.id.str(), "inc_1");
    EXPECT_EQ(incident.state, IncidentState::open);
    EXPECT_FALSE(incident.plan);
}

TEST(Codec, NamesTheFieldOfAWrongType) {
    const auto field = [](const char* text) { return from_json<Incident>(json::parse(text).value()).error().field; };
    EXPECT_EQ(field(R"({"p":"high"})"), "p");
    EXPECT_EQ(field(R"({"plan":{"target":{"uid":7}}})"), "plan.target.uid");
    EXPECT_EQ(field(R"({"diagnosis":{"facts":[{"name":"a"},{"state":"perhaps"}]}})"), "diagnosis.facts[1].state");
    EXPECT_EQ(field(R"({"opened_at":"yesterday"})"), "opened_at");
    EXPECT_EQ(from_json<Signal>(json::parse(R"({"labels":{"a":1}})").value()).error().field, "labels.a");
    EXPECT_FALSE(from_json<Signal>(json::Value(7)));
}

TEST(PlanHash, LeavesOutTheIdAndItselfAndNothingElse) {
    Generator g(testing::seed("LeavesOutTheIdAndItselfAndNothingElse"));
    const Plan plan = make_plan(g);
    Plan same = plan;
    same.id = PlanId("pln_other"), same.hash = "other";
    EXPECT_EQ(plan_hash(plan), plan_hash(same));
    Plan other = plan;
    other.params["added"] = 1;
    EXPECT_NE(plan_hash(plan), plan_hash(other));
    other = plan;
    other.reasons.emplace_back("because");
    EXPECT_NE(plan_hash(plan), plan_hash(other));
}

}  // namespace
}  // namespace kn
