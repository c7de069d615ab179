// The HTTP API of a whole hub: lists page by page, the live stream and its resumption, the OpenAPI document, and who may see and do what.
#include <gtest/gtest.h>

#include <set>

#include "api_bed.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/http_api/api.hpp"

namespace kn::component {
namespace {

class HttpApi : public ::testing::Test {
protected:
    static void SetUpTestSuite() { log::configure(log::Level::error, log::Format::text); }
};

std::set<std::string> ids_of(const Answer& answer) {
    std::set<std::string> ids;
    for (const auto& item : json::array_at(answer.body, "items")) ids.insert(std::string(json::string_at(item, "id")));
    return ids;
}

TEST_F(HttpApi, ListsComePageByPageWithEveryItemOnceAndNewestFirst) {
    ApiBed bed;
    std::vector<std::string> places;
    for (int i = 0; i < 23; ++i) places.push_back("eu1/shop/absent-" + std::to_string(i));
    bed.raise(places);
    const auto all = bed.get("/api/v1/incidents?limit=500");
    ASSERT_EQ(all.items(), 23U) << all.text;
    EXPECT_TRUE(json::string_at(all.body, "next").empty());
    std::set<std::string> seen;
    std::string cursor;
    int pages = 0;
    std::string last_opened = "9";
    do {
        const auto page = bed.get("/api/v1/incidents?limit=10" + (cursor.empty() ? "" : "&cursor=" + kube::percent_encode(cursor)));
        ASSERT_EQ(page.status, 200) << page.text;
        for (const auto& item : json::array_at(page.body, "items")) {
            EXPECT_TRUE(seen.insert(std::string(json::string_at(item, "id"))).second) << "twice";
            const std::string opened(json::string_at(item, "opened_at"));
            EXPECT_LE(opened, last_opened);
            last_opened = opened;
        }
        cursor = json::string_at(page.body, "next");
        ++pages;
    } while (!cursor.empty() && pages < 10);
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(seen, ids_of(all));
}

TEST_F(HttpApi, PagesRefuseLimitsAndCursorsThatCannotBe) {
    ApiBed bed;
    for (const char* limit : {"0", "501", "-1", "ten", "1e2", "99999999999999999999"}) {
        const auto answer = bed.get(std::string("/api/v1/incidents?limit=") + limit);
        EXPECT_EQ(answer.status, 400) << limit;
        EXPECT_EQ(answer.error("field"), "limit") << limit;
    }
    for (const char* cursor : {"nonsense", "%00", "1%27;DROP%20TABLE%20incidents;--"}) {
        const auto answer = bed.get(std::string("/api/v1/incidents?cursor=") + cursor);
        EXPECT_EQ(answer.status, 400) << cursor << ": " << answer.text;
    }
    const auto unknown = bed.get("/api/v1/incidents?colour=red");
    EXPECT_EQ(unknown.status, 400);
    EXPECT_EQ(unknown.error("field"), "colour");
    EXPECT_EQ(bed.get("/api/v1/incidents?state=lost").status, 400);
}

TEST_F(HttpApi, TheOpenApiDocumentNamesEveryRouteAndEveryNamedRouteAnswers) {
    ApiBed bed;
    const auto document = bed.get("/openapi.json", "");
    ASSERT_EQ(document.status, 200);
    EXPECT_EQ(json::string_at(document.body, "openapi"), "3.1.0");
    const auto& paths = json::object_at(document.body, "paths");
    ASSERT_GT(paths.size(), 25U);
    std::set<std::string> documented;
    for (const auto& [path, operations] : paths) {
        for (const auto& [method, operation] : operations.get_object()) {
            std::string name(method.data(), method.size());
            for (char& c : name) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
            documented.insert(name + " " + std::string(path.data(), path.size()));
            EXPECT_FALSE(json::string_at(operation, "summary").empty()) << name << " " << path;
            // Every parameter in braces is declared, and nothing else is a path parameter.
            std::set<std::string> in_braces, declared;
            const std::string_view text(path.data(), path.size());
            for (auto open = text.find('{'); open != std::string_view::npos; open = text.find('{', open + 1))
                in_braces.insert(std::string(text.substr(open + 1, text.find('}', open) - open - 1)));
            for (const auto& parameter : json::array_at(operation, "parameters")) {
                if (json::string_at(parameter, "in") == "path") declared.insert(std::string(json::string_at(parameter, "name")));
            }
            if (text.starts_with("/api/v1/") && !text.starts_with("/api/v1/alerts")) EXPECT_EQ(in_braces, declared) << name << " " << path;
        }
    }
    for (const std::string& route : documented) {
        const auto space = route.find(' ');
        const std::string method = route.substr(0, space);
        std::string path = route.substr(space + 1);
        for (auto open = path.find('{'); open != std::string::npos; open = path.find('{')) path.replace(open, path.find('}') - open + 1, "absent");
        if (path == "/api/v1/stream") continue;
        const auto answer =
            bed.call(method, path, path.starts_with("/api/v1/alerts") || path == "/api/v1/events" ? "am" : "ada", method == "POST" ? "{}" : "");
        EXPECT_NE(answer.status, 405) << route;
        EXPECT_LT(answer.status, 500) << route << " " << answer.text;
        if (answer.status == 404) EXPECT_TRUE(answer.error().starts_with("no ")) << route << " " << answer.text;
        EXPECT_EQ(answer.text.find("no such path"), std::string::npos) << route << " is documented but not served";
    }
    // And the other way round: what is not documented is not served.
    EXPECT_EQ(bed.get("/api/v1/secrets").status, 404);
    EXPECT_EQ(bed.call("PUT", "/api/v1/incidents", "ada").status, 405);
}

TEST_F(HttpApi, EveryDocumentedQueryParameterIsAccepted) {
    ApiBed bed;
    const auto document = bed.get("/openapi.json", "");
    for (const auto& [path, operations] : json::object_at(document.body, "paths")) {
        const std::string_view text(path.data(), path.size());
        if (!operations.get_object().contains("get") || text.find('{') != std::string_view::npos) continue;
        for (const auto& parameter : json::array_at(operations.get_object().at("get"), "parameters")) {
            const std::string name(json::string_at(parameter, "name"));
            const std::string value = name == "limit"                      ? "5"
                                      : name == "since" || name == "until" ? "2026-03-01T00:00:00Z"
                                      : name == "cluster"                  ? "eu1"
                                                                           : "";
            const auto answer = bed.get(std::string(text) + "?" + name + "=" + value);
            EXPECT_EQ(answer.status, 200) << text << "?" << name << "=" << value << " " << answer.text;
        }
    }
}

TEST_F(HttpApi, WithoutCredentialsOrRolesNothingIsShown) {
    ApiBed bed;
    bed.raise({"eu1/shop/cart"});
    for (const char* path : {"/api/v1/incidents", "/api/v1/whoami", "/api/v1/stream", "/api/v1/audit"}) {
        EXPECT_EQ(bed.get(path, "").status, 401) << path;
        EXPECT_EQ(bed.get(path, "stranger").status, 401) << path;
    }
    for (const char* path :
         {"/api/v1/incidents", "/api/v1/executions", "/api/v1/clusters", "/api/v1/workflows", "/api/v1/history", "/api/v1/audit", "/api/v1/stream"}) {
        EXPECT_EQ(bed.get(path, "nobody").status, 403) << path;
    }
    EXPECT_EQ(bed.get("/livez", "").status, 200);
    EXPECT_EQ(bed.get("/readyz", "").status, 200);
    EXPECT_EQ(bed.get("/metrics", "").status, 200);
}

TEST_F(HttpApi, RolesEndAtTheirClusterAndNamespace) {
    ApiBed bed;
    bed.raise({"eu1/shop/absent", "eu1/other/absent", "us1/shop/absent"});
    ASSERT_EQ(bed.get("/api/v1/incidents").items(), 3U);
    std::map<std::string, std::string> incident;
    for (const auto& item : json::array_at(bed.get("/api/v1/incidents").body, "items")) {
        const std::string key(json::string_at(item, "target", "key"));
        incident[key.substr(0, key.find("/Deployment"))] = json::string_at(item, "id");
    }
    ASSERT_EQ(incident.size(), 3U);
    // vera sees one namespace of one cluster, whether she asks for all, for hers, or for an id.
    EXPECT_EQ(ids_of(bed.get("/api/v1/incidents", "vera")), std::set<std::string>{incident["eu1/shop"]});
    EXPECT_EQ(bed.get("/api/v1/incidents?cluster=eu1&namespace=shop", "vera").items(), 1U);
    EXPECT_EQ(bed.get("/api/v1/incidents?cluster=eu1&namespace=other", "vera").status, 403);
    EXPECT_EQ(bed.get("/api/v1/incidents?cluster=us1", "vera").status, 403);
    EXPECT_EQ(bed.get("/api/v1/incidents/" + incident["eu1/shop"], "vera").status, 200);
    for (const char* hidden : {"eu1/other", "us1/shop"}) {
        const auto answer = bed.get("/api/v1/incidents/" + incident[hidden], "vera");
        const auto absent = bed.get("/api/v1/incidents/inc_00000000000000000000000000", "vera");
        EXPECT_EQ(answer.status, 404) << "an id must not tell that there is something";
        EXPECT_EQ(absent.status, 404);
    }
    EXPECT_EQ(ids_of(bed.get("/api/v1/incidents", "vic")), std::set<std::string>{incident["us1/shop"]});
    EXPECT_EQ(bed.get("/api/v1/clusters", "vic").items(), 1U);
    EXPECT_EQ(bed.get("/api/v1/clusters/eu1", "vic").status, 404);
    EXPECT_EQ(bed.get("/api/v1/audit", "vera").status, 403);
    for (const auto& signal : json::array_at(bed.get("/api/v1/signals", "vera").body, "items")) EXPECT_EQ(json::string_at(signal, "cluster"), "eu1");

    // olaf pauses his namespace and no other; only an admin pauses the fleet.
    const auto pause = [](const char* scope, const char* cluster, const char* ns) {
        return json::Object{{"scope", scope}, {"cluster", cluster}, {"namespace", ns}, {"reason", "test"}};
    };
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("namespace", "eu1", "shop"), "olaf").status, 200);
    EXPECT_EQ(bed.get("/api/v1/pauses", "vera").items(), 1U);
    EXPECT_EQ(bed.get("/api/v1/pauses", "vic").items(), 0U) << "another cluster's pause";
    EXPECT_EQ(bed.get("/api/v1/health", "vic").text.find("eu1"), std::string::npos);
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("namespace", "eu1", "other"), "olaf").status, 403);
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("cluster", "eu1", ""), "olaf").status, 403);
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("fleet", "", ""), "olaf").status, 403);
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("namespace", "eu1", "shop"), "vera").status, 403);
    EXPECT_EQ(bed.post("/api/v1/pauses", pause("fleet", "", ""), "ada").status, 200);
    EXPECT_EQ(bed.call("DELETE", "/api/v1/pauses?scope=fleet", "olaf").status, 403);
    EXPECT_EQ(bed.call("DELETE", "/api/v1/pauses?scope=fleet", "ada").status, 200);
    EXPECT_EQ(bed.call("DELETE", "/api/v1/pauses?scope=namespace&cluster=eu1&namespace=shop", "olaf").status, 200);

    // Running by hand: in his namespace, up to his risk.
    const auto run = [](const char* target) { return json::Object{{"workflow", "graceful-restart"}, {"target", target}, {"dry_run", true}}; };
    EXPECT_EQ(bed.post("/api/v1/executions", run("eu1/shop/Deployment.apps/cart"), "olaf").status, 200);
    EXPECT_EQ(bed.post("/api/v1/executions", run("eu1/other/Deployment.apps/cart"), "olaf").status, 403);
    EXPECT_EQ(bed.post("/api/v1/executions", run("us1/shop/Deployment.apps/cart"), "olaf").status, 400) << "he does not see that cluster at all";
    EXPECT_EQ(bed.post("/api/v1/executions", run("eu1/shop/Deployment.apps/cart"), "vera").status, 403);
}

