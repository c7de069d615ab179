#include <gtest/gtest.h>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/request.hpp"
#include "kubernaut/kube/resource.hpp"
#include "kubernaut/kube/selector.hpp"
#include "kubernaut/kube/status.hpp"
#include "kubernaut/kube/watch.hpp"

namespace kn::kube {
namespace {

json::Value J(std::string_view text) { return json::parse(text).value(); }

TEST(Request, EncodesPathSegmentsAndQuery) {
    Request request{.path = "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node proxy",
                    .query = {{"labelSelector", "app=web,tier in (a,b)"}, {"watch", "1"}}};
    EXPECT_EQ(request.target(),
              "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode%20proxy?labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29&watch=1");
    EXPECT_EQ(percent_decode(percent_encode("a/b c%\xC3\xA9")), "a/b c%\xC3\xA9");
    EXPECT_EQ(percent_decode("%4"), "%4");
}

TEST(Response, UnescapesWarningHeaders) {
    Response response;
    response.headers = {{"warning", R"(299 - "unknown field \"spec.replica\"")"},
                        {"warning", R"(299 - "one", 199 - "not ours", 299 - "two" "Tue, 24 Nov 2026 16:00:00 GMT")"},
                        {"warning", "299 - \"never closed"}};
    EXPECT_EQ(response.warnings(), (std::vector<std::string>{R"(unknown field "spec.replica")", "one", "two"}));
}

TEST(Resource, KnowsWhereTheApiServesEachKind) {
    EXPECT_EQ(resources::pods.path(), "/api/v1/pods");
    EXPECT_EQ(resources::pods.path("shop", "web-1", "eviction"), "/api/v1/namespaces/shop/pods/web-1/eviction");
    EXPECT_EQ(resources::deployments.path("shop", "web"), "/apis/apps/v1/namespaces/shop/deployments/web");
    EXPECT_EQ(resources::nodes.path("", "n1"), "/api/v1/nodes/n1");
    EXPECT_EQ(resources::nodes.path("ignored", "n1"), "/api/v1/nodes/n1");
    EXPECT_EQ(resources::deployments.kind_group(), "Deployment.apps");
    EXPECT_EQ(resources::pods.plural_group(), "pods");
}

TEST(Resource, IsFoundByEveryNameThatPeopleUse) {
    for (const auto* name :
         {"deploy", "Deployment", "deployments", "Deployment.apps", "deployments.apps", "DEPLOYMENTS.apps", "deployments.v1.apps"}) {
        ASSERT_NE(find_resource(name), nullptr) << name;
        EXPECT_EQ(*find_resource(name), resources::deployments) << name;
    }
    EXPECT_EQ(*find_resource("Event"), resources::events_core);
    EXPECT_EQ(*find_resource("Event.events.k8s.io"), resources::events);
    EXPECT_EQ(*find_resource("pvc"), resources::persistent_volume_claims);
    EXPECT_EQ(find_resource("Widget.example.com"), nullptr);
    EXPECT_EQ(find_resource(""), nullptr);
    for (const auto& resource : known_resources()) EXPECT_EQ(*find_resource(resource.kind_group()), resource);
    EXPECT_EQ(*resource_of(J(R"({"kind":"Event","apiVersion":"events.k8s.io/v1"})")), resources::events);
    EXPECT_EQ(resource_of(J(R"({"kind":"Deployment","apiVersion":"apps/v1beta1"})")), nullptr);
}

TEST(Quantity, ReadsWhatTheApiWrites) {
    const std::vector<std::pair<const char*, double>> cases = {{"500m", 0.5}, {"1.5Gi", 1.5 * 1024 * 1024 * 1024},
                                                               {"2e3", 2000}, {"1E-2", 0.01},
                                                               {"1E", 1e18},  {"1Ei", 0x1p60},
                                                               {"100k", 1e5}, {"12", 12},
                                                               {".5", 0.5},   {"-1Ki", -1024},
                                                               {"+3", 3},     {"250n", 250e-9},
                                                               {"7u", 7e-6},  {"5.", 5}};
    for (const auto& [text, value] : cases) {
        ASSERT_TRUE(parse_quantity(text)) << text;
        EXPECT_DOUBLE_EQ(*parse_quantity(text), value) << text;
    }
    for (const auto* text : {"", "m", "1.2.3", "1K", "1 Gi", "--1", "0x10", "1e", "Gi", "1e999", ".", "NaN"})
        EXPECT_FALSE(parse_quantity(text)) << text;
}

TEST(Quantity, IsWrittenCanonically) {
    EXPECT_EQ(format_bytes(512.0 * 1024 * 1024), "512Mi");
    EXPECT_EQ(format_bytes(1.5 * 1024 * 1024 * 1024), "1536Mi");
    EXPECT_EQ(format_bytes(1000), "1000");
    EXPECT_EQ(format_bytes(0), "0");
    EXPECT_EQ(format_bytes(10.2), "11");
    EXPECT_EQ(format_cores(2), "2");
    EXPECT_EQ(format_cores(0.1), "100m");
    EXPECT_EQ(format_cores(0.1 * 3), "300m");
    EXPECT_EQ(format_cores(0.0001), "1m");
    EXPECT_EQ(format_cores(1.25), "1250m");
}

TEST(Object, ReadsMetadataOwnersConditionsAndContainers) {
    const auto pod =
        J(R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"web-1","namespace":"shop","uid":"u1","resourceVersion":"7","generation":3,
        "labels":{"app":"web"},"annotations":{"a":"b"},"creationTimestamp":"2026-11-24T16:00:00Z","deletionTimestamp":"2026-11-24T17:00:00Z",
        "ownerReferences":[{"kind":"X","name":"x","uid":"u0"},{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"u2","controller":true}]},
        "status":{"conditions":[{"type":"Ready","status":"False","reason":"R","message":"m","lastTransitionTime":"2026-11-24T16:00:01Z"}],
        "initContainerStatuses":[{"name":"i"}],"containerStatuses":[{"name":"c"}],"ephemeralContainerStatuses":[{"name":"e"}]}})");
    EXPECT_EQ(name_of(pod), "web-1");
    EXPECT_EQ(namespace_of(pod), "shop");
    EXPECT_EQ(generation_of(pod), 3);
    EXPECT_TRUE(is_deleting(pod));
    EXPECT_EQ(label_of(pod, "app"), "web");
    EXPECT_EQ(annotation_of(pod, "a"), "b");
    EXPECT_EQ(controller_of(pod)->name, "rs");
    EXPECT_EQ(condition_of(pod, "Ready")->reason, "R");
    EXPECT_EQ(to_millis(*condition_of(pod, "Ready")->last_transition) - to_millis(*creation_time(pod)), 1000);
    EXPECT_FALSE(condition_of(pod, "Nope"));
    ASSERT_EQ(container_statuses(pod).size(), 2U);
    EXPECT_EQ(json::string_at(*container_statuses(pod)[0], "name"), "i");
    EXPECT_EQ(name_of(J("[]")), "");
}

