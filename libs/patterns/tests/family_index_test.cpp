#include "kubernaut/patterns/discovery/family_index.hpp"

#include <gtest/gtest.h>

#include <random>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::patterns {
namespace {

const Instant begin = *parse_rfc3339("2026-01-05T00:00:00Z");

/// Two workflows; on spot nodes the one works, elsewhere the other. Twenty traits that mean nothing.
std::vector<ExecutionRow> cases(std::uint64_t seed, int count, bool tells = true) {
    analytics::Rng random(seed);
    std::vector<ExecutionRow> rows;
    for (int i = 0; i < count; ++i) {
        const bool spot = random.uniform() < 0.3, move = random.uniform() < 0.5;
        const double p = !tells ? 0.6 : spot == move ? 0.9 : 0.2;
        ExecutionRow row{.id = "e" + std::to_string(i),
                         .cluster = "a",
                         .environment = "prod",
                         .workflow = move ? "move-off-node" : "restart",
                         .fault_class = "oom.leak",
                         .subject = "s",
                         .started = begin + i * Duration{1h},
                         .succeeded = random.uniform() < p};
        row.traits = {{"node.pool", spot ? "spot" : "standard"}};
        row.numbers = {{"memory.share", (spot ? 0.9 : 0.4) + 0.02 * random.normal()}};
        for (int t = 0; t < 20; ++t) row.traits.emplace_back("idle" + std::to_string(t), "w" + std::to_string(random.below(3)));
        row.traits.emplace_back("name", "n" + std::to_string(i));
        rows.push_back(std::move(row));
    }
    return rows;
}

TEST(FamilyIndex, SaysWhatWorkedInCasesLikeThisOneAndByWhatTheyAreAlike) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    const FamilyIndex index(cases(seed, 300));
    ExecutionRow one{.fault_class = "oom.leak"};
    one.traits = {{"node.pool", "spot"}};
    one.numbers = {{"memory.share", 0.91}};
    const auto near = index.near(one);
    ASSERT_EQ(near.size(), 2U);
    EXPECT_EQ(near[0].workflow, "move-off-node");
    EXPECT_GT(near[0].good / (near[0].good + near[0].bad), 0.75);
    EXPECT_LT(near[1].good / (near[1].good + near[1].bad), 0.4);
    EXPECT_NE(near[0].shared.find("node.pool = spot"), std::string::npos) << near[0].shared;
    EXPECT_EQ(near[0].shared.find("name"), std::string::npos);
    one.traits = {{"node.pool", "standard"}};
    one.numbers = {{"memory.share", 0.41}};
    const auto other = index.near(one);
    EXPECT_GT(other[1].good / (other[1].good + other[1].bad), 0.75);
    one.fault_class = "image.not_found";
    EXPECT_TRUE(index.near(one).empty());
    EXPECT_TRUE(index.near({.fault_class = "oom.leak"}).empty()) << "nothing is known of it";
}

TEST(FamilyIndex, IsSilentWhenNothingTellsGoodFromBad) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    int spoke = 0;
    for (std::uint64_t round = 0; round < 40; ++round) {
        const auto rows = cases(seed + round, 200, false);
        spoke += FamilyIndex(rows).near(rows.back()).empty() ? 0 : 1;
    }
    EXPECT_LE(spoke, 8);  // 22 traits each: about one in twenty rounds by chance
}

TEST(FamilyIndex, NeedsEnoughCasesAndGivesTheSameAnswerInAnyOrder) {
    auto rows = cases(1, 300);
    EXPECT_TRUE(FamilyIndex(std::vector(rows.begin(), rows.begin() + 10)).near(rows[0]).empty());
    const auto a = FamilyIndex(rows).near(rows[5]);
    std::mt19937 random(3);
    std::shuffle(rows.begin(), rows.end(), random);
    ExecutionRow five{.fault_class = "oom.leak"};
    for (const auto& row : rows)
        if (row.id == "e5") five = row;
    const auto b = FamilyIndex(rows).near(five);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
        EXPECT_EQ(a[i].good, b[i].good);
        EXPECT_EQ(a[i].bad, b[i].bad);
    }
}

}  // namespace
}  // namespace kn::patterns
