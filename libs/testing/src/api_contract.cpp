#include "kubernaut/testing/api_contract.hpp"

#include <gtest/gtest.h>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/watch.hpp"

namespace kn::testing {
namespace {

using async::Task;
using json::Value;
using kube::PatchType;
namespace res = kube::resources;

/// The subject of all cases.
struct Subject {
    std::shared_ptr<kube::Client> client;
    std::string ns;
    Duration per_call;
    [[nodiscard]] Deadline deadline() const { return client->clock().deadline_in(per_call); }
};

Value parse(std::string_view text) {
    auto value = json::parse(text);
    EXPECT_TRUE(value) << text;
    return value ? *value : Value(nullptr);
}

Value config_map(std::string_view name, std::string_view labels = "{}") {
    return parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + std::string(name) + R"(","labels":)" + std::string(labels) +
                 R"(},"data":{"a":"1"}})");
}

Value deployment(std::string_view name) {
    return parse(
        R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + std::string(name) +
        R"("},"spec":{"replicas":0,"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},"spec":{"containers":[{"name":"one","image":"one:1"}]}}}})");
}

std::string described(const Error& error) { return error.describe() + " (reason " + error.reason + ")"; }

/// The outcome of a call that must fail with this code.
template <class T> void expect_error(const Result<T>& result, ErrorCode code, std::string_view what, std::string_view reason = {}) {
    EXPECT_FALSE(result) << what;
    if (result) return;
    EXPECT_EQ(result.error().code, code) << what << ": " << described(result.error());
    if (!reason.empty()) EXPECT_EQ(result.error().reason, reason) << what;
}

template <class T> bool expect_fine(const Result<T>& result, std::string_view what) {
    EXPECT_TRUE(result) << what << ": " << (result ? std::string{} : described(result.error()));
    return result.has_value();
}

Task<> identity_and_versions(Subject s) {
    auto made = co_await s.client->create(res::config_maps, s.ns, config_map("conf"), {}, s.deadline());
    if (!expect_fine(made, "create")) co_return;
    EXPECT_FALSE(kube::uid_of(*made).empty());
    EXPECT_FALSE(kube::resource_version_of(*made).empty());
    EXPECT_TRUE(kube::creation_time(*made));
    const auto read = co_await s.client->get(res::config_maps, s.ns, "conf", s.deadline());
    if (expect_fine(read, "get")) EXPECT_EQ(kube::uid_of(*read), kube::uid_of(*made));
    expect_error(co_await s.client->create(res::config_maps, s.ns, config_map("conf"), {}, s.deadline()), ErrorCode::already_exists, "create again");
    expect_error(co_await s.client->get(res::config_maps, s.ns, "none", s.deadline()), ErrorCode::not_found, "get of nothing");
    expect_error(co_await s.client->create(res::config_maps, s.ns + "-none", config_map("x"), {}, s.deadline()), ErrorCode::not_found,
                 "create in no namespace");
    expect_error(co_await s.client->create(res::config_maps, s.ns, config_map("Bad_Name"), {}, s.deadline()), ErrorCode::invalid_argument,
                 "a bad name");

    auto changed = *made;
    json::make_at(changed, "data", "a") = "2";
    const auto put = co_await s.client->replace(res::config_maps, s.ns, "conf", changed, {}, s.deadline());
    if (!expect_fine(put, "replace")) co_return;
    EXPECT_NE(kube::resource_version_of(*put), kube::resource_version_of(*made));
    expect_error(co_await s.client->replace(res::config_maps, s.ns, "conf", changed, {}, s.deadline()), ErrorCode::aborted,
                 "replace with an old version");
    expect_error(co_await s.client->remove(res::config_maps, s.ns, "conf", {.uid = "00000000-0000-0000-0000-000000000000"}, s.deadline()),
                 ErrorCode::aborted, "delete with another uid");
    expect_fine(co_await s.client->remove(res::config_maps, s.ns, "conf", {.uid = std::string(kube::uid_of(*made))}, s.deadline()),
                "delete with the uid");
    expect_error(co_await s.client->remove(res::config_maps, s.ns, "conf", {}, s.deadline()), ErrorCode::not_found, "delete again");
}

