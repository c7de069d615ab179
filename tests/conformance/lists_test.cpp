// Lists: pages, tokens, versions, forms (facts 1, 2, 4, 18, 19).
#include "conformance.hpp"

namespace kn::conformance {
namespace {

using enum ErrorCode;

TEST_P(Conformance, APageTellsHowManyRemainAndKeepsTheFirstPagesVersion) {
    for (int i = 0; i < 5; ++i) make_config_map("m" + std::to_string(i));
    const auto first = get(core("configmaps?limit=2"));
    ASSERT_EQ(first.code, 200);
    EXPECT_EQ(json::array_at(first.body, "items").size(), 2U);
    EXPECT_GE(json::int_at(first.body, "metadata", "remainingItemCount").value_or(0), 3);
    make_config_map("later");
    const auto token = std::string(json::string_at(first.body, "metadata", "continue"));
    const auto second = get(core("configmaps?limit=100&continue=") + kube::percent_encode(token));
    ASSERT_EQ(second.code, 200) << second.raw.body;
    EXPECT_EQ(second.version(), first.version());
    EXPECT_EQ(json::string_at(second.body, "metadata", "continue"), "");
    for (const auto& item : json::array_at(second.body, "items")) EXPECT_NE(kube::name_of(item), "later") << "a list is of one moment";
}

TEST_P(Conformance, WithASelectorNobodyCountsWhatRemains) {
    for (int i = 0; i < 3; ++i) make_config_map("m" + std::to_string(i), "{}", R"("labels":{"app":"x"})");
    const auto page = get(core("configmaps?limit=1&labelSelector=app%3Dx"));
    EXPECT_NE(json::string_at(page.body, "metadata", "continue"), "");
    EXPECT_EQ(json::at(page.body, "metadata", "remainingItemCount"), nullptr);
}

TEST_P(Conformance, ATokenGoesAloneAndMustBeOurs) {
    for (int i = 0; i < 3; ++i) make_config_map("m" + std::to_string(i));
    const auto token = kube::percent_encode(json::string_at(get(core("configmaps?limit=1")).body, "metadata", "continue"));
    EXPECT_EQ(get(core("configmaps?limit=1&resourceVersion=5&continue=") + token).code, 400);
    EXPECT_EQ(get(core("configmaps?limit=1&continue=abc")).code, 400);
}

TEST_P(Conformance, TheClientReadsAllPagesAndCompletesTheItems) {
    for (int i = 0; i < 7; ++i) make_config_map("m" + std::to_string(i), "{}", R"("labels":{"app":"x"})");
    const auto list = wait(client->list(kube::resources::config_maps, ns, {.label_selector = "app=x", .page_size = 2}, soon()));
    ASSERT_TRUE(list) << list.error().describe();
    EXPECT_EQ(list->items.size(), 7U);
    EXPECT_EQ(kube::kind_of(list->items[0]), "ConfigMap");
    EXPECT_EQ(kube::api_version_of(list->items[0]), "v1");
}

TEST_P(Conformance, ItemsOfAListCarryNoKind) {
    make_config_map("c");
    const auto list = get(core("configmaps"));
    EXPECT_EQ(list.kind(), "ConfigMapList");
    EXPECT_EQ(json::at(list.body, "items", 0, "kind"), nullptr);
}

TEST_P(Conformance, ANamespaceThatDoesNotExistListsAsEmpty) {
    const auto list = get("/api/v1/namespaces/none/pods");
    EXPECT_EQ(list.code, 200);
    EXPECT_TRUE(json::array_at(list.body, "items").empty());
}

TEST_P(Conformance, ATokenExpiresWithItsVersionAndOffersToGoOnInconsistently) {
    for (int i = 0; i < 4; ++i) make_config_map("m" + std::to_string(i));
    const auto first = get(core("configmaps?limit=2"));
    const auto token = kube::percent_encode(json::string_at(first.body, "metadata", "continue"));
    server->compact();
    const auto expired = get(core("configmaps?limit=2&continue=") + token);
    ASSERT_EQ(expired.code, 410) << expired.raw.body;
    EXPECT_EQ(expired.reason(), "Expired");
    EXPECT_EQ(expired.error().code, failed_precondition);
    const auto other = std::string(json::string_at(expired.body, "metadata", "continue"));
    ASSERT_FALSE(other.empty());
    const auto rest = get(core("configmaps?limit=10&continue=") + kube::percent_encode(other));
    EXPECT_EQ(rest.code, 200) << rest.raw.body;
    EXPECT_FALSE(json::array_at(rest.body, "items").empty());
}

TEST_P(Conformance, AnExactOldVersionIsGoneAfterCompaction) {
    const auto made = make_config_map("c");
    const auto target = core("configmaps?resourceVersionMatch=Exact&limit=1&resourceVersion=") + std::string(made.version());
    ASSERT_EQ(merge(core("configmaps/c"), R"({"data":{"a":"2"}})").code, 200);
    const auto before = get(target);
    if (before.code == 200) EXPECT_EQ(json::string_at(before.body, "items", 0, "data", "a").substr(0, 1), "1") << before.raw.body;
    server->compact();
    const auto gone = get(target);
    EXPECT_EQ(gone.code, 410);
    EXPECT_EQ(gone.error().reason, "Expired");
}

TEST_P(Conformance, AListFromTheFutureIsATimeoutThatMayBeTriedAgain) {
    const auto answer = get(core("configmaps?resourceVersion=99999999"));
    EXPECT_EQ(answer.code, 504);
    EXPECT_EQ(answer.reason(), "Timeout");
    EXPECT_EQ(answer.cause(), "ResourceVersionTooLarge");
    EXPECT_EQ(answer.raw.header("retry-after"), "1");
    const auto error = answer.error();
    EXPECT_EQ(error.code, unavailable);
    EXPECT_EQ(error.reason, "ResourceVersionTooLarge");
    EXPECT_EQ(error.retry_after, 1s);
}

TEST_P(Conformance, AVersionOfZeroIsWhateverTheServerHas) {
    make_config_map("c");
    const auto any = get(core("configmaps?resourceVersion=0&limit=1"));
    EXPECT_EQ(any.code, 200);
    EXPECT_EQ(get(core("configmaps?resourceVersionMatch=Exact")).code, 422) << "a match needs a version";
}

TEST_P(Conformance, FieldsThatTheServerKnowsCanBeSelectedBy) {
    make_pod("one");
    make_pod("two");
    EXPECT_EQ(json::array_at(get(core("pods?fieldSelector=metadata.name%3Dtwo")).body, "items").size(), 1U);
    EXPECT_EQ(json::array_at(get(core("pods?fieldSelector=status.phase%3DRunning")).body, "items").size(), 0U);
    set_running("one");
    EXPECT_EQ(json::array_at(get(core("pods?fieldSelector=status.phase%3DRunning")).body, "items").size(), 1U);
}

const std::string table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

TEST_P(Conformance, AListCanBeReadAsATable) {
    make_pod("p");
    const auto answer = get(core("pods"), {.accept = table});
    ASSERT_EQ(answer.kind(), "Table");
    EXPECT_EQ(json::string_at(answer.body, "columnDefinitions", 0, "name"), "Name");
    EXPECT_EQ(json::string_at(answer.body, "rows", 0, "cells", 0), "p");
    EXPECT_EQ(json::string_at(answer.body, "rows", 0, "object", "kind"), "PartialObjectMetadata");
    const auto bare = get(core("pods?includeObject=None"), {.accept = table});
    ASSERT_EQ(json::array_at(bare.body, "rows").size(), 1U);
    EXPECT_TRUE(json::object_at(bare.body, "rows", 0, "object").empty());
    EXPECT_EQ(json::string_at(get(core("pods?includeObject=Object"), {.accept = table}).body, "rows", 0, "object", "kind"), "Pod");
    EXPECT_EQ(get(core("pods/p"), {.accept = table}).kind(), "Table");
}

TEST_P(Conformance, MetadataAloneCanBeAskedFor) {
    make_deployment("d");
    const auto one = get(apps("deployments/d"), {.accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io,application/json"});
    EXPECT_EQ(one.kind(), "PartialObjectMetadata");
    EXPECT_EQ(json::at(one.body, "spec"), nullptr);
    EXPECT_EQ(one.name(), "d");
    const auto list = get(apps("deployments"), {.accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"});
    EXPECT_EQ(list.kind(), "PartialObjectMetadataList");
}

TEST_P(Conformance, YamlIsServedToThoseWhoAsk) {
    make_config_map("c");
    const auto answer = get(core("configmaps/c"), {.accept = "application/yaml"});
    EXPECT_EQ(answer.code, 200);
    EXPECT_TRUE(answer.raw.content_type.starts_with("application/yaml"));
    EXPECT_TRUE(answer.raw.body.contains("kind: ConfigMap"));
}

TEST_P(Conformance, EventsAreOneSetUnderTwoGroups) {
    const auto made = post(
        core("events"),
        R"({"apiVersion":"v1","kind":"Event","metadata":{"name":"e.1"},"involvedObject":{"kind":"Pod","namespace":")" + ns +
            R"(","name":"p"},"reason":"BackOff","message":"m","type":"Warning","source":{"component":"kubelet"},"firstTimestamp":"2026-11-23T16:12:46Z","lastTimestamp":"2026-11-23T16:12:46Z","count":3})");
    ASSERT_EQ(made.code, 201) << made.raw.body;
    EXPECT_EQ(json::array_at(get(core("events?fieldSelector=involvedObject.name%3Dp,reason%3DBackOff")).body, "items").size(), 1U);
    const auto other = get("/apis/events.k8s.io/v1/namespaces/" + ns + "/events/e.1");
    EXPECT_EQ(json::string_at(other.body, "regarding", "name"), "p") << other.raw.body;
    EXPECT_EQ(json::string_at(other.body, "note"), "m");
    EXPECT_EQ(json::int_at(other.body, "deprecatedCount"), 3);
}

}  // namespace
}  // namespace kn::conformance