TEST(LabelSelector, ObjectFormHasTheServersMeaning) {
    const auto labels = J(R"({"app":"web","tier":"front"})").get_object();
    const auto matches = [&](std::string_view text) {
        const auto selector = J(text);
        return label_selector_matches(&selector, labels);
    };
    EXPECT_TRUE(matches("{}"));
    EXPECT_FALSE(matches("null"));
    EXPECT_FALSE(label_selector_matches(nullptr, labels));
    EXPECT_TRUE(matches(R"({"matchLabels":{"app":"web"}})"));
    EXPECT_FALSE(matches(R"({"matchLabels":{"app":"web","x":"y"}})"));
    EXPECT_TRUE(
        matches(R"({"matchExpressions":[{"key":"app","operator":"In","values":["a","web"]},{"key":"z","operator":"NotIn","values":["q"]}]})"));
    EXPECT_FALSE(matches(R"({"matchExpressions":[{"key":"app","operator":"DoesNotExist"}]})"));
    EXPECT_FALSE(matches(R"({"matchExpressions":[{"key":"app","operator":"Newer"}]})"));
}

TEST(LabelSelector, QueryFormParsesAsTheServerDoes) {
    const auto labels = J(R"({"app":"web","tier":"front","n":"5","empty":""})").get_object();
    for (const auto* text : {"", "app=web", "app==web", "app!=x", "nope!=x", "app in (a, web)", "app notin (a)", "tier", "!canary", "n>4", "n<6",
                             " app = web , tier in (front,back) ", "empty=", "example.com/x!=1", "empty in (,a)"}) {
        const auto selector = LabelSelector::parse(text);
        ASSERT_TRUE(selector) << text << ": " << selector.error().describe();
        EXPECT_TRUE(selector->matches(labels)) << text;
    }
    for (const auto* text : {"app=x", "app in (x)", "app notin (web)", "nope", "!app", "n>5", "app>1", "nope in (a)"}) {
        EXPECT_FALSE(LabelSelector::parse(text).value().matches(labels)) << text;
    }
    for (const auto* text : {"=web", "app in ()", "app in (a", "app in a", "app=web,", "a b", "n>x", "-x", "app=a/b", "!", "a=b=c", "(a)"}) {
        EXPECT_FALSE(LabelSelector::parse(text)) << text;
    }
}