Task<> patches(Subject s) {
    auto made = co_await s.client->create(res::deployments, s.ns, deployment("pt"), {}, s.deadline());
    if (!expect_fine(made, "create deployment")) co_return;
    EXPECT_EQ(kube::generation_of(*made), 1);
    EXPECT_EQ(json::int_at(*made, "spec", "progressDeadlineSeconds"), 600) << "defaults are filled in";
    const auto strategic =
        co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::strategic,
                                 parse(R"({"spec":{"template":{"spec":{"containers":[{"name":"two","image":"two:1"}]}}}})"), {}, s.deadline());
    if (expect_fine(strategic, "strategic")) {
        EXPECT_EQ(json::array_at(*strategic, "spec", "template", "spec", "containers").size(), 2U);
        EXPECT_EQ(kube::generation_of(*strategic), 2);
    }
    const auto merge = co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::merge,
                                                parse(R"({"metadata":{"labels":{"a":"b"}},"status":{"replicas":7}})"), {}, s.deadline());
    if (expect_fine(merge, "merge")) {
        EXPECT_EQ(kube::label_of(*merge, "a"), "b");
        EXPECT_NE(json::int_at(*merge, "status", "replicas"), 7) << "status is not written through the object itself";
    }
    const auto tested = co_await s.client->patch(
        res::deployments, s.ns, "pt", PatchType::json,
        parse(R"([{"op":"test","path":"/metadata/labels/a","value":"b"},{"op":"remove","path":"/metadata/labels/a"}])"), {}, s.deadline());
    expect_fine(tested, "json patch");
    const auto failing = co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::json,
                                                  parse(R"([{"op":"test","path":"/spec/replicas","value":99}])"), {}, s.deadline());
    EXPECT_FALSE(failing) << "a failing test operation";
    expect_error(co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::merge,
                                          parse(R"({"spec":{"selector":{"matchLabels":{"app":"y"}}}})"), {}, s.deadline()),
                 ErrorCode::invalid_argument, "an immutable field");
    const auto dry = co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::merge, parse(R"({"spec":{"paused":true}})"),
                                              {.write = {.dry_run = true}}, s.deadline());
    if (expect_fine(dry, "dry run")) EXPECT_EQ(json::bool_at(*dry, "spec", "paused"), true);
    const auto after = co_await s.client->get(res::deployments, s.ns, "pt", s.deadline());
    if (expect_fine(after, "get after dry run")) EXPECT_NE(json::bool_at(*after, "spec", "paused"), true);
    const auto scaled = co_await s.client->patch(res::deployments, s.ns, "pt", PatchType::merge, parse(R"({"spec":{"replicas":1}})"),
                                                 {.subresource = "scale"}, s.deadline());
    if (expect_fine(scaled, "scale")) {
        EXPECT_EQ(kube::kind_of(*scaled), "Scale");
        EXPECT_EQ(json::int_at(*scaled, "spec", "replicas"), 1);
    }
    expect_fine(co_await s.client->remove(res::deployments, s.ns, "pt", {}, s.deadline()), "delete deployment");
}

Task<> ownership(Subject s) {
    const auto config = [](std::string_view value) {
        return parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"ssa"},"data":{"a":")" + std::string(value) + R"("}})");
    };
    kube::PatchOptions one, two;
    one.write.field_manager = "one";
    two.write.field_manager = "two";
    const auto made = co_await s.client->patch(res::config_maps, s.ns, "ssa", PatchType::apply, config("1"), one, s.deadline());
    if (!expect_fine(made, "apply creates")) co_return;
    const auto again = co_await s.client->patch(res::config_maps, s.ns, "ssa", PatchType::apply, config("1"), one, s.deadline());
    if (expect_fine(again, "apply again")) EXPECT_EQ(kube::resource_version_of(*again), kube::resource_version_of(*made)) << "nothing changed";
    const auto refused = co_await s.client->patch(res::config_maps, s.ns, "ssa", PatchType::apply, config("2"), two, s.deadline());
    EXPECT_FALSE(refused);
    if (!refused) EXPECT_EQ(refused.error().reason, "FieldManagerConflict");
    two.force = true;
    expect_fine(co_await s.client->patch(res::config_maps, s.ns, "ssa", PatchType::apply, config("2"), two, s.deadline()), "apply by force");
}

