// Does it help to ask what worked in like cases? A made-up world in which two workflows for one fault work in different circumstances, which the class as a
// whole cannot tell apart; the real planner decides, with and without the families.
#include <gtest/gtest.h>

#include <iostream>

#include "bed.hpp"
#include "history_reader.hpp"
#include "kubernaut/decision/classifier.hpp"
#include "kubernaut/decision/planner.hpp"
#include "kubernaut/patterns/discovery/family_index.hpp"

namespace kn::discovery {
namespace {

const std::string fault = "oom.leak";
const ClusterId eu1{"eu1"};

struct World {
    double when_alike, otherwise;  ///< success of the workflow that fits the case, and of the other
    bool matters = true;
};

/// A case: whether its cache grows with the tenants is what decides, and three traits that mean nothing.
struct Case {
    bool follows_tenants = false;
    decision::FactSet facts;
    patterns::ExecutionRow row;
};

Case draw(analytics::Rng& chance, int number) {
    Case one;
    one.follows_tenants = chance.uniform() < 0.4;
    const auto put = [&](const char* name, json::Value value) {
        Fact fact;
        fact.name = name;
        fact.state = value.is_bool() ? (value.get_bool() ? Truth::yes : Truth::no) : Truth::yes;
        fact.value = std::move(value);
        fact.source = "test";
        fact.observed_at = monday;
        one.facts.put(std::move(fact));
    };
    put("target.kind", "Deployment");
    put("oom.monotone_growth", true);
    put("oom.began_with_revision", true);
    put("rollout.good_revision", true);
    put("memory.follows_tenants", one.follows_tenants);
    put("pod.qos", chance.uniform() < 0.5 ? "Burstable" : "Guaranteed");
    put("workload.replicas", 1 + static_cast<std::int64_t>(chance.below(6)));
    put("node.zone", json::Value("z" + std::to_string(chance.below(3))));
    one.row = {.id = "e" + std::to_string(number), .cluster = "eu1", .fault_class = fault, .started = monday + number * Duration{1h}};
    flatten_facts(one.facts.tree(), one.row);
    return one;
}

bool works(const World& world, const Case& one, const std::string& workflow, analytics::Rng& chance) {
    const bool fits = (workflow == "graceful-restart") == one.follows_tenants;
    return chance.uniform() < (!world.matters ? 0.6 : fits ? world.when_alike : world.otherwise);
}

/// The share of successes over 400 cases, after 120 whose workflow was chosen by chance.
double successes(const World& world, bool with_families, std::uint64_t seed, std::string* told = nullptr) {
    const auto faults = decision::FaultCatalog::builtin().value();
    const auto lookup = [](std::string_view id) {
        auto workflow = std::make_shared<WorkflowDefinition>();
        workflow->id = std::string(id);
        workflow->risk = Risk::low;
        return std::shared_ptr<const WorkflowDefinition>(workflow);
    };
    const decision::Planner planner(faults, lookup, {});
    analytics::Rng chance(seed);
    std::vector<patterns::ExecutionRow> past;
    std::map<std::string, Posterior> sums;
    int good = 0;
    constexpr int first = 120, then = 400;
    patterns::FamilyIndex index;
    for (int i = 0; i < first + then; ++i) {
        Case one = draw(chance, i);
        std::string workflow = chance.uniform() < 0.5 ? "graceful-restart" : "rollback-deployment";
        if (i >= first) {
            if (i % 20 == 0) index = patterns::FamilyIndex(past);
            decision::PlanInput input;
            input.diagnosis.fault_class = fault;
            input.diagnosis.p = 0.95;
            input.diagnosis.margin = 0.5;
            input.diagnosis.made_at = monday;
            input.diagnosis.candidates = {{.fault_class = fault, .p = 0.95}};
            input.facts = one.facts;
            input.target.key = {eu1, "shop", "Deployment", "apps", "web"};
            input.cluster = eu1;
            for (const auto& [name, posterior] : sums) input.posteriors.push_back(posterior);
            if (with_families)
                for (auto& near : index.near(one.row)) input.families.push_back({near.workflow, near.good, near.bad, near.shared});
            const auto result = planner.plan(input);
            workflow = result.plan.workflow;
            if (told != nullptr)
                for (const auto& reason : result.plan.reasons) *told += reason + "\n";
        }
        const bool success = works(world, one, workflow, chance);
        one.row.workflow = workflow;
        one.row.succeeded = success;
        past.push_back(one.row);
        Posterior& sum = sums[workflow];
        sum.scope = eu1, sum.workflow = workflow, sum.fault_class = fault;
        (success ? sum.a : sum.b) += 1;
        ++sum.n, ++sum.version;
        if (i >= first) good += success ? 1 : 0;
    }
    return static_cast<double>(good) / then;
}

TEST(Ranking, WhatWorkedInLikeCasesHelpsWhereTheClassAloneCannotTell) {
    const auto salt = new_seed();
    SCOPED_TRACE("KN_SEED=" + std::to_string(salt));
    const World world{.when_alike = 0.9, .otherwise = 0.3};
    double with = 0, without = 0;
    constexpr int rounds = 8;
    std::string told;
    for (int round = 0; round < rounds; ++round) {
        with += successes(world, true, salt + static_cast<std::uint64_t>(round), round == 0 ? &told : nullptr) / rounds;
        without += successes(world, false, salt + static_cast<std::uint64_t>(round)) / rounds;
    }
    std::cout << "successes of " << rounds << " x 400 incidents: with families " << with << ", without " << without << "\n";
    EXPECT_GT(with, without + 0.15);
    EXPECT_GT(with, 0.8);
    EXPECT_NE(told.find("in the cases most like this one (memory.follows_tenants = yes) it helped in"), std::string::npos) << told.substr(0, 500);
}

TEST(Ranking, WhereNothingTellsCasesApartTheFamiliesDoNoHarm) {
    const auto salt = new_seed();
    SCOPED_TRACE("KN_SEED=" + std::to_string(salt));
    const World world{.when_alike = 0.6, .otherwise = 0.6, .matters = false};
    double with = 0, without = 0;
    for (std::uint64_t round = 0; round < 6; ++round)
        with += successes(world, true, salt + round) / 6, without += successes(world, false, salt + round) / 6;
    EXPECT_NEAR(with, without, 0.05);
}

}  // namespace
}  // namespace kn::discovery