TEST(LabelSelector, ToQueryAndBackSelectsTheSame) {
    const auto selector = J(R"({"matchLabels":{"app":"web"},"matchExpressions":[{"key":"t","operator":"In","values":["a","b"]},
        {"key":"x","operator":"DoesNotExist"},{"key":"y","operator":"Exists"},{"key":"z","operator":"NotIn","values":["q"]}]})");
    const auto query = to_query(selector);
    EXPECT_EQ(query, "app=web,t in (a,b),!x,y,z notin (q)");
    EXPECT_TRUE(LabelSelector::parse(query));
}

TEST(FieldSelector, ComparesTextAndTreatsAbsentAsEmpty) {
    const auto pod = J(R"({"metadata":{"name":"a,b"},"spec":{"hostNetwork":true},"status":{"phase":"Running"}})");
    for (const auto* text : {"", "status.phase=Running", "status.phase!=Failed", "metadata.name=a\\,b", "spec.nodeName=", "spec.hostNetwork=true",
                             "status.phase==Running,spec.nodeName!=n1"}) {
        const auto selector = FieldSelector::parse(text);
        ASSERT_TRUE(selector) << text;
        EXPECT_TRUE(selector->matches(pod)) << text;
    }
    EXPECT_FALSE(FieldSelector::parse("status.phase=Failed").value().matches(pod));
    for (const auto* text : {"status.phase", "=x", "a=\\x"}) EXPECT_FALSE(FieldSelector::parse(text)) << text;
}

Response answer(int status, std::string_view body, Headers headers = {}) {
    Response response;
    response.status = status;
    response.body = body;
    response.headers = std::move(headers);
    return response;
}

std::string status_text(int code, std::string_view reason, std::string_view cause = {}) {
    json::Value details = nullptr;
    if (!cause.empty()) details = json::Object{{"causes", json::Array{json::Object{{"reason", cause}, {"field", "f"}}}}};
    return json::dump(make_status(code, reason, "a message", details));
}

TEST(Status, MapsCodesReasonsAndCauses) {
    struct Case {
        int http;
        const char *reason, *cause;
        ErrorCode code;
        const char* expected;
    };
    const std::vector<Case> cases = {
        {400, "BadRequest", "", ErrorCode::invalid_argument, "BadRequest"},
        {401, "Unauthorized", "", ErrorCode::unauthenticated, "Unauthorized"},
        {403, "Forbidden", "", ErrorCode::permission_denied, "Forbidden"},
        {403, "Forbidden", "NamespaceTerminating", ErrorCode::failed_precondition, "NamespaceTerminating"},
        {404, "NotFound", "", ErrorCode::not_found, "NotFound"},
        {405, "MethodNotAllowed", "", ErrorCode::unimplemented, "MethodNotAllowed"},
        {409, "AlreadyExists", "", ErrorCode::already_exists, "AlreadyExists"},
        {409, "Conflict", "", ErrorCode::aborted, "Conflict"},
        {409, "Conflict", "FieldManagerConflict", ErrorCode::failed_precondition, "FieldManagerConflict"},
        {410, "Expired", "", ErrorCode::failed_precondition, "Expired"},
        {415, "UnsupportedMediaType", "", ErrorCode::unimplemented, "UnsupportedMediaType"},
        {422, "Invalid", "FieldValueInvalid", ErrorCode::invalid_argument, "Invalid"},
        {429, "TooManyRequests", "DisruptionBudget", ErrorCode::resource_exhausted, "DisruptionBudget"},
        {429, "TooManyRequests", "", ErrorCode::resource_exhausted, "TooManyRequests"},
        {500, "InternalError", "", ErrorCode::unavailable, "InternalError"},
        {504, "Timeout", "ResourceVersionTooLarge", ErrorCode::unavailable, "ResourceVersionTooLarge"},
        {504, "Timeout", "", ErrorCode::deadline_exceeded, "Timeout"},
    };
    for (const auto& c : cases) {
        const auto error = error_from(answer(c.http, status_text(c.http, c.reason, c.cause)), Method::get);
        EXPECT_EQ(error.code, c.code) << c.http << c.reason << c.cause;
        EXPECT_EQ(error.reason, c.expected);
        EXPECT_EQ(error.applied, Applied::no);
        EXPECT_TRUE(error.message.starts_with("a message")) << error.message;
    }
}

