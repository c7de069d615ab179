#include <gtest/gtest.h>

#include "player.hpp"

using namespace kn;
using namespace kn::engine;
using namespace kn::engine::test;
using enum ExecutionState;
using S = StepState;

namespace {
const char* const two = R"(
steps:
  - {id: a, action: act, with: {value: x}}
  - {id: b, action: act}
)";
}

TEST(WorkflowMachine, DoesOneStepAfterTheOther) {
    Player p(two);
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.log, (std::vector<std::string>{"prepare a", "execute a", "verify a/verify", "prepare b", "execute b", "verify b/verify"}));
    EXPECT_EQ(p.machine().step("b")->params.at("value").as_string(), "default") << "defaults of the action are filled in";
    EXPECT_TRUE(p.machine().execution().touched_at.has_value());
}

TEST(WorkflowMachine, AnIntentIsStoredBeforeEveryChange) {
    Player p(two);
    p.before_answer = [&](const Call& call) {
        if (call.kind != CallKind::execute) return;
        const auto id = action_id(p.machine().execution().id, call.path, call.attempt).str();
        ASSERT_TRUE(p.records.contains(id));
        EXPECT_EQ(p.records[id].outcome, "intent");
        EXPECT_FALSE(p.records[id].pre_image.is_null());
        EXPECT_FALSE(p.machine().has_changes()) << "nothing is left to store when the call is made";
    };
    EXPECT_EQ(p.play(), succeeded);
    p.store();
    for (const auto& [id, record] : p.records) EXPECT_EQ(record.outcome, "succeeded");
    EXPECT_EQ(p.records.size(), 2U);
}

TEST(WorkflowMachine, OutcomeAndNextIntentAreStoredTogether) {
    Player p(two);
    int stores = 0;
    p.before_answer = [&](const Call& call) { stores += call.durable ? 1 : 0; };
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(stores, 2) << "one commit an intent; the last outcome goes with the end";
    EXPECT_EQ(p.machine().step("a/verify"), nullptr) << "a check that was true at once needs no row";
}

TEST(WorkflowMachine, BacksOffAndTriesAgainWhatMaySucceedLater) {
    Player p(two);
    p.failing["execute a"] = {error_of(ErrorCode::unavailable), error_of(ErrorCode::unavailable)};
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("execute"), "a, a#2, a#3, b");
    EXPECT_GT(p.now, t0);
}

TEST(WorkflowMachine, CompensatesInReverseWhenAStepFailsForGood) {
    Player p(R"(
steps:
  - {id: a, action: act}
  - {id: b, action: oneway}
  - {id: c, action: act}
  - {id: d, action: act}
finally:
  - {id: last, kind: notify, message: "the end of ${ target.name }"}
)");
    p.failing["execute d"] = {error_of(ErrorCode::permission_denied, "no")};
    EXPECT_EQ(p.play(), compensated);
    EXPECT_EQ(p.calls_of("compensate"), "c, a") << "what cannot be undone is left";
    EXPECT_EQ(p.calls_of("notify"), "finally/last");
    EXPECT_NE(p.machine().execution().error.find("step d: no"), std::string::npos);
    EXPECT_EQ(p.step("a"), S::compensated);
    EXPECT_EQ(p.step("b"), S::succeeded);
}

TEST(WorkflowMachine, StopsTryingWhenTheTriesAreUsedUp) {
    Player p(two);
    for (int i = 0; i < 10; ++i) p.failing["execute a"].push_back(error_of(ErrorCode::unavailable));
    EXPECT_EQ(p.play(), failed) << "nothing was done, so there is nothing to compensate";
    EXPECT_EQ(p.calls_of("execute"), "a, a#2, a#3");
}

TEST(WorkflowMachine, ALostAnswerIsReadBackBeforeAnythingElse) {
    Player applied(two);
    applied.failing["execute a"] = {lost()};
    EXPECT_EQ(applied.play(), succeeded);
    EXPECT_EQ(applied.calls_of("execute"), "a, b");
    EXPECT_EQ(applied.calls_of("read_back"), "a");

    Player again(two);
    again.failing["execute a"] = {lost()};
    again.read_backs["a"] = {ports::AppliedCheck::unreadable, ports::AppliedCheck::not_applied};
    EXPECT_EQ(again.play(), succeeded);
    EXPECT_EQ(again.calls_of("execute"), "a, a, b") << "again under the same intent, not as a new attempt";

    Player dark(two);
    dark.failing["execute a"] = {lost()};
    dark.read_backs["a"] = {ports::AppliedCheck::unreadable};
    EXPECT_EQ(dark.play(), failed);
    EXPECT_NE(dark.machine().execution().error.find("nobody can tell"), std::string::npos);
    EXPECT_LE(dark.now, t0 + std::chrono::seconds{70});
}

