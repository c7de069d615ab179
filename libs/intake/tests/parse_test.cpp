#include "kubernaut/intake/parse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kn::intake {
namespace {

const Instant now = parse_rfc3339("2026-03-04T10:00:00Z").value();

ClusterNaming two_clusters() { return {.registered = {"eu1", "us1"}}; }

ParsedBatch parse(const std::string& body, const ClusterNaming& naming = two_clusters()) {
    SeededRandom random(7);
    return parse_alertmanager(body, naming, now, random).value();
}

std::string alert(const std::string& labels, const std::string& more = "") {
    return R"({"version":"4","alerts":[{"status":"firing","labels":{"alertname":"X",)" + labels + R"(},"startsAt":"2026-03-04T09:59:00Z")" + more +
           "}]}";
}

TEST(ParseAlertmanager, NamesTheClusterByPathHeaderLabelAliasOrTheOnlyOne) {
    EXPECT_EQ(parse(alert(R"("cluster":"eu1")")).signals[0].cluster.str(), "eu1");
    EXPECT_EQ(parse(alert(R"("k8s_cluster":"us1")")).signals[0].cluster.str(), "us1");
    EXPECT_EQ(parse(alert(R"("cluster":"mars")")).signals[0].cluster.str(), "unknown");
    EXPECT_EQ(parse(alert(R"("a":"b")")).signals[0].cluster.str(), "unknown") << "two are registered: no default";
    auto naming = two_clusters();
    naming.from_path = "us1";
    EXPECT_EQ(parse(alert(R"("cluster":"eu1")"), naming).signals[0].cluster.str(), "us1");
    naming = two_clusters();
    naming.aliases["europe"] = "eu1";
    EXPECT_EQ(parse(alert(R"("cluster":"europe")"), naming).signals[0].cluster.str(), "eu1");
    EXPECT_EQ(parse(alert(R"("a":"b")"), {.registered = {"one"}}).signals[0].cluster.str(), "one");
    EXPECT_EQ(parse(alert(R"("cluster":"mars")"), {.registered = {"one"}}).signals[0].cluster.str(), "unknown") << "a named one is never the default";
}

TEST(ParseAlertmanager, ExportedLabelsWinAndTheMostSpecificKindIsTaken) {
    const auto object = [](const std::string& labels) { return parse(alert(R"("cluster":"eu1",)" + labels)).signals[0].object; };
    EXPECT_EQ(object(R"("namespace":"monitoring","exported_namespace":"shop","pod":"ksm-0","exported_pod":"cart-1")")->str(), "eu1/shop/Pod/cart-1");
    EXPECT_EQ(object(R"("namespace":"shop","pod":"p","persistentvolumeclaim":"data")")->kind, "PersistentVolumeClaim");
    EXPECT_EQ(object(R"("namespace":"shop","job":"kube-state-metrics","job_name":"nightly")")->kind, "Job");
    EXPECT_FALSE(object(R"("namespace":"shop","job":"kube-state-metrics","instance":"10.0.0.1:8080","service":"ksm")"));
    EXPECT_EQ(object(R"("node":"n1","namespace":"monitoring")")->str(), "eu1/_/Node/n1");
}

TEST(ParseAlertmanager, HostileLabelValuesNameNoObject) {
    for (const char* bad : {"../../secrets", "a/b", "a b", "A", "x\\u0000y", "%2e%2e"}) {
        const auto batch = parse(alert(std::string(R"("cluster":"eu1","namespace":"shop","pod":")") + bad + "\""));
        EXPECT_FALSE(batch.signals[0].object) << bad;
    }
}

TEST(ParseAlertmanager, OneBadAlertIsQuarantinedAndNotItsBatch) {
    const auto batch = parse(R"({"version":"4","alerts":[{"labels":{"alertname":"A","cluster":"eu1"}},{"labels":{"alertname":5}},7,{"labels":{}},)"
                             R"({"labels":{"alertname":"B"},"startsAt":"yesterday"}]})");
    ASSERT_EQ(batch.signals.size(), 5U);
    EXPECT_EQ(batch.signals[0].state, SignalState::pending);
    EXPECT_EQ(batch.signals[1].state, SignalState::quarantined);
    EXPECT_THAT(batch.signals[1].error, testing::HasSubstr("alerts[1].labels.alertname must be text"));
    EXPECT_THAT(batch.signals[2].error, testing::HasSubstr("alerts[2] must be a map"));
    EXPECT_THAT(batch.signals[3].error, testing::HasSubstr("alerts[3].labels.alertname is missing"));
    EXPECT_THAT(batch.signals[4].error, testing::HasSubstr("alerts[4].startsAt"));
}

TEST(ParseAlertmanager, RefusesWhatIsNoBatch) {
    SeededRandom random(7);
    for (const char* bad : {"", "{", "[]", "{}", R"({"alerts":{}})", R"({"version":"3","alerts":[]})"})
        EXPECT_FALSE(parse_alertmanager(bad, {}, now, random)) << bad;
    EXPECT_FALSE(parse_alertmanager(std::string(100, '['), {}, now, random));
}

TEST(ParseAlertmanager, TheSameAlertHasTheSameKeyAndResolvedAnotherOne) {
    const std::string body = alert(R"("cluster":"eu1","pod":"a","namespace":"n")");
    EXPECT_EQ(parse(body).signals[0].key, parse(body).signals[0].key);
    std::string resolved = body;
    resolved.replace(resolved.find("firing"), 6, "resolved");
    EXPECT_NE(parse(body).signals[0].key, parse(resolved).signals[0].key);
    EXPECT_EQ(parse(body).signals[0].alert_fp, parse(resolved).signals[0].alert_fp);
}

TEST(ParseAlertmanager, KnowsTheZeroEndAndFutureStarts) {
    EXPECT_FALSE(parse(alert(R"("cluster":"eu1")", R"(,"endsAt":"0001-01-01T00:00:00Z")")).signals[0].ends_at);
    const auto late = parse(R"({"alerts":[{"labels":{"alertname":"A"},"startsAt":"2026-03-04T10:06:00Z"}]})");
    EXPECT_TRUE(late.signals[0].clock_suspect);
}

TEST(ParseEvents, TakesWarningsOfTheTableFromBothApis) {
    SeededRandom random(7);
    const auto batch =
        parse_events(
            R"([{"kind":"Event","type":"Warning","reason":"BackOff","involvedObject":{"kind":"Pod","name":"p","namespace":"n","uid":"u"},"lastTimestamp":"2026-03-04T09:59:50Z"},
        {"kind":"Event","type":"Warning","reason":"FailedScheduling","regarding":{"kind":"Pod","name":"q","namespace":"n"},"eventTime":"2026-03-04T09:59:55.000000Z"},
        {"kind":"Event","type":"Normal","reason":"Pulled","regarding":{"kind":"Pod","name":"q","namespace":"n"}}, {"reason":"x"}])",
            {.registered = {"one"}}, now, random)
            .value();
    ASSERT_EQ(batch.signals.size(), 4U);
    EXPECT_EQ(batch.signals[0].object->str(), "one/n/Pod/p");
    EXPECT_EQ(batch.signals[1].state, SignalState::pending);
    EXPECT_EQ(batch.signals[2].state, SignalState::ignored);
    EXPECT_EQ(batch.signals[3].state, SignalState::quarantined);
}

}  // namespace
}  // namespace kn::intake
