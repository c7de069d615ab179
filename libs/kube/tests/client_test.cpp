#include "kubernaut/kube/client.hpp"

#include <gtest/gtest.h>

#include "scripted_transport.hpp"

namespace kn::kube {
namespace {

class ClientTest : public testing::Test {
protected:
    ClientTest() : client(transport, loop->clock()) {}
    Deadline soon() { return loop->clock().deadline_in(30s); }
    json::Value body_of(std::size_t i) { return json::parse(transport->requests.at(i).body).value(); }

    std::unique_ptr<async::EventLoop> loop = async::EventLoop::simulated(Instant{Duration{1'700'000'000'000}});
    std::shared_ptr<ScriptedTransport> transport = std::make_shared<ScriptedTransport>(loop->clock());
    Client client;
    int calls = 0;
};

TEST_F(ClientTest, GetsAnObjectAndReportsAMissingOne) {
    transport->answer = [](const Request& r) {
        return r.path.ends_with("web-1") ? json_response(200, pod_object("shop", "web-1", "u", "1"))
                                         : json_response(404, make_status(404, "NotFound", "no"));
    };
    EXPECT_EQ(name_of(loop->block_on(client.get(resources::pods, "shop", "web-1", soon())).value()), "web-1");
    EXPECT_EQ(loop->block_on(client.get(resources::pods, "shop", "web-2", soon())).error().code, ErrorCode::not_found);
    EXPECT_EQ(transport->requests.size(), 2U);
}

TEST_F(ClientTest, ReadsAreTriedAgainWhileTheServerIsUnavailable) {
    transport->answer = [this](const Request&) -> Result<Response> {
        if (++calls == 1) return fail(ErrorCode::unavailable, "connection refused");
        if (calls == 2) return json_response(503, make_status(503, "ServiceUnavailable", "starting"));
        return json_response(200, pod_object("shop", "web-1", "u", "1"));
    };
    EXPECT_TRUE(loop->block_on(client.get(resources::pods, "shop", "web-1", soon())));
    EXPECT_EQ(calls, 3);
}

TEST_F(ClientTest, ReadsGiveUpWithinTheDeadlineAndAfterFewServerFaults) {
    transport->answer = [this](const Request&) -> Result<Response> {
        ++calls;
        return fail(Error{.code = ErrorCode::unavailable, .message = "refused", .applied = Applied::maybe});
    };
    const auto started = loop->clock().steady();
    const auto failed = loop->block_on(client.get(resources::pods, "shop", "web-1", loop->clock().deadline_in(1s)));
    EXPECT_EQ(failed.error().code, ErrorCode::unavailable);
    EXPECT_EQ(failed.error().applied, Applied::no) << "a read changes nothing";
    EXPECT_LE(loop->clock().steady() - started, 1s);
    calls = 0;
    transport->answer = [this](const Request&) { return ++calls, json_response(500, make_status(500, "", "odd")); };
    EXPECT_FALSE(loop->block_on(client.get(resources::pods, "shop", "web-1", soon())));
    EXPECT_EQ(calls, 2);
}

TEST_F(ClientTest, WritesAreSentOnce) {
    transport->answer = [this](const Request&) -> Result<Response> {
        ++calls;
        return fail(Error{.code = ErrorCode::unavailable, .message = "reset", .applied = Applied::maybe});
    };
    const auto failed = loop->block_on(client.patch(resources::pods, "shop", "web-1", PatchType::merge, json::Object{}, {}, soon()));
    EXPECT_EQ(failed.error().applied, Applied::maybe);
    EXPECT_EQ(calls, 1);
}

TEST_F(ClientTest, AnUnreadableAnswerToAWriteMayHaveBeenApplied) {
    transport->answer = [](const Request&) {
        Response response;
        response.status = 200;
        response.body = "<html>";
        return response;
    };
    const auto failed = loop->block_on(client.create(resources::pods, "shop", json::Object{}, {}, soon()));
    EXPECT_EQ(failed.error().applied, Applied::maybe);
}

TEST_F(ClientTest, ListsAllPagesAndFillsKindAndVersion) {
    transport->answer = [](const Request& r) {
        return query_of(r, "continue").empty() ? json_response(200, pod_list("10", {pod_object("a", "p1", "1", "1")}, "next"))
                                               : json_response(200, pod_list("10", {pod_object("a", "p2", "2", "2")}));
    };
    const auto list = loop->block_on(client.list(resources::pods, "", {.label_selector = "app=web", .resource_version = "0"}, soon())).value();
    ASSERT_EQ(list.items.size(), 2U);
    EXPECT_EQ(list.resource_version, "10");
    EXPECT_EQ(kind_of(list.items[1]), "Pod");
    EXPECT_EQ(api_version_of(list.items[1]), "v1");
    EXPECT_EQ(query_of(transport->requests[0], "resourceVersion"), "0");
    EXPECT_EQ(query_of(transport->requests[1], "resourceVersion"), "");
    EXPECT_EQ(query_of(transport->requests[1], "labelSelector"), "app=web");
}

TEST_F(ClientTest, ListBeginsAgainOnceWhenAContinueTokenExpires) {
    transport->answer = [this](const Request& r) {
        if (query_of(r, "continue").empty())
            return json_response(200, pod_list("1" + std::to_string(++calls), {pod_object("a", "p1", "1", "1")}, "next"));
        if (calls == 1) return json_response(410, make_status(410, "Expired", "compacted"));
        return json_response(200, pod_list("12", {pod_object("a", "p2", "2", "2")}));
    };
    const auto list = loop->block_on(client.list(resources::pods, "a", {}, soon())).value();
    EXPECT_EQ(list.items.size(), 2U);
    EXPECT_EQ(list.resource_version, "12");
}

TEST_F(ClientTest, WriteOptionsBecomeQueryParameters) {
    transport->answer = [](const Request&) { return json_response(200, pod_object("a", "p", "1", "1")); };
    PatchOptions options{.write = {.dry_run = true}, .subresource = "status", .force = true};
    ASSERT_TRUE(loop->block_on(client.patch(resources::pods, "a", "p", PatchType::apply, json::Object{}, options, soon())));
    const auto& request = transport->requests[0];
    EXPECT_EQ(request.method, Method::patch);
    EXPECT_EQ(request.content_type, "application/apply-patch+yaml");
    EXPECT_EQ(request.target(), "/api/v1/namespaces/a/pods/p/status?dryRun=All&fieldManager=kubernaut&fieldValidation=Strict&force=true");
    ASSERT_TRUE(loop->block_on(client.patch(resources::pods, "a", "p", PatchType::json, json::Array{}, {}, soon())));
    EXPECT_EQ(transport->requests[1].target(), "/api/v1/namespaces/a/pods/p?fieldManager=kubernaut&fieldValidation=Strict");
}

TEST_F(ClientTest, DeletesWithPreconditionsAndEvictsThroughTheSubresource) {
    transport->answer = [](const Request&) { return json_response(200, make_status(200, "", "")); };
    ASSERT_TRUE(loop->block_on(client.remove(
        resources::pods, "a", "p", {.uid = "u1", .resource_version = "5", .grace_seconds = 0, .propagation = "Orphan", .dry_run = true}, soon())));
    EXPECT_EQ(
        json::canonical(body_of(0)),
        R"({"apiVersion":"v1","dryRun":["All"],"gracePeriodSeconds":0,"kind":"DeleteOptions","preconditions":{"resourceVersion":"5","uid":"u1"},"propagationPolicy":"Orphan"})");
    ASSERT_TRUE(loop->block_on(client.evict("a", "p", {.uid = "u1"}, soon())));
    EXPECT_EQ(transport->requests[1].path, "/api/v1/namespaces/a/pods/p/eviction");
    EXPECT_EQ(json::string_at(body_of(1), "deleteOptions", "preconditions", "uid"), "u1");
}

TEST_F(ClientTest, TellsABlockedEvictionFromAnOverloadedServer) {
    json::Value details = json::Object{{"causes", json::Array{json::Object{{"reason", "DisruptionBudget"}}}}};
    transport->answer = [&](const Request&) { return json_response(429, make_status(429, "TooManyRequests", "budget", details)); };
    EXPECT_EQ(loop->block_on(client.evict("a", "p", {}, soon())).error().reason, "DisruptionBudget");
    details = nullptr;
    EXPECT_EQ(loop->block_on(client.evict("a", "p", {}, soon())).error().reason, "TooManyRequests");
}

TEST_F(ClientTest, ReadsLogsAsText) {
    transport->answer = [](const Request&) {
        Response response;
        response.status = 200;
        response.body = "line\n";
        return response;
    };
    EXPECT_EQ(loop->block_on(client.logs("a", "p", {.container = "c", .previous = true, .tail_lines = 5}, soon())).value(), "line\n");
    EXPECT_EQ(transport->requests[0].target(), "/api/v1/namespaces/a/pods/p/log?container=c&previous=true&tailLines=5&limitBytes=65536");
}

TEST_F(ClientTest, AsksWhatItMayDo) {
    transport->answer = [](const Request& r) {
        const auto body = json::parse(r.body).value();
        return json_response(
            201, json::Object{{"status", json::Object{{"allowed", json::string_at(body, "spec", "resourceAttributes", "verb") == "get"}}}});
    };
    EXPECT_TRUE(loop->block_on(client.can_i("get", resources::deployments, "scale", "a", "n", soon())).value());
    EXPECT_FALSE(loop->block_on(client.can_i("delete", resources::deployments, "", "a", "", soon())).value());
    EXPECT_EQ(json::string_at(body_of(0), "spec", "resourceAttributes", "group"), "apps");
    EXPECT_TRUE(loop->block_on(client.can_user("u", {"g"}, "get", resources::pods, "a", soon())).value());
    EXPECT_EQ(json::string_at(body_of(2), "spec", "user"), "u");
    EXPECT_EQ(json::string_at(body_of(2), "spec", "groups", 0), "g");
}

TEST_F(ClientTest, DiscoversKindsThatAreNotBuiltIn) {
    transport->answer = [](const Request& r) -> Result<Response> {
        if (r.path == "/apis/example.com") {
            return json_response(
                200, json::parse(R"({"kind":"APIGroup","versions":[{"version":"v1"},{"version":"v1beta1"}],"preferredVersion":{"version":"v1"}})")
                         .value());
        }
        if (r.path == "/apis/example.com/v1")
            return json_response(200, json::parse(R"({"resources":[{"name":"widgets/status","kind":"Widget","namespaced":true}]})").value());
        if (r.path == "/apis/example.com/v1beta1")
            return json_response(200, json::parse(R"({"resources":[{"name":"widgets","kind":"Widget","namespaced":false}]})").value());
        Response response;
        response.status = 404;
        response.body = "404 page not found";
        return response;
    };
    const auto widget = loop->block_on(client.discover("example.com", "Widget", soon())).value();
    EXPECT_EQ(widget, (Resource{"example.com", "v1beta1", "widgets", "Widget", false}));
    EXPECT_EQ(loop->block_on(client.discover("example.com", "Gadget", soon())).error().code, ErrorCode::not_found);
    EXPECT_EQ(loop->block_on(client.discover("nope.example", "X", soon())).error().code, ErrorCode::not_found);
}

TEST_F(ClientTest, AWatchThatIsRefusedGivesTheStatus) {
    std::deque<StreamStep> steps;
    steps.push_back({0ms, json::dump(make_status(403, "Forbidden", "no"))});
    steps.push_back({0ms, std::optional<std::string>{}});
    transport->streams.push_back(std::pair(403, std::move(steps)));
    const auto refused = loop->block_on(client.watch(resources::pods, "a", {}, "5", 100, soon()));
    EXPECT_EQ(refused.error().code, ErrorCode::permission_denied);
    EXPECT_EQ(transport->requests[0].target(), "/api/v1/namespaces/a/pods?watch=1&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=100");
    EXPECT_EQ(transport->open_streams, 0);
}

}  // namespace
}  // namespace kn::kube