TEST(WorkflowMachine, VerificationIsPolledAndItsFailureIsTheStepsFailure) {
    Player slow(two);
    slow.verifies["a/verify"] = {false, false, false, true};
    EXPECT_EQ(slow.play(), succeeded);
    EXPECT_EQ(slow.now - t0, Duration{500 + 1000 + 2000});

    Player never(two);
    never.verifies["b/verify"] = {false};
    EXPECT_EQ(never.play(), compensated);
    EXPECT_EQ(never.calls_of("compensate"), "b, a") << "the effect that does not show is undone as well";
    EXPECT_GE(never.now - t0, std::chrono::minutes{2});
}

TEST(WorkflowMachine, AnUnknownConditionFailsClosed) {
    Player skipped(R"(
steps:
  - {id: a, action: act, if: facts.no}
  - {id: b, action: act, if: "facts.yes && steps.a.state == 'skipped'"}
)");
    EXPECT_EQ(skipped.play(), succeeded);
    EXPECT_EQ(skipped.calls_of("execute"), "b");
    Player unknown("steps:\n  - {id: a, action: act, if: facts.nobody_knows}\n");
    EXPECT_EQ(unknown.play(), failed);
    EXPECT_EQ(unknown.calls_of("execute"), "");
    Player parameter("steps:\n  - {id: a, action: act, with: {value: \"${ facts.nobody_knows }\"}}\n");
    EXPECT_EQ(parameter.play(), failed);
}

