#include "kubernaut/guard/gates.hpp"

#include <gtest/gtest.h>

namespace kn::guard {
namespace {

const Instant now = parse_rfc3339("2026-03-04T10:00:00Z").value();  // a Wednesday

const ports::ActionSpec rollback{.name = "rollback_deployment", .risk = Risk::medium};
const ports::ActionSpec restart{.name = "restart_workload", .risk = Risk::low};
const ports::ActionSpec drain{.name = "drain_node", .risk = Risk::high, .disruptive = true, .gitops_safe = true};
const ports::ActionSpec notify{.name = "notify", .mutating = false};

/// A medium-risk rollback in a healthy staging cluster in mode auto: every gate allows.
GateInput fine() {
    GateInput in;
    in.now = now;
    in.cluster.id = ClusterId("eu1");
    in.cluster.mode = Mode::automatic;
    in.cluster.verdict = ClusterVerdict::healthy;
    in.environment = in.cluster.environment = Environment::staging;
    in.incident.cluster = ClusterId("eu1");
    in.incident.incident_key = "key";
    in.plan.workflow = "rollback-deployment";
    in.plan.risk = Risk::medium;
    in.plan.p = 0.95;
    in.plan.target.key = ObjectKey{ClusterId("eu1"), "shop", "Deployment", "apps", "cart"};
    in.plan.target.uid = "u1";
    in.actions = {&rollback, &notify};
    in.evidence_at = now - 5s;
    return in;
}

TEST(Gates, AllAllowAPlainCaseAndReserveLockCooldownAndFourBudgets) {
    const auto report = ask_gates(fine());
    EXPECT_EQ(report.decision.answer, GateAnswer::allow) << report.decision.text;
    EXPECT_EQ(report.verdicts.size(), 12U);
    EXPECT_EQ(report.locks, std::vector<std::string>{"eu1/shop/Deployment.apps/cart"});
    EXPECT_EQ(report.cooldowns.size(), 2U);
    EXPECT_EQ(report.budgets.size(), 4U);
}

TEST(Gates, TheFirstThatDoesNotAllowDecides) {
    auto in = fine();
    in.pauses = {Pause{.cluster = ClusterId("eu1"), .by = "ann"}};
    in.target_protected = true;
    const auto report = ask_gates(in);
    EXPECT_EQ(report.decision.reason, "paused");
    EXPECT_EQ(report.verdicts.size(), 1U);
}

TEST(PauseGate, KnowsScopesAndExpiry) {
    auto in = fine();
    in.pauses = {Pause{.cluster = ClusterId("_fleet"), .by = "ann"}};
    EXPECT_EQ(gate_pause(in).reason, "paused");
    in.pauses = {Pause{.cluster = ClusterId("eu1"), .ns = "other", .by = "ann"}};
    EXPECT_EQ(gate_pause(in).answer, GateAnswer::allow);
    in.pauses = {Pause{.cluster = ClusterId("eu1"), .ns = "shop", .by = "ann", .until = now - 1s}};
    EXPECT_EQ(gate_pause(in).answer, GateAnswer::allow);
    in.pauses = {Pause{.cluster = ClusterId("us1"), .by = "ann"}};
    EXPECT_EQ(gate_pause(in).answer, GateAnswer::allow);
}

TEST(PauseGate, HoldsWhileTheClusterIsNotHealthyAndDeniesAWrongOne) {
    auto in = fine();
    for (const auto verdict : {ClusterVerdict::unknown, ClusterVerdict::suspect, ClusterVerdict::lost}) {
        in.cluster.verdict = verdict;
        EXPECT_EQ(gate_pause(in).reason, "cluster_not_healthy");
    }
    in.cluster.verdict = ClusterVerdict::isolated_hub;
    EXPECT_EQ(gate_pause(in).reason, "hub_isolated");
    in.cluster.verdict = ClusterVerdict::wrong_cluster;
    EXPECT_EQ(gate_pause(in).answer, GateAnswer::deny);
}

TEST(PauseGate, LetsDiagnosisThrough) {
    auto in = fine();
    in.actions = {&notify};
    in.pauses = {Pause{.cluster = ClusterId("_fleet"), .by = "ann"}};
    EXPECT_EQ(ask_gates(in).decision.answer, GateAnswer::allow);
}

TEST(ProtectedGate, NamespacesLabelsModesAndFreezeWindows) {
    auto in = fine();
    in.plan.target.key.ns = "kube-system";
    EXPECT_EQ(gate_protected(in).reason, "protected");
    in = fine();
    in.target_protected = true;
    EXPECT_EQ(gate_protected(in).reason, "protected");
    in = fine();
    in.ns_mode = Mode::observe;
    EXPECT_EQ(gate_protected(in).reason, "mode");
    in = fine();
    in.policy.freeze = {{.name = "wed", .weekday = 3, .from_minute = 9 * 60, .to_minute = 11 * 60}};
    EXPECT_EQ(gate_protected(in).reason, "freeze_window");
    in.policy.freeze = {{.name = "night", .from_minute = 22 * 60, .to_minute = 6 * 60}};
    EXPECT_EQ(gate_protected(in).answer, GateAnswer::allow);
}

TEST(ProtectedGate, WithScopeOptInOnlyWhatNamesAModeIsChanged) {
    auto in = fine();
    in.policy.opt_in = true;
    EXPECT_EQ(gate_protected(in).reason, "not_in_scope");
    in.opted_in = true;
    EXPECT_EQ(gate_protected(in).answer, GateAnswer::allow);
}

TEST(ProtectedGate, AnObjectsModeIsOnlyEverStricter) {
    auto in = fine();
    in.cluster.mode = Mode::shadow;
    in.target_mode = Mode::automatic;
    EXPECT_EQ(effective_mode(in), Mode::shadow);
    EXPECT_TRUE(ask_gates(in).dry_run);
}

TEST(UnchangedGate, RefusesAnotherUidStaleFactsAndGitOps) {
    auto in = fine();
    in.target_uid_same = false;
    EXPECT_EQ(gate_unchanged(in).reason, "target_changed");
    in = fine();
    in.evidence_at = now - 11min;
    EXPECT_EQ(gate_unchanged(in).reason, "stale_facts");
    in = fine();
    in.gitops_owner = "argocd.argoproj.io/instance";
    EXPECT_EQ(gate_unchanged(in).reason, "gitops_owned");
    in.actions = {&drain};
    EXPECT_EQ(gate_unchanged(in).answer, GateAnswer::allow);
}

TEST(CooldownGate, DoublesAfterBadOutcomesUpToTheCap) {
    GuardPolicy policy;
    EXPECT_EQ(cooldown_after(policy, true, 7), 5min);
    EXPECT_EQ(cooldown_after(policy, false, 0), 10min);
    EXPECT_EQ(cooldown_after(policy, false, 2), 40min);
    EXPECT_EQ(cooldown_after(policy, false, 20), 4h);
    auto in = fine();
    in.history = {{.action = "rollback_deployment", .at = now - 4min}};
    EXPECT_EQ(gate_cooldown(in).reason, "cooldown");
    in.history = {{.action = "rollback_deployment", .at = now - 6min}};
    EXPECT_EQ(gate_cooldown(in).answer, GateAnswer::allow);
    in.history = {{.action = "rollback_deployment", .at = now - 6min, .effectiveness = 0.1}};
    EXPECT_EQ(gate_cooldown(in).reason, "cooldown");
}

TEST(OscillationGate, CountsAloneNeverGiveCriticalButAssessedOnesDo) {
    auto in = fine();
    in.actions = {&rollback};
    for (int i = 0; i < 5; ++i) in.history.push_back({.action = "rollback_deployment", .at = now - (20 * (i + 1)) * 1min});
    EXPECT_EQ(gate_oscillation(in).answer, GateAnswer::hold);
    for (auto& past : in.history) past.effectiveness = 0.1;
    EXPECT_EQ(gate_oscillation(in).answer, GateAnswer::deny);
    for (auto& past : in.history) past.effectiveness = 0.9;
    EXPECT_EQ(gate_oscillation(in).answer, GateAnswer::allow);
}

TEST(OscillationGate, SeesScaleFlipsAndRestartLoops) {
    std::vector<PastAction> flips;
    for (int i = 0; i < 5; ++i)
        flips.push_back({.action = "scale_workload", .at = now - (50 - 10 * i) * 1min, .effectiveness = 0.2, .direction = i % 2 == 0 ? 1 : -1});
    EXPECT_EQ(detect_oscillation(flips, "scale_workload", now).finding, Finding::critical);
    std::vector<PastAction> restarts;
    for (int i = 0; i < 5; ++i) restarts.push_back({.action = i % 2 == 0 ? "restart_pod" : "restart_workload", .at = now - (i + 1) * 10min});
    EXPECT_EQ(detect_oscillation(restarts, "restart_pod", now).detector, "restart_loop");
    EXPECT_EQ(detect_oscillation(restarts, "restart_pod", now).finding, Finding::critical);
    EXPECT_EQ(detect_oscillation(restarts, "rollback_deployment", now).finding, Finding::none);
}

TEST(RiskGate, FollowsTheMatrix) {
    struct Row {
        Environment environment;
        Risk risk;
        int people;
    };
    const Row rows[] = {{Environment::dev, Risk::medium, 0},     {Environment::dev, Risk::high, 0},      {Environment::dev, Risk::critical, 1},
                        {Environment::staging, Risk::medium, 0}, {Environment::staging, Risk::high, 1},  {Environment::staging, Risk::critical, 2},
                        {Environment::prod, Risk::low, 0},       {Environment::prod, Risk::medium, 1},   {Environment::prod, Risk::high, 1},
                        {Environment::prod, Risk::critical, 2},  {Environment::unknown, Risk::medium, 1}};
    for (const Row& row : rows) {
        auto in = fine();
        in.environment = row.environment;
        in.plan.risk = row.risk;
        EXPECT_EQ(gate_risk(in).approvals, row.people) << to_string(row.environment) << " " << to_string(row.risk);
        in.approved = true;
        EXPECT_EQ(gate_risk(in).answer, GateAnswer::allow);
    }
}

TEST(RiskGate, ProvenMediumWorkflowsRunAloneInProduction) {
    auto in = fine();
    in.environment = Environment::prod;
    in.q10 = 0.7;
    in.n_eff = 12;
    EXPECT_EQ(gate_risk(in).answer, GateAnswer::allow);
    in.first_use_in_cluster = true;
    EXPECT_EQ(gate_risk(in).answer, GateAnswer::ask);
}

TEST(RiskGate, LowConfidenceAsks) {
    auto in = fine();
    in.plan.p = 0.7;
    in.plan.risk = Risk::low;
    EXPECT_EQ(gate_risk(in).reason, "confidence_low");
}

TEST(BudgetGate, StormsHoldAndBrokenPoolsDenyNodeWork) {
    auto in = fine();
    in.storm = true;
    in.incidents_last_minute = 21;
    EXPECT_EQ(gate_budgets(in).reason, "storm");
    in = fine();
    in.actions = {&drain};
    in.plan.target.key = ObjectKey{ClusterId("eu1"), "", "Node", "", "n1"};
    in.ready_nodes_ratio = 0.5;
    EXPECT_EQ(gate_budgets(in).reason, "budget_cluster");
    in.ready_nodes_ratio = 0.9;
    in.clusters_total = 5;
    in.clusters_busy_now = 1;
    EXPECT_EQ(gate_budgets(in).reason, "budget_fleet");
    in.clusters_busy_now = 0;
    EXPECT_EQ(ask_gates(in).decision.reason, "");
}

TEST(NodePlans, AlsoLockThePool) {
    auto in = fine();
    in.environment = Environment::dev;
    in.actions = {&drain};
    in.plan.target.key = ObjectKey{ClusterId("eu1"), "", "Node", "", "n1"};
    EXPECT_EQ(ask_gates(in).locks, (std::vector<std::string>{"eu1/_/Node/n1", "eu1/_/Node/*"}));
}

}  // namespace
}  // namespace kn::guard
