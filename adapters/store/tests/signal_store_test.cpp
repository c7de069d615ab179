#include "contract.hpp"

namespace kn::store_test {
namespace {

class SignalStoreContract : public StoreContract {};

ports::RawBatch raw(std::string bytes = "{}", Instant at = t0) { return {"alertmanager", std::move(bytes), at}; }

TEST_P(SignalStoreContract, KeepsWhatItAcceptsAndCountsRepeats) {
    const auto first = must(signals().accept(raw("1"), {a_signal(1), a_signal(2)}, soon()));
    EXPECT_EQ(first.accepted, 2);
    EXPECT_EQ(first.duplicates, 0);
    Signal again = a_signal(1);
    again.id = SignalId("sig_other");
    again.last_seen = t0 + 60s;
    const auto second = must(signals().accept(raw("2", t0 + 60s), {again, a_signal(3), a_signal(3)}, soon()));
    EXPECT_EQ(second.accepted, 1);
    EXPECT_EQ(second.duplicates, 2);
    EXPECT_NE(first.receipt, second.receipt);
    const auto pending = must(signals().pending(10, soon()));
    ASSERT_EQ(pending.size(), 3U);
    EXPECT_EQ(pending[0].id, a_signal(1).id) << "the first one stays";
    EXPECT_EQ(pending[0].count, 2);
    EXPECT_EQ(pending[0].last_seen, t0 + 60s);
    EXPECT_EQ(pending[0].labels, a_signal(1).labels);
}

TEST_P(SignalStoreContract, GivesPendingSignalsInOrderOfArrivalEvenWithinAMillisecond) {
    for (const int n : {5, 3, 9}) must(signals().accept(raw(std::to_string(n)), {a_signal(n), a_signal(n + 100)}, soon()));
    std::vector<SignalId> order;
    for (const auto& signal : must(signals().pending(4, soon()))) order.push_back(signal.id);
    EXPECT_EQ(order, (std::vector{a_signal(5).id, a_signal(105).id, a_signal(3).id, a_signal(103).id}));
}

TEST_P(SignalStoreContract, ABadAlertIsQuarantinedAndNotItsBatch) {
    Signal bad = a_signal(1);
    bad.state = SignalState::quarantined;
    bad.error = "labels: too many";
    const auto out = must(signals().accept(raw(), {bad, a_signal(2)}, soon()));
    EXPECT_EQ(out.accepted, 1);
    EXPECT_EQ(out.quarantined, 1);
    EXPECT_EQ(must(signals().pending(10, soon())).size(), 1U);
    const auto kept = must(signals().recent("eu1", "quarantined", 10, soon()));
    ASSERT_EQ(kept.size(), 1U);
    EXPECT_EQ(kept[0].error, "labels: too many");
}

TEST_P(SignalStoreContract, HostileTextDoesNotSpoilItsBatch) {
    Signal hostile = a_signal(1);
    hostile.name = std::string("nul\0in'side\"", 12) + "\xff\xc0\xaf \xed\xa0\x80 ü名";
    hostile.labels["x'; DROP TABLE signals; --"] = std::string("\0\x01", 2);
    hostile.error = std::string("\xfe\0", 2);
    const auto out = must(signals().accept(raw(std::string("\0\xff raw", 6)), {hostile, a_signal(2)}, soon()));
    EXPECT_EQ(out.accepted, 2);
    const auto pending = must(signals().pending(10, soon()));
    ASSERT_EQ(pending.size(), 2U);
    EXPECT_NE(pending[0].name.find("ü名"), std::string::npos);
    EXPECT_TRUE(pending[0].labels.contains("x'; DROP TABLE signals; --"));
}

TEST_P(SignalStoreContract, RefusesMoreWhenTheInboxIsFullAndNothingOfTheBatchIsKept) {
    options_.inbox_rows = 3;
    reopen();
    must(signals().accept(raw("1"), {a_signal(1), a_signal(2), a_signal(3)}, soon()));
    const Error error = error_of(signals().accept(raw("2"), {a_signal(4)}, soon()));
    EXPECT_EQ(error.code, ErrorCode::resource_exhausted);
    EXPECT_TRUE(error.retry_after);
    EXPECT_EQ(must(signals().level(soon())).pending, 3);
    Signal done = a_signal(1);
    done.state = SignalState::correlated;
    must(incidents().commit({.signals = {done}}, soon()));
    EXPECT_EQ(must(signals().accept(raw("3"), {a_signal(4)}, soon())).accepted, 1) << "room again";
}

TEST_P(SignalStoreContract, MeasuresTheInbox) {
    EXPECT_EQ(must(signals().level(soon())).pending, 0);
    Signal early = a_signal(1);
    early.received_at = t0 - 5s;
    must(signals().accept(raw(), {early, a_signal(2)}, soon()));
    const auto level = must(signals().level(soon()));
    EXPECT_EQ(level.pending, 2);
    EXPECT_GT(level.bytes, 200);
    EXPECT_EQ(level.oldest, t0 - 5s);
}

TEST_P(SignalStoreContract, FindsTheTwinsOfAResolvedNotice) {
    Signal resolved = a_signal(1);
    resolved.status = SignalStatus::resolved;
    resolved.id = SignalId("sig_resolved");
    resolved.key = make_signal_key(eu1, "alertmanager", "fp1", resolved.starts_at, "resolved");
    must(signals().accept(raw(), {a_signal(1), resolved, a_signal(1, us1), a_signal(2)}, soon()));
    const auto twins = must(signals().by_fingerprint(eu1, "fp1", t0 - 1h, soon()));
    ASSERT_EQ(twins.size(), 1U);
    EXPECT_EQ(twins[0].id, a_signal(1).id);
    EXPECT_TRUE(must(signals().by_fingerprint(eu1, "fp1", t0 + 1h, soon())).empty());
}

TEST_P(SignalStoreContract, CorrelationMovesASignalToItsIncident) {
    must(signals().accept(raw(), {a_signal(1), a_signal(2)}, soon()));
    Signal one = a_signal(1);
    one.state = SignalState::correlated;
    one.incident = an_incident(1).id;
    must(incidents().commit({.incidents = {an_incident(1)}, .signals = {one}}, soon()));
    EXPECT_EQ(must(signals().pending(10, soon())).size(), 1U);
    const auto of = must(signals().of_incident(eu1, an_incident(1).id, 10, soon()));
    ASSERT_EQ(of.size(), 1U);
    EXPECT_EQ(of[0].state, SignalState::correlated);
    EXPECT_EQ(of[0].incident, an_incident(1).id);
}

KN_EVERY_STORE(SignalStoreContract);

}  // namespace
}  // namespace kn::store_test