TEST(WorkflowMachine, OnErrorDecidesWhatAFailureMeans) {
    Player on("steps:\n  - {id: a, action: act, on_error: continue}\n  - {id: b, action: act}\n");
    on.failing["prepare a"] = {error_of(ErrorCode::failed_precondition)};
    EXPECT_EQ(on.play(), succeeded);
    Player stop("on_failure: stop\nsteps:\n  - {id: a, action: act}\n  - {id: b, action: act}\n");
    stop.failing["execute b"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(stop.play(), failed);
    EXPECT_EQ(stop.calls_of("compensate"), "");
    Player back("on_failure: stop\nsteps:\n  - {id: a, action: act}\n  - {id: b, action: act, on_error: compensate}\n");
    back.failing["execute b"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(back.play(), compensated);
    Player patient("steps:\n  - {id: a, action: act, on_error: wait, retry: {tries: 1}}\n");
    for (int i = 0; i < 6; ++i) patient.failing["execute a"].push_back(error_of(ErrorCode::unavailable));
    EXPECT_EQ(patient.play(), succeeded) << "wait tries until the time is over, whatever the tries";
    Player all("on_failure: continue\nsteps:\n  - {id: a, action: act}\n  - {id: b, action: act}\n");
    all.failing["execute a"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(all.play(), failed);
    EXPECT_EQ(all.calls_of("execute"), "a, b");
}

TEST(WorkflowMachine, BranchesLoopsAndParallelBranches) {
    Player p(R"(
steps:
  - id: choose
    kind: branch
    if: size(facts.list) > 2
    then: [{id: many, action: act}]
    else: [{id: few, action: act}]
  - id: each
    kind: loop
    for_each: facts.list
    body: [{id: item, action: act, with: {value: "${ vars.item }-${ vars.index }"}}]
  - id: more
    kind: loop
    times: 5
    while: vars.index < 2
    body: [{id: again, action: look}]
  - id: both
    kind: parallel
    branches: [[{id: left, action: act}, {id: left2, action: act}], [{id: right, action: act}]]
)");
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("execute"),
              "choose/many, each[0]/item, each[1]/item, each[2]/item, more[0]/again, more[1]/again, both[0]/left, both[1]/right, both[0]/left2");
    EXPECT_EQ(p.machine().step("each[2]/item")->params.at("value").as_string(), "c-2");
    EXPECT_EQ(p.step("both"), S::succeeded);
}

TEST(WorkflowMachine, JoinAnyGivesTheOthersUp) {
    Player p(R"(
steps:
  - id: race
    kind: parallel
    join: any
    branches: [[{id: quick, action: act}], [{id: slow, kind: wait, duration: 1h}, {id: never, action: act}]]
  - {id: after, action: act}
)");
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("execute"), "race[0]/quick, after");
    EXPECT_EQ(p.step("race[1]/slow"), S::cancelled);
    EXPECT_EQ(p.now, t0);
    Player one(R"(
steps:
  - id: race
    kind: parallel
    join: 1
    branches: [[{id: bad, action: act}], [{id: good, action: act}]]
)");
    one.failing["execute race[0]/bad"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(one.play(), succeeded);
    Player all(R"(
steps:
  - id: both
    kind: parallel
    branches: [[{id: bad, action: act}], [{id: waits, kind: wait, duration: 1h}]]
)");
    all.failing["execute both[0]/bad"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(all.play(), failed);
    EXPECT_EQ(all.now, t0) << "nobody waits for the other branch's timer";
}

TEST(WorkflowMachine, NeedsMakeAGraph) {
    Player p(R"(
steps:
  - {id: a, action: act}
  - {id: b, action: act, needs: []}
  - {id: c, action: act, needs: [a, b]}
)");
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("prepare"), "a, b, c");
    EXPECT_EQ(p.log[1], "prepare b") << "at once, not after a";
}

TEST(WorkflowMachine, WaitsForTimeConditionsAndSignals) {
    Player time("steps:\n  - {id: w, kind: wait, duration: 5m}\n");
    EXPECT_EQ(time.play(), succeeded);
    EXPECT_EQ(time.now, t0 + 5min);
    Player condition("steps:\n  - {id: w, kind: wait, until: live.ready == true, timeout: 1m}\n");
    condition.live["w"] = {json::Object{}, json::Object{{"ready", false}}, json::Object{{"ready", true}}};
    EXPECT_EQ(condition.play(), succeeded);
    Player never("steps:\n  - {id: w, kind: wait, until: live.ready == true, timeout: 1m}\n");
    EXPECT_EQ(never.play(), failed);
    EXPECT_EQ(never.now, t0 + 1min);

    Player signal("steps:\n  - {id: s, signal: cause.resolved, timeout: 30m}\n  - {id: a, action: act, if: steps.s.output.good}\n");
    signal.play(1min);
    EXPECT_TRUE(signal.machine().wants_signals());
    signal.feed(Signals{{{"other", nullptr}}});
    EXPECT_EQ(signal.step("s"), S::waiting);
    signal.feed(Signals{{{"other", nullptr}, {"cause.resolved", json::Object{{"good", true}}}}});
    EXPECT_EQ(signal.play(), succeeded);
    EXPECT_EQ(signal.calls_of("execute"), "a");
}

TEST(WorkflowMachine, ApprovalsAreAskedForOnceAndMayBeRefused) {
    Player granted("steps:\n  - {id: ok, kind: approval, message: may I, timeout: 10m}\n  - {id: a, action: act}\n");
    granted.play(1s);
    EXPECT_EQ(granted.calls_of("notify"), "ok");
    granted.feed(Signals{{{"approval.ok", json::Object{{"granted", true}, {"by", "ann"}}}}});
    EXPECT_EQ(granted.play(), succeeded);
    EXPECT_EQ(granted.calls_of("notify"), "ok");
    Player refused("steps:\n  - {id: ok, kind: approval, message: may I, timeout: 10m}\n  - {id: a, action: act}\n");
    refused.play(1s);
    refused.feed(Signals{{{"approval.ok", json::Object{{"granted", false}, {"by", "bob"}}}}});
    EXPECT_EQ(refused.play(), failed);
    EXPECT_NE(refused.machine().execution().error.find("refused by bob"), std::string::npos);
    Player nobody("steps:\n  - {id: ok, kind: approval, message: may I, timeout: 10m}\n");
    EXPECT_EQ(nobody.play(), failed);
    EXPECT_EQ(nobody.now, t0 + 10min);
}

TEST(WorkflowMachine, CancelWaitsForTheCallInFlightAndRunsTheFinalSteps) {
    Player p("steps:\n  - {id: a, action: act}\n  - {id: b, action: act}\nfinally:\n  - {id: last, action: look}\n");
    p.before_answer = [&](const Call& call) {
        if (call.kind == CallKind::execute && call.path == "a") p.feed(CancelRequested{"ann"});
    };
    EXPECT_EQ(p.play(), cancelled);
    EXPECT_EQ(p.step("a"), S::succeeded);
    EXPECT_EQ(p.calls_of("execute"), "a, finally/last");
    EXPECT_EQ(p.machine().execution().cancel_by, "ann");
    Player waiting("steps:\n  - {id: w, kind: wait, duration: 5h}\n");
    waiting.play(1s);
    waiting.feed(CancelRequested{"ann"});
    EXPECT_EQ(waiting.state(), cancelled);
}

TEST(WorkflowMachine, UndoInFinallyTakesAStepBackHoweverItEnds) {
    const char* const workflow = R"(
steps:
  - {id: relax, action: act}
  - {id: drain, action: oneway}
finally:
  - {id: restore, kind: undo, with: {step: relax}}
)";
    Player good(workflow);
    EXPECT_EQ(good.play(), succeeded);
    EXPECT_EQ(good.calls_of("compensate"), "relax");
    Player bad(workflow);
    bad.failing["execute drain"] = {error_of(ErrorCode::internal)};
    EXPECT_EQ(bad.play(), compensated);
    EXPECT_EQ(bad.calls_of("compensate"), "relax") << "once, by the compensation";
    Player stopped(workflow);
    stopped.before_answer = [&](const Call& call) {
        if (call.kind == CallKind::execute && call.path == "drain") stopped.feed(CancelRequested{"ann"});
    };
    EXPECT_EQ(stopped.play(), cancelled);
    EXPECT_EQ(stopped.calls_of("compensate"), "relax");
}

TEST(WorkflowMachine, AGuardThatHoldsIsAskedAgainUnderTheSameIntent) {
    Player p(two);
    p.failing["execute a"] = {held(30s), held(30s)};
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("execute"), "a, a, a, b");
    EXPECT_EQ(p.now - t0, 60s);
    Player denied(two);
    denied.failing["execute b"] = {{.code = ErrorCode::failed_precondition, .message = "human change", .reason = "human_change"}};
    EXPECT_EQ(denied.play(), compensated);
}

