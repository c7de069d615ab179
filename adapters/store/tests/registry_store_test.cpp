#include "contract.hpp"

namespace kn::store_test {
namespace {

class RegistryStoreContract : public StoreContract {};

TEST_P(RegistryStoreContract, KeepsClustersAndPauses) {
    ClusterRecord cluster{.id = eu1, .uid = "u1", .environment = Environment::prod};
    must(registry().put_cluster(cluster, soon()));
    cluster.verdict = ClusterVerdict::lost;
    cluster.epoch = 4;
    must(registry().put_cluster(cluster, soon()));
    const auto clusters = must(registry().clusters(soon()));
    ASSERT_EQ(clusters.size(), 1U);
    EXPECT_EQ(clusters[0].verdict, ClusterVerdict::lost);
    EXPECT_EQ(clusters[0].epoch, 4);

    must(registry().set_pause({.cluster = eu1, .ns = "shop", .by = "ann", .since = t0}, a_record(1), soon()));
    must(registry().set_pause({.cluster = ClusterId("_fleet"), .by = "bob", .since = t0}, a_record(2), soon()));
    EXPECT_EQ(must(registry().pauses(soon())).size(), 2U);
    must(registry().clear_pause(eu1, "shop", a_record(3), soon()));
    EXPECT_EQ(error_of(registry().clear_pause(eu1, "shop", a_record(4), soon())).code, ErrorCode::not_found);
    EXPECT_EQ(must(registry().pauses(soon())).size(), 1U);
    EXPECT_EQ(must(registry().audit({}, {}, soon())).items.size(), 3U);
}

TEST_P(RegistryStoreContract, BindsTheFirstUidOfAClusterForEver) {
    EXPECT_EQ(must(registry().bind_uid(eu1, "u1", soon())), "u1");
    EXPECT_EQ(must(registry().bind_uid(eu1, "u2", soon())), "u1");
    must(registry().put_cluster({.id = us1, .environment = Environment::prod}, soon()));
    EXPECT_EQ(must(registry().bind_uid(us1, "u3", soon())), "u3");
    const auto clusters = must(registry().clusters(soon()));
    ASSERT_EQ(clusters.size(), 2U);
    EXPECT_EQ(clusters[1].uid, "u3");
    EXPECT_EQ(clusters[1].environment, Environment::prod);
}

TEST_P(RegistryStoreContract, KeepsASnapshotOnlyWhenItSaysSomethingNew) {
    const auto snapshot = [](std::string name, std::string hash, Instant at, bool deleted = false) {
        ObjectSnapshot s{.key = an_object(std::move(name)), .uid = "u", .hash = std::move(hash), .spec = json::Value(1), .taken_at = at};
        if (deleted) s.deleted_at = at;
        return s;
    };
    must(
        registry().put_snapshots({snapshot("a", "1", t0), snapshot("a", "1", t0 + 1s), snapshot("b", "1", t0), snapshot("a", "2", t0 + 2s)}, soon()));
    must(registry().put_snapshots({snapshot("a", "2", t0 + 3s), snapshot("a", "1", t0 + 4s), snapshot("a", "1", t0 + 4s, true)}, soon()));
    must(registry().put_snapshots({snapshot("a", "1", t0 + 5s, true)}, soon()));
    const auto history = must(registry().snapshots(an_object("a"), t0, 10, soon()));
    ASSERT_EQ(history.size(), 4U);
    EXPECT_TRUE(history[0].deleted_at);
    EXPECT_EQ(history[1].hash, "1");
    EXPECT_EQ(history[2].hash, "2");
    EXPECT_EQ(history[3].taken_at, t0);
    EXPECT_EQ(must(registry().snapshots(an_object("a"), t0 + 3s, 10, soon())).size(), 2U);
    EXPECT_EQ(must(registry().changes(eu1, "shop", t0, 10, soon())).size(), 5U);
    EXPECT_EQ(must(registry().changes(eu1, "shop", t0 + 2s, 1, soon())).size(), 1U);
    EXPECT_TRUE(must(registry().changes(us1, "shop", t0, 10, soon())).empty());
}

TEST_P(RegistryStoreContract, ALeaseHasOneOwnerAndAnEpochThatOnlyRises) {
    EXPECT_EQ(must(registry().acquire_lease("serve", "a", t0, 15s, soon())), 1);
    EXPECT_EQ(must(registry().acquire_lease("serve", "a", t0 + 5s, 15s, soon())), 1);
    EXPECT_EQ(error_of(registry().acquire_lease("serve", "b", t0 + 6s, 15s, soon())).code, ErrorCode::failed_precondition);
    EXPECT_EQ(must(registry().acquire_lease("decide", "b", t0 + 6s, 15s, soon())), 1);
    EXPECT_EQ(must(registry().acquire_lease("serve", "b", t0 + 20s, 15s, soon())), 2);
    EXPECT_EQ(error_of(registry().acquire_lease("serve", "a", t0 + 21s, 15s, soon())).code, ErrorCode::failed_precondition);
    EXPECT_EQ(must(registry().acquire_lease("serve", "b", t0 + 60s, 15s, soon())), 3)
        << "it was gone for a while: whatever it began before is fenced";
}

TEST_P(RegistryStoreContract, IsReadyWhenItCanBeWrittenAndItsSchemaIsCurrent) {
    must(registry().ready(soon()));
    tamper("INSERT INTO schema_migrations (version, name, applied_at) VALUES (9999, 'future', 0)");
    EXPECT_EQ(error_of(registry().ready(soon())).code, ErrorCode::failed_precondition);
    if (!database_.durable()) return;
    stores_.reset();
    const auto refused = open_store(database_.url(), options_, *loop_);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::failed_precondition);
    EXPECT_NE(refused.error().message.find("9999"), std::string::npos) << refused.error().message;
}

TEST_P(RegistryStoreContract, OpensAgainWithWhatWasStored) {
    if (!database_.durable()) GTEST_SKIP() << "memory ends with its owner";
    must(registry().append_audit({a_record(1)}, soon()));
    reopen();
    EXPECT_EQ(must(registry().audit({}, {}, soon())).items.size(), 1U);
}

TEST_P(RegistryStoreContract, DeletesWhatIsOldAndKeepsWhatIsOpen) {
    must(signals().accept({"am", "x", t0 - 1000h * 24}, {a_signal(1), a_signal(2)}, soon()));
    Signal done = a_signal(1);
    done.state = SignalState::ignored;
    Incident closed = an_incident(1), open = an_incident(2);
    closed.state = IncidentState::suppressed;
    must(incidents().commit({.incidents = {closed, open}, .signals = {done}}, soon()));
    must(executions().start(a_start(1), soon()));
    const ObjectSnapshot first{.key = an_object("a"), .hash = "1", .taken_at = t0}, second{.key = an_object("a"), .hash = "2", .taken_at = t0 + 1s};
    must(registry().put_snapshots({first, second}, soon()));
    // The loop's clock says today; the test's values are at t0, so that a negative age makes everything old.
    const Duration all = loop_->clock().now() - t0 - 24h * 30;
    EXPECT_EQ(must(stores_->retain({.inbox = all, .signals = all, .history = all, .snapshots = all}, 1000, soon())), 4);
    EXPECT_EQ(must(signals().recent("", "", 10, soon())).size(), 1U);
    EXPECT_EQ(must(incidents().list({}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(registry().snapshots(an_object("a"), t0, 10, soon())).size(), 1U);
    EXPECT_EQ(must(executions().list({}, {}, soon())).items.size(), 1U);
}

KN_EVERY_STORE(RegistryStoreContract);

}  // namespace
}  // namespace kn::store_test