Task<> selections(Subject s) {
    for (int i = 0; i < 5; ++i) {
        const auto made = co_await s.client->create(
            res::config_maps, s.ns, config_map("page-" + std::to_string(i), i % 2 == 0 ? R"({"even":"yes"})" : R"({"even":"no"})"), {}, s.deadline());
        if (!expect_fine(made, "create for pages")) co_return;
    }
    const auto all = co_await s.client->list(res::config_maps, s.ns, {.label_selector = "even", .page_size = 2}, s.deadline());
    if (expect_fine(all, "list in pages")) EXPECT_EQ(all->items.size(), 5U);
    const auto even = co_await s.client->list(res::config_maps, s.ns, {.label_selector = "even in (yes)"}, s.deadline());
    if (expect_fine(even, "list by label")) EXPECT_EQ(even->items.size(), 3U);
    const auto named = co_await s.client->list(res::config_maps, s.ns, {.field_selector = "metadata.name=page-1"}, s.deadline());
    if (expect_fine(named, "list by name")) EXPECT_EQ(named->items.size(), 1U);
    expect_error(co_await s.client->list(res::config_maps, s.ns, {.field_selector = "spec.nope=1"}, s.deadline()), ErrorCode::invalid_argument,
                 "an unknown field");
}

Task<> watches(Subject s) {
    const auto start = co_await s.client->list(res::config_maps, s.ns, {}, s.deadline());
    if (!expect_fine(start, "list before watch")) co_return;
    auto stream =
        co_await s.client->watch(res::config_maps, s.ns, {.field_selector = "metadata.name=seen"}, start->resource_version, 60, s.deadline());
    if (!expect_fine(stream, "watch")) co_return;
    expect_fine(co_await s.client->create(res::config_maps, s.ns, config_map("seen"), {}, s.deadline()), "create seen");
    expect_fine(co_await s.client->create(res::config_maps, s.ns, config_map("unseen"), {}, s.deadline()), "create unseen");
    expect_fine(co_await s.client->patch(res::config_maps, s.ns, "seen", PatchType::merge, parse(R"({"data":{"b":"2"}})"), {}, s.deadline()),
                "patch seen");
    expect_fine(co_await s.client->remove(res::config_maps, s.ns, "seen", {}, s.deadline()), "delete seen");
    kube::WatchDecoder decoder;
    std::vector<kube::WatchEventType> story;
    while (story.size() < 3) {
        auto chunk = co_await (*stream)->next(s.deadline());
        if (!expect_fine(chunk, "watch event") || !*chunk) break;
        auto events = decoder.feed(**chunk);
        if (!expect_fine(events, "decode")) break;
        for (const auto& event : *events) {
            if (event.type == kube::WatchEventType::bookmark) continue;
            EXPECT_EQ(kube::name_of(event.object), "seen");
            story.push_back(event.type);
        }
    }
    EXPECT_EQ(story, (std::vector{kube::WatchEventType::added, kube::WatchEventType::modified, kube::WatchEventType::deleted}));
}

Task<> questions(Subject s) {
    const auto mine = co_await s.client->can_i("delete", res::pods, "", s.ns, "", s.deadline());
    if (expect_fine(mine, "can I")) EXPECT_TRUE(*mine);
    const auto other = co_await s.client->can_user("nobody-in-particular", {}, "delete", res::pods, s.ns, s.deadline());
    if (expect_fine(other, "can they")) EXPECT_FALSE(*other);
    expect_error(co_await s.client->evict(s.ns, "none", {}, s.deadline()), ErrorCode::not_found, "evict nothing");
    const auto uid = co_await s.client->cluster_uid(s.deadline());
    if (expect_fine(uid, "cluster uid")) EXPECT_EQ(uid->size(), 36U);
    expect_error(co_await s.client->discover("nope.example", "Nope", s.deadline()), ErrorCode::not_found, "a kind that is not served");
}

}  // namespace

Task<> api_contract(std::shared_ptr<kube::Client> client, std::string ns, Duration per_call) {
    const Subject s{std::move(client), std::move(ns), per_call};
    const auto home = parse(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + s.ns + R"("}})");
    if (!expect_fine(co_await s.client->create(res::namespaces, {}, home, {}, s.deadline()), "create namespace")) co_return;
    co_await identity_and_versions(s);
    co_await patches(s);
    co_await ownership(s);
    co_await selections(s);
    co_await watches(s);
    co_await questions(s);
    expect_fine(co_await s.client->remove(res::namespaces, {}, s.ns, {}, s.deadline()), "delete namespace");
}

}  // namespace kn::testing
