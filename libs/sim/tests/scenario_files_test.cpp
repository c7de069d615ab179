#include <ranges>

#include "scenario_doctor.hpp"

namespace kn::sim {
namespace {

TEST(ScenarioFiles, ReadWithoutErrorForManySeeds) {
    ASSERT_GE(builtin_scenarios().size(), 15U);
    std::set<std::string> ids;
    for (const auto& file : builtin_scenarios()) {
        for (std::uint64_t seed = 1; seed <= 20; ++seed) {
            const auto scenario = Scenario::parse(file.text, seed);
            ASSERT_TRUE(scenario) << file.file << " seed " << seed << ": " << scenario.error().describe();
            if (seed == 1) EXPECT_TRUE(ids.insert(scenario->id()).second) << "two scenarios are " << scenario->id();
        }
    }
}

TEST(ScenarioFiles, NameThePlaceOfAMistake) {
    const auto error_of = [](std::string_view text) {
        const auto scenario = Scenario::parse(text, 1);
        return scenario ? std::string("no error") : scenario.error().describe();
    };
    EXPECT_NE(error_of("id: A\nname: ${nobody}\n").find("line 2"), std::string::npos) << error_of("id: A\nname: ${nobody}\n");
    EXPECT_NE(error_of("id: A\nnmae: b\n").find("nmae"), std::string::npos);
    const std::string head = "id: A\nname: a\ntitle: t\ntarget: Deployment.apps/x/y\nworld: []\n";
    EXPECT_NE(error_of(head + "fault:\n  - explode: now\n").find("line 7"), std::string::npos) << error_of(head + "fault:\n  - explode: now\n");
    EXPECT_NE(error_of(head + "signals: [KubeNothing]\n").find("KubeNothing"), std::string::npos);
    EXPECT_NE(error_of(head + "expect: {class: a.b, outcome: remediated}\n").find("cured"), std::string::npos);
}

/// Deployed, broken, noticed, not cured by itself, and cured by the right action without touching anything else.
class ScenarioRun : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioRun, BreaksRingsAndIsCuredByTheRightAction) {
    const auto seed = static_cast<std::uint64_t>(testing::UnitTest::GetInstance()->random_seed() + 1);
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto scenario = Scenario::parse(find_scenario(GetParam())->text, seed);
    ASSERT_TRUE(scenario) << scenario.error().describe();
    SimBed bed({.name = "eu1"}, seed);
    const Stage stage = bed.cluster.stage();
    const auto deployed = bed.await(scenario->deploy(stage, bed.soon()));
    ASSERT_TRUE(deployed) << deployed.error().describe();
    Doctor doctor(bed, *scenario);
    const auto injected = bed.await(scenario->inject(stage, bed.soon()));
    ASSERT_TRUE(injected) << injected.error().describe();

    const auto feed = scenario->alerts(stage);
    std::vector<std::string> rang;
    const auto listen = [&] {
        const auto changes = bed.await(feed->evaluate(bed.soon()));
        ASSERT_TRUE(changes) << changes.error().describe();
        for (const auto& alert : *changes) {
            if (!alert.ends_at) rang.push_back(alert.name);
            EXPECT_EQ(alert.labels.at("cluster"), "eu1");
        }
    };
    const auto look = [&] {
        auto verdict = bed.await(scenario->check(stage, bed.soon()));
        EXPECT_TRUE(verdict) << verdict.error().describe();
        for (const auto& violation : verdict->violations) ADD_FAILURE() << violation.object << ": " << violation.what;
        return *std::move(verdict);
    };
    for (int i = 0; i < 60 && rang.empty(); ++i) {
        bed.pass(15s);
        listen();
    }
    EXPECT_FALSE(rang.empty()) << "no alert within 15 minutes";
    if (scenario->expect().leave_alone) {
        bed.pass(15min);
        const auto verdict = look();
        EXPECT_TRUE(verdict.cured) << (verdict.missing.empty() ? "" : verdict.missing.front());
        return;
    }
    EXPECT_FALSE(look().cured);
    if (!doctor.cure()) {
        EXPECT_EQ(scenario->expect().outcome, "escalated") << "nobody knows how to cure this";
        bed.pass(10min);
        EXPECT_FALSE(look().cured) << "it heals by itself";
        return;
    }
    Verdict verdict;
    bed.until(
        [&] {
            bed.pass(14s);
            verdict = look();
            return verdict.cured;
        },
        scenario->expect().cured_within);
    EXPECT_TRUE(verdict.cured) << (verdict.missing.empty() ? "" : verdict.missing.front());
    ASSERT_TRUE(bed.await(scenario->clean_up(stage, bed.soon())));
}

INSTANTIATE_TEST_SUITE_P(All, ScenarioRun, testing::ValuesIn([] {
                             std::vector<std::string> names;
                             for (const auto& file : builtin_scenarios()) names.push_back(Scenario::parse(file.text, 1)->name());
                             return names;
                         }()),
                         [](const auto& info) {
                             std::string name = info.param;
                             std::ranges::replace(name, '-', '_');
                             return name;
                         });

TEST(Twin, TellsAFaultThatHealsFromOneThatDoesNot) {
    const auto heals = run_twin(find_scenario("self-healing")->text, 5, 20min);
    ASSERT_TRUE(heals) << heals.error().describe();
    EXPECT_TRUE(heals->healed);
    const auto stays = run_twin(find_scenario("bad-command")->text, 5, 20min);
    ASSERT_TRUE(stays) << stays.error().describe();
    EXPECT_FALSE(stays->healed);
}

TEST(Truth, SeesATouchedNeighbour) {
    SimBed bed;
    auto scenario = Scenario::parse(find_scenario("bad-command")->text, 9);
    ASSERT_TRUE(scenario);
    const Stage stage = bed.cluster.stage();
    ASSERT_TRUE(bed.await(scenario->deploy(stage, bed.soon())));
    ASSERT_TRUE(bed.await(scenario->inject(stage, bed.soon())));
    const std::string ns = scenario->namespaces().front();
    std::string neighbour;
    for (const auto& each : bed.list("Deployment", ns)) {
        if (scenario->target() != "Deployment.apps/" + ns + "/" + std::string(kube::name_of(each))) neighbour = kube::name_of(each);
    }
    ASSERT_FALSE(neighbour.empty());
    ASSERT_TRUE(bed.patch("Deployment", ns, neighbour, "spec: {replicas: 7}", kube::PatchType::merge));
    const auto verdict = bed.await(scenario->check(stage, bed.soon()));
    ASSERT_TRUE(verdict);
    ASSERT_EQ(verdict->violations.size(), 1U);
    EXPECT_EQ(verdict->violations.front().object, "Deployment.apps/" + ns + "/" + neighbour);
    EXPECT_TRUE(verdict->harmful());
}

}  // namespace
}  // namespace kn::sim