TEST_F(HttpApi, WhatAPersonDoesIsInTheAuditUnderTheirName) {
    ApiBed bed;
    ASSERT_EQ(
        bed.post("/api/v1/pauses", json::Object{{"scope", "namespace"}, {"cluster", "eu1"}, {"namespace", "shop"}, {"reason", "release"}}, "olaf")
            .status,
        200);
    const auto audit = bed.get("/api/v1/audit?actor=olaf");
    ASSERT_EQ(audit.items(), 1U) << audit.text;
    const auto& record = json::array_at(audit.body, "items")[0];
    EXPECT_EQ(json::string_at(record, "verb"), "pause");
    EXPECT_EQ(json::string_at(record, "object"), "eu1/shop");
    EXPECT_EQ(json::string_at(record, "reason"), "release");
    const auto verified = bed.get("/api/v1/audit/verify");
    EXPECT_EQ(json::bool_at(verified.body, "intact"), true) << verified.text;
}

/// Reads pieces of a live stream until one holds `wanted`, or nothing comes any more.
std::string read_until(ApiBed& bed, net::BodyStream& stream, std::string_view wanted) {
    std::string text;
    for (int i = 0; i < 50 && text.find(wanted) == std::string::npos; ++i) {
        auto piece = bed.loop->block_on(stream.next());
        if (!piece) break;
        text += *piece;
    }
    return text;
}

