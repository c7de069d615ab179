// What comes in broken: a clear answer, nothing lost beside it, and the hub goes on.
#include <gtest/gtest.h>

#include "api_bed.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::component {
namespace {

class BadInput : public ::testing::Test {
protected:
    static void SetUpTestSuite() { log::configure(log::Level::off, log::Format::text); }
    ApiBed bed;
    Answer send(std::string body) { return bed.call("POST", "/api/v1/alerts", "am", std::move(body)); }
    /// The hub still takes and answers for a good alert.
    void TearDown() override {
        const auto good = bed.post("/api/v1/alerts", ApiBed::batch(json::Array{ApiBed::alert("eu1", "shop", "afterwards")}), "am");
        EXPECT_EQ(good.status, 200) << good.text;
        EXPECT_EQ(bed.get("/livez").status, 200);
    }
};

TEST_F(BadInput, TextThatIsNoJsonIsRefusedWithTheReason) {
    for (const char* body : {"", "{", "not json", "[1,2", "{\"alerts\": [}", "\xff\xfe\x00", "{\"alerts\":[{\"labels\":{\"a\":\"\x01\"}}]}", "null",
                             "7", "\"text\"", "[]"}) {
        const auto answer = send(body);
        EXPECT_EQ(answer.status, 400) << body << " → " << answer.text;
        EXPECT_FALSE(answer.error().empty()) << body;
    }
    std::string deep(5'000, '[');
    EXPECT_EQ(send("{\"version\":\"4\",\"alerts\":" + deep + "}").status, 400);
}

TEST_F(BadInput, WrongTypesQuarantineTheAlertAndNotItsBatch) {
    json::Array alerts;
    alerts.push_back(ApiBed::alert("eu1", "shop", "good-one"));
    for (const char* broken :
         {R"({"status":"firing","labels":7})", R"({"status":"burning","labels":{"alertname":"X","cluster":"eu1"}})",
          R"({"status":"firing","labels":{"alertname":["X"]}})",
          R"({"status":"firing","startsAt":"yesterday","labels":{"alertname":"X","cluster":"eu1"}})", R"("text")", R"(null)", R"({})"}) {
        alerts.push_back(json::parse(broken).value());
    }
    alerts.push_back(ApiBed::alert("eu1", "shop", "good-two"));
    const auto answer = bed.post("/api/v1/alerts", ApiBed::batch(std::move(alerts)), "am");
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(json::int_at(answer.body, "accepted"), 2) << answer.text;
    EXPECT_EQ(json::int_at(answer.body, "quarantined"), 7) << answer.text;
    bed.loop->run_for(20s);
    EXPECT_EQ(bed.get("/api/v1/incidents").items(), 2U);
    const auto kept = bed.get("/api/v1/signals?state=quarantined");
    ASSERT_EQ(kept.items(), 7U) << kept.text;
    for (const auto& signal : json::array_at(kept.body, "items")) EXPECT_FALSE(json::string_at(signal, "error").empty()) << json::dump(signal);
}

TEST_F(BadInput, AnAlertForAClusterThatNobodyKnowsIsKeptAndNeverActedOn) {
    const auto answer = bed.post("/api/v1/alerts", ApiBed::batch(json::Array{ApiBed::alert("mars1", "shop", "cart")}), "am");
    ASSERT_EQ(answer.status, 200) << answer.text;
    bed.loop->run_for(30s);
    EXPECT_EQ(bed.get("/api/v1/executions").items(), 0U);
    bool shown = false;
    for (const auto& signal : json::array_at(bed.get("/api/v1/signals").body, "items"))
        shown = shown || json::dump(signal).find("mars1") != std::string::npos;
    EXPECT_TRUE(shown);
    // The same when the path names it: never taken for the cluster that is there.
    const auto by_path = bed.post("/api/v1/alerts/mars2", ApiBed::batch(json::Array{ApiBed::alert("eu1", "shop", "by-path")}), "am");
    ASSERT_EQ(by_path.status, 200) << by_path.text;
    bed.loop->run_for(30s);
    for (const auto& signal : json::array_at(bed.get("/api/v1/signals").body, "items")) {
        if (json::dump(signal).find("by-path") != std::string::npos) EXPECT_EQ(json::string_at(signal, "cluster"), "unknown") << json::dump(signal);
    }
    EXPECT_EQ(bed.get("/api/v1/incidents?cluster=eu1").items(), 0U);
}

TEST_F(BadInput, AnAlertWithoutATargetEndsWithAWordForPeople) {
    json::Value alert = json::Object{{"status", "firing"},
                                     {"startsAt", "2026-03-01T09:00:00Z"},
                                     {"labels", json::Object{{"alertname", "SomethingIsSlow"}, {"cluster", "eu1"}, {"severity", "critical"}}}};
    const auto answer = bed.post("/api/v1/alerts", ApiBed::batch(json::Array{alert}), "am");
    ASSERT_EQ(answer.status, 200) << answer.text;
    bed.loop->run_for(15min);
    const auto incidents = bed.get("/api/v1/incidents");
    ASSERT_EQ(incidents.items(), 1U) << incidents.text;
    const auto& incident = json::array_at(incidents.body, "items")[0];
    EXPECT_EQ(json::string_at(incident, "state"), "escalated") << json::dump(incident);
    EXPECT_EQ(bed.get("/api/v1/executions").items(), 0U);
}

TEST_F(BadInput, HostileLabelValuesAreData) {
    json::Array alerts;
    const std::vector<std::string> hostile{"'; DROP TABLE signals; --",
                                           "../../etc/passwd",
                                           "${jndi:ldap://x}",
                                           "<script>alert(1)</script>",
                                           "a/b/c/d",
                                           "{{ .Values }}",
                                           "%s%n%x",
                                           std::string(100'000, 'A'),
                                           "line\nbreak",
                                           std::string("nul\0inside", 10),
                                           "\xE2\x80\xAEtxt.exe",
                                           "$(reboot)"};
    for (const auto& value : hostile) alerts.push_back(ApiBed::alert("eu1", "shop", value));
    for (const auto& value : hostile) alerts.push_back(ApiBed::alert("eu1", value, "cart"));
    const auto count = static_cast<std::int64_t>(alerts.size());
    const auto answer = bed.post("/api/v1/alerts", ApiBed::batch(std::move(alerts)), "am");
    ASSERT_EQ(answer.status, 200) << answer.text;
    EXPECT_EQ(json::int_at(answer.body, "accepted").value_or(0) + json::int_at(answer.body, "quarantined").value_or(0) +
                  json::int_at(answer.body, "duplicates").value_or(0),
              count)
        << answer.text;
    bed.loop->run_for(10min);
    EXPECT_EQ(bed.get("/api/v1/executions").items(), 0U);
    EXPECT_EQ(bed.get("/api/v1/incidents?limit=500").status, 200);
    for (const auto& item : json::array_at(bed.get("/api/v1/incidents?limit=500").body, "items")) {
        EXPECT_EQ(bed.get("/api/v1/incidents/" + std::string(json::string_at(item, "id"))).status, 200);
    }
    for (const auto& cluster : bed.clusters) {
        for (const auto& write : cluster->api().writes())
            EXPECT_FALSE(write.user == "kubernaut" && write.changed && write.resource == "deployments.apps") << write.body;
    }
}

TEST_F(BadInput, ASenderMaySpeakOnlyForItsClusters) {
    EXPECT_EQ(bed.call("POST", "/api/v1/alerts", "", "{}").status, 401);
    EXPECT_EQ(bed.call("POST", "/api/v1/alerts", "wrong", "{}").status, 401);
    EXPECT_EQ(bed.call("GET", "/api/v1/alerts", "am").status, 405);
    const auto answer =
        bed.post("/api/v1/alerts", ApiBed::batch(json::Array{ApiBed::alert("eu1", "shop", "cart"), ApiBed::alert("us1", "shop", "cart")}), "am-us");
    bed.loop->run_for(20s);
    for (const auto& item : json::array_at(bed.get("/api/v1/incidents").body, "items"))
        EXPECT_EQ(json::string_at(item, "cluster"), "us1") << answer.text;
}

TEST_F(BadInput, BodiesOfTheApiAreChecked) {
    for (const char* body : {"{", "[]", "7", "{\"scope\": 7}", "{\"scope\": \"galaxy\"}", "{\"scope\":\"namespace\",\"cluster\":\"eu1\"}",
                             "{\"scope\":\"cluster\",\"cluster\":\"mars1\"}", "{\"scope\":\"fleet\",\"for\":\"a while\"}"}) {
        const auto answer = bed.call("POST", "/api/v1/pauses", "ada", body);
        EXPECT_EQ(answer.status, 400) << body << " → " << answer.text;
        EXPECT_FALSE(answer.error().empty()) << body;
    }
    EXPECT_EQ(bed.get("/api/v1/pauses").items(), 0U);
    for (const char* body :
         {R"({"workflow":"no-such","target":"eu1/shop/Deployment.apps/cart"})", R"({"workflow":"graceful-restart","target":"cart"})",
          R"({"workflow":"graceful-restart","target":"mars1/shop/Deployment.apps/cart"})",
          R"({"workflow":"graceful-restart","target":"eu1/shop/Service/cart"})",
          R"({"workflow":"raise-memory","target":"eu1/shop/Deployment.apps/cart","params":{"factor":"much"}})",
          R"({"workflow":"raise-memory","target":"eu1/shop/Deployment.apps/cart","params":{"factor":100}})",
          R"({"workflow":"raise-memory","target":"eu1/shop/Deployment.apps/cart","params":{"colour":"red"}})"}) {
        const auto answer = bed.call("POST", "/api/v1/executions", "ada", body);
        EXPECT_EQ(answer.status, 400) << body << " → " << answer.text;
        EXPECT_FALSE(answer.error("field").empty()) << body << " → " << answer.text;
    }
    EXPECT_EQ(bed.post("/api/v1/executions", json::Object{{"workflow", "graceful-restart"}, {"target", "eu1/shop/Deployment.apps/absent"}}).status,
              404);
    EXPECT_EQ(bed.get("/api/v1/executions").items(), 0U);
}

TEST_F(BadInput, ADeadClusterDoesNotTouchIntakeOrTheOtherCluster) {
    const sim::TrafficFilter ours{.users = {"kubernaut"}};
    bed.clusters[0]->api().network().set("dead", {.match = ours, .refuse = true});
    bed.clusters[0]->api().network().cut_streams(ours);
    bed.loop->run_for(30s);
    bed.raise({"eu1/shop/absent", "us1/shop/absent"});
    bed.loop->run_for(5min);
    EXPECT_EQ(bed.get("/readyz").status, 200) << "a lost cluster never makes the hub unready";
    EXPECT_EQ(json::string_at(bed.get("/api/v1/clusters/eu1").body, "verdict"), "lost");
    EXPECT_EQ(json::string_at(bed.get("/api/v1/clusters/us1").body, "verdict"), "healthy");
    bool there = false;
    for (const auto& item : json::array_at(bed.get("/api/v1/incidents").body, "items")) {
        if (json::string_at(item, "cluster") == "us1") EXPECT_EQ(json::string_at(item, "state"), "resolved") << json::dump(item);
        there = there || json::string_at(item, "cluster") == "eu1";
    }
    EXPECT_TRUE(there) << "the alert of the dead cluster is not lost";
    bed.clusters[0]->api().network().remove("dead");
    bed.loop->run_for(5min);
    EXPECT_EQ(bed.get("/api/v1/incidents?open=true").items(), 0U) << bed.get("/api/v1/incidents?open=true").text;
}

}  // namespace
}  // namespace kn::component
