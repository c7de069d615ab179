#include <gtest/gtest.h>

#include <map>
#include <set>

#include "kubernaut/domain/enums.hpp"

namespace kn {
namespace {

template <class E> using Table = std::map<E, std::set<E>>;

/// Every pair of states is legal exactly when the table says so (or when nothing changes).
template <class E> void expect_exactly(const Table<E>& table) {
    for (const auto& [from, from_name] : EnumNames<E>::entries) {
        for (const auto& [to, to_name] : EnumNames<E>::entries) {
            const auto row = table.find(from);
            const bool legal = from == to || (row != table.end() && row->second.contains(to));
            EXPECT_EQ(may_change(from, to), legal) << from_name << " → " << to_name;
        }
    }
}

TEST(States, AnIncidentChangesOnlyAsTheTableSays) {
    using enum IncidentState;
    expect_exactly<IncidentState>({
        {open, {diagnosing, resolved}},
        {diagnosing, {linked, planned, held, escalated, suppressed, duplicate, resolved}},
        {linked, {diagnosing, escalated, resolved}},
        {held, {diagnosing, escalated, resolved}},
        {planned, {awaiting_approval, remediating, held, escalated, resolved}},
        {awaiting_approval, {remediating, planned, escalated, resolved}},
        {remediating, {verifying, planned, escalated, resolved}},
        {verifying, {resolved, planned, escalated}},
        {resolved, {open}},
        {escalated, {open}},
        {suppressed, {open}},
    });
}

TEST(States, AnExecutionChangesOnlyAsTheTableSays) {
    using enum ExecutionState;
    expect_exactly<ExecutionState>({
        {planned, {awaiting_approval, queued, refused}},
        {awaiting_approval, {queued, expired, refused, cancelled}},
        {queued, {running, cancelled, refused}},
        {running, {paused, verifying, compensating, failed, cancelled}},
        {paused, {running, compensating, cancelled}},
        {verifying, {succeeded, compensating, failed}},
        {compensating, {compensated, compensation_failed}},
    });
}

TEST(States, AStepChangesOnlyAsTheTableSays) {
    using enum StepState;
    expect_exactly<StepState>({
        {pending, {ready, cancelled}},
        {ready, {skipped, waiting, intent_stored, cancelled}},
        {intent_stored, {in_flight}},
        {in_flight, {succeeded, failed, ambiguous}},
        {ambiguous, {succeeded, in_flight, failed}},
        {waiting, {succeeded, failed, cancelled}},
        {succeeded, {compensating}},
        {compensating, {compensated, compensation_failed}},
    });
}

TEST(States, AFinishedExecutionIsNeverLeft) {
    for (const auto& [from, name] : EnumNames<ExecutionState>::entries) {
        bool left = false;
        for (const auto& [to, unused] : EnumNames<ExecutionState>::entries) left = left || (from != to && may_change(from, to));
        EXPECT_EQ(is_terminal(from), !left) << name;
    }
}

TEST(States, AStepReachesWhatFollowsButNothingThatLiesBehind) {
    using enum StepState;
    EXPECT_TRUE(may_reach(pending, succeeded));
    EXPECT_TRUE(may_reach(intent_stored, ambiguous));
    EXPECT_TRUE(may_reach(ambiguous, in_flight));
    EXPECT_TRUE(may_reach(succeeded, compensated));
    for (const StepState back : {pending, ready, intent_stored}) EXPECT_FALSE(may_reach(in_flight, back));
    for (const StepState end : {skipped, failed, cancelled, compensated, compensation_failed}) {
        for (const auto& [to, name] : EnumNames<StepState>::entries) EXPECT_EQ(may_reach(end, to), end == to) << name;
    }
}

TEST(Risk, RisesByLevelsAndStaysInItsBounds) {
    EXPECT_EQ(raised(Risk::low, 1), Risk::medium);
    EXPECT_EQ(raised(Risk::high, 3), Risk::critical);
    EXPECT_EQ(raised(Risk::low, -4), Risk::none);
    EXPECT_EQ(stricter(Mode::shadow, Mode::automatic), Mode::shadow);
}

}  // namespace
}  // namespace kn