std::string last_id(const std::string& text) {
    const auto at = text.rfind("id: ");
    return at == std::string::npos ? "" : text.substr(at + 4, text.find('\n', at) - at - 4);
}

std::unique_ptr<net::BodyStream> open_stream(ApiBed& bed, const std::string& who, const std::string& last = {}) {
    auto request = ApiBed::request("GET", "/api/v1/stream", who);
    if (!last.empty()) request.headers.emplace_back("last-event-id", last);
    auto response = bed.loop->block_on(bed.hub->handle(std::move(request)));
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.content_type, "text/event-stream");
    return std::move(response.stream);
}

TEST_F(HttpApi, AReaderOfTheStreamThatComesBackGetsWhatItMissed) {
    ApiBed bed;
    auto stream = open_stream(bed, "ada");
    std::string before = read_until(bed, *stream, "hello");
    bed.raise({"eu1/shop/first"});
    before += read_until(bed, *stream, "/first\"");
    const std::string last = last_id(before);
    ASSERT_FALSE(last.empty()) << before;
    stream.reset();  // the connection breaks
    bed.raise({"eu1/shop/second"});
    stream = open_stream(bed, "ada", last);
    const std::string after = read_until(bed, *stream, "/second\"");
    EXPECT_NE(after.find("/second\""), std::string::npos) << after;
    EXPECT_EQ(after.find("event: reset"), std::string::npos);
    EXPECT_EQ(after.find("id: " + last + "\nevent"), std::string::npos) << "what was seen is not told again";
}