TEST(WorkflowMachine, CompensationIsTriedAgainAndItsFailureIsTold) {
    Player p(two);
    p.failing["execute b"] = {error_of(ErrorCode::internal)};
    p.failing["compensate a"] = {error_of(ErrorCode::unavailable), held(10s), lost()};
    EXPECT_EQ(p.play(), compensated);
    EXPECT_EQ(p.calls_of("compensate"), "a, a, a, a");
    Player drift(two);
    drift.failing["execute b"] = {error_of(ErrorCode::internal)};
    drift.failing["compensate a"] = {error_of(ErrorCode::failed_precondition, "drift")};
    EXPECT_EQ(drift.play(), compensation_failed);
}

TEST(WorkflowMachine, TheWorkflowsTimeEndsIt) {
    Player p("timeout: 10m\nsteps:\n  - {id: a, action: act}\n  - {id: s, signal: never, timeout: 1h}\n");
    EXPECT_EQ(p.play(), compensated);
    EXPECT_EQ(p.now, t0 + 10min);
    EXPECT_EQ(p.machine().execution().reason, "timeout");
    Player late(two);
    late.now = t0 + 1h;
    EXPECT_EQ(late.play(), refused);
}

TEST(WorkflowMachine, ADryRunChangesNothingAndDoesNotWait) {
    Player p(
        "steps:\n  - {id: a, action: act}\n  - {id: w, kind: wait, duration: 1h}\n  - {id: b, action: act}\nverify:\n  - {id: v, kind: assert, that: \"false\"}\n",
        {}, [](Execution& execution) { execution.dry_run = true; });
    p.failing["prepare b"] = {error_of(ErrorCode::failed_precondition, "not cordoned")};
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("verify"), "");
    EXPECT_EQ(p.step("b"), S::skipped) << "it needs an effect that a dry run does not have";
    EXPECT_FALSE(p.machine().execution().touched_at.has_value());
    p.store();
    ASSERT_EQ(p.records.size(), 1U);
    EXPECT_EQ(p.records.begin()->second.outcome, "dry_run");
}