TEST(Status, SaysWhetherAFailedWriteMayHaveHappened) {
    const auto applied = [](int http, Headers headers = {}) { return error_from(answer(http, "text", std::move(headers)), Method::patch).applied; };
    EXPECT_EQ(applied(500), Applied::maybe);
    EXPECT_EQ(applied(502), Applied::maybe);
    EXPECT_EQ(applied(503), Applied::maybe);
    EXPECT_EQ(applied(504), Applied::maybe);
    EXPECT_EQ(applied(503, {{"retry-after", "1"}}), Applied::no);
    EXPECT_EQ(applied(501), Applied::no);
    EXPECT_EQ(applied(409), Applied::no);
    EXPECT_EQ(applied(429), Applied::no);
}

TEST(Status, UnderstandsAnswersThatAreNotStatuses) {
    const auto plain = error_from(answer(404, "404 page not found\n"), Method::get);
    EXPECT_EQ(plain.code, ErrorCode::not_found);
    EXPECT_EQ(plain.message, "404 page not found (HTTP 404)");
    EXPECT_EQ(error_from(answer(503, ""), Method::get).message, "HTTP 503");
    const auto retry = error_from(answer(429, status_text(429, "TooManyRequests"), {{"retry-after", "7"}}), Method::post);
    EXPECT_EQ(retry.retry_after, 7s);
    EXPECT_EQ(error_from(answer(410, "gone"), Method::get).reason, "Expired");
    EXPECT_EQ(error_from_status(make_status(410, "Expired", "too old")).reason, "Expired");
}

TEST(WatchDecoder, GivesTheSameEventsHoweverTheBytesAreCut) {
    const std::string text = R"({"type":"ADDED","object":{"metadata":{"name":"ä"}}})"
                             "\n\r\n"
                             R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}})"
                             "\n"
                             R"({"type":"ERROR","object":{"kind":"Status","code":410}})"
                             "\n"
                             R"({"type":"DEL)";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        WatchDecoder decoder;
        std::vector<WatchEvent> events;
        for (std::size_t at = 0; at < text.size(); at += step) {
            auto some = decoder.feed(std::string_view(text).substr(at, step));
            ASSERT_TRUE(some);
            for (auto& event : *some) events.push_back(std::move(event));
        }
        ASSERT_EQ(events.size(), 3U) << step;
        EXPECT_EQ(events[0].type, WatchEventType::added);
        EXPECT_EQ(name_of(events[0].object), "ä");
        EXPECT_EQ(events[1].type, WatchEventType::bookmark);
        EXPECT_EQ(events[2].type, WatchEventType::error);
        EXPECT_GT(decoder.pending(), 0U);
    }
}

TEST(WatchDecoder, RefusesRubbishAndOversizedEvents) {
    EXPECT_FALSE(WatchDecoder{}.feed("not json\n"));
    EXPECT_FALSE(WatchDecoder{}.feed("{\"type\":\"NEW\",\"object\":{}}\n"));
    EXPECT_FALSE(WatchDecoder{}.feed("{\"type\":\"ADDED\"}\n"));
    WatchDecoder decoder;
    const std::string block(1U << 20U, 'x');
    Result<std::vector<WatchEvent>> result = std::vector<WatchEvent>{};
    for (int i = 0; i < 20 && result; ++i) result = decoder.feed(block);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::resource_exhausted);
}

}  // namespace
}  // namespace kn::kube