TEST_F(HttpApi, AReaderWhoseLastEventIsNotKnownIsToldToReadTheListsAgain) {
    ApiBed bed;
    for (const char* last : {"another-life-17", "17", "-", "x"}) {
        auto stream = open_stream(bed, "ada", last);
        EXPECT_NE(read_until(bed, *stream, "\n\n").find("event: reset"), std::string::npos) << last;
    }
    // After a long time without readers nothing is kept, and that is told as well.
    auto stream = open_stream(bed, "ada");
    const std::string last = last_id(read_until(bed, *stream, "hello"));
    stream.reset();
    bed.loop->run_for(10min);
    bed.raise({"eu1/shop/unseen"});
    stream = open_stream(bed, "ada", last);
    EXPECT_NE(read_until(bed, *stream, "\n\n").find("event: reset"), std::string::npos);
}

TEST_F(HttpApi, AReaderThatIsTooSlowLosesTheStreamAndNotTheHubItsMemory) {
    ApiBed bed;
    auto stream = open_stream(bed, "ada");
    const std::string last = last_id(read_until(bed, *stream, "hello"));
    for (int i = 0; i < 2'500; ++i) bed.hub->feed().publish("pause", json::Object{{"cluster", "eu1"}, {"namespace", "shop"}, {"n", i}});
    EXPECT_FALSE(bed.loop->block_on(stream->next()).has_value()) << "its place is gone";
    stream = open_stream(bed, "ada", last);
    EXPECT_NE(read_until(bed, *stream, "\n\n").find("event: reset"), std::string::npos);
}

TEST_F(HttpApi, TheStreamTellsEveryoneOnlyOfWhatTheyMaySee) {
    ApiBed bed;
    auto all = open_stream(bed, "ada"), shop = open_stream(bed, "vera");
    (void)read_until(bed, *all, "hello");
    (void)read_until(bed, *shop, "hello");
    bed.raise({"us1/shop/hidden-one", "eu1/other/hidden-two", "eu1/shop/open-one"});
    const std::string seen = read_until(bed, *shop, "open-one");
    EXPECT_NE(seen.find("open-one"), std::string::npos);
    EXPECT_EQ(seen.find("hidden-"), std::string::npos) << seen;
    std::string everything;
    for (const char* name : {"hidden-one", "hidden-two", "open-one"}) {
        if (everything.find(name) == std::string::npos) everything += read_until(bed, *all, name);
        EXPECT_NE(everything.find(name), std::string::npos) << name;
    }
}

}  // namespace
}  // namespace kn::component