TEST(WorkflowMachine, SubworkflowsHaveTheirOwnParametersStepsAndEnd) {
    Player p(R"yaml(
params: {size: {type: int, default: 3}}
steps:
  - {id: a, action: act, with: {value: "${ params.size }"}}
  - {id: sub, workflow: inner, with: {name: "n${ params.size }"}}
  - {id: after, action: act, if: "steps.sub.state == 'succeeded'"}
subworkflows:
  inner:
    id: inner
    risk: low
    params: {name: {type: string}, other: {type: string, optional: true}}
    steps:
      - {id: a, action: act, with: {value: "${ params.name }"}, if: "!known(params.other) && !known(steps.after)"}
    finally:
      - {id: last, action: look}
)yaml");
    EXPECT_EQ(p.play(), succeeded);
    EXPECT_EQ(p.calls_of("execute"), "a, sub/a, sub/finally/last, after");
    EXPECT_EQ(p.machine().step("sub/a")->params.at("value").as_string(), "n3");
    EXPECT_EQ(p.machine().step("a")->params.at("value").as_int64(), 3);
}

TEST(WorkflowMachine, AssertsAndWorkflowVerificationFailTheRun) {
    Player p(
        "steps:\n  - {id: a, action: act}\nverify:\n  - {id: v, kind: assert, that: live.ok == true, message: \"${ target.name } is not ok\"}\n");
    p.live["verify/v"] = {json::Object{{"ok", false}}};
    EXPECT_EQ(p.play(), compensated);
    EXPECT_EQ(p.machine().execution().reason, "verification");
    EXPECT_NE(p.machine().step("verify/v")->error.find("cart is not ok"), std::string::npos);
}

TEST(WorkflowMachine, HugeOutputsAreDroppedNotStored) {
    Player q("steps:\n  - {id: a, action: act}\n  - {id: b, action: act}\n");
    q.before_answer = [&](const Call& call) {
        if (call.kind == CallKind::execute && call.path == "a") {
            q.feed(
                Executed{"a", 1, ports::ActionOutcome{.output = json::Value(std::string(3 << 20, 'x')), .post_image = nullptr, .calls = {}}, true});
        }
    };
    EXPECT_EQ(q.play(), succeeded);
    EXPECT_TRUE(q.machine().step("a")->output.as_object().contains("dropped"));
}

TEST(WorkflowMachine, AnotherWorkerGoesOnFromTheStoredRows) {
    // Killed at every call in turn, with the effect of that call made or not: no step is done twice, none is left out.
    const char* const workflow = R"(
steps:
  - {id: a, action: act}
  - id: both
    kind: parallel
    branches: [[{id: l, action: act}], [{id: r, action: act}]]
  - id: each
    kind: loop
    for_each: facts.list
    body: [{id: item, action: act}]
  - {id: w, kind: wait, duration: 1m}
finally:
  - {id: undo, kind: undo, with: {step: a}}
)";
    for (int kill_at = 1; kill_at < 60; ++kill_at) {
        for (const bool applied : {false, true}) {
            std::map<std::string, int> effects;
            Player p(workflow);
            int calls = 0;
            bool killed = false;
            p.before_answer = [&](const Call& call) {
                const bool kill = !killed && ++calls == kill_at;
                if (call.kind == CallKind::execute && (!kill || applied)) ++effects[call.path];
                if (call.kind == CallKind::read_back)
                    p.read_backs[call.path] = {effects[call.path] > 0 ? ports::AppliedCheck::applied : ports::AppliedCheck::not_applied};
                if (kill) {
                    killed = true;
                    p.crash();
                }
            };
            ASSERT_EQ(p.play(), succeeded) << "killed at call " << kill_at << p.machine().execution().error;
            for (const char* path : {"a", "both[0]/l", "both[1]/r", "each[0]/item", "each[1]/item", "each[2]/item"}) {
                ASSERT_EQ(effects[path], 1) << path << ", killed at call " << kill_at;
            }
        }
    }
}
