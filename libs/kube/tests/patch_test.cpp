#include <gtest/gtest.h>

#include <random>

#include "kubernaut/kube/patch.hpp"

namespace kn::kube {
namespace {

json::Value J(std::string_view text) { return json::parse(text).value(); }
std::string text_of(const json::Value& value) { return json::canonical(value); }
std::string text_of(const Result<json::Value>& value) { return value ? json::canonical(*value) : value.error().describe(); }

TEST(JsonPatch, DoesTheOperationsOfRfc6902) {
    struct Case {
        const char *target, *patch, *expected;
    };
    const std::vector<Case> cases = {
        {R"({"a":1})", R"([{"op":"add","path":"/b","value":2}])", R"({"a":1,"b":2})"},
        {R"({"a":[1,3]})", R"([{"op":"add","path":"/a/1","value":2}])", R"({"a":[1,2,3]})"},
        {R"({"a":[1]})", R"([{"op":"add","path":"/a/-","value":2}])", R"({"a":[1,2]})"},
        {R"({"a":1,"b":2})", R"([{"op":"remove","path":"/a"}])", R"({"b":2})"},
        {R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/0"}])", R"({"a":[2]})"},
        {R"({"a":1})", R"([{"op":"replace","path":"/a","value":null}])", R"({"a":null})"},
        {R"({"a":{"b":1},"c":{}})", R"([{"op":"move","from":"/a/b","path":"/c/d"}])", R"({"a":{},"c":{"d":1}})"},
        {R"({"a":[1,2,3]})", R"([{"op":"move","from":"/a/0","path":"/a/2"}])", R"({"a":[2,3,1]})"},
        {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/c"}])", R"({"a":{"b":1},"c":{"b":1}})"},
        {R"({"a/b":1,"m~n":2})", R"([{"op":"test","path":"/a~1b","value":1.0},{"op":"remove","path":"/m~0n"}])", R"({"a/b":1})"},
        {R"({"a":1})", R"([{"op":"replace","path":"","value":[1]}])", R"([1])"},
        {R"({"a":{"x":1,"y":2}})", R"([{"op":"test","path":"/a","value":{"y":2,"x":1}}])", R"({"a":{"x":1,"y":2}})"},
    };
    for (const auto& c : cases) EXPECT_EQ(text_of(apply_json_patch(J(c.target), J(c.patch))), text_of(J(c.expected))) << c.patch;
}

TEST(JsonPatch, SaysWhatIsWrong) {
    const auto error = [](const char* patch) { return apply_json_patch(J(R"({"a":{"b":[1]}})"), J(patch)).error(); };
    const auto test = error(R"([{"op":"test","path":"/a/b/0","value":2}])");
    EXPECT_EQ(test.code, ErrorCode::failed_precondition);
    EXPECT_EQ(test.reason, "test");
    EXPECT_EQ(error(R"([{"op":"test","path":"/zz","value":2}])").code, ErrorCode::failed_precondition);
    for (const auto* patch :
         {R"({})", R"([1])", R"([{"op":"remove","path":"/x"}])", R"([{"op":"add","path":"/x/y","value":1}])",
          R"([{"op":"add","path":"/a/b/2","value":1}])", R"([{"op":"remove","path":"/a/b/01"}])", R"([{"op":"remove","path":"/a/b/-"}])",
          R"([{"op":"add","path":"/a"}])", R"([{"op":"hop","path":"/a"}])", R"([{"op":"add","path":"a","value":1}])",
          R"([{"op":"move","from":"/a","path":"/a/b"}])", R"([{"op":"replace","path":"/a/x","value":1}])", R"([{"op":"copy","path":"/a"}])"}) {
        EXPECT_EQ(error(patch).code, ErrorCode::invalid_argument) << patch;
    }
}

TEST(JsonPatch, CannotGrowWithoutBound) {
    std::string patch = R"([{"op":"add","path":"/a","value":"0123456789012345678901234567890123456789"})";
    for (int i = 0; i < 40; ++i) patch += R"(,{"op":"copy","from":"","path":"/)" + std::string(1, static_cast<char>('b' + i % 20)) + R"("})";
    patch += "]";
    EXPECT_EQ(apply_json_patch(J("{}"), J(patch)).error().code, ErrorCode::invalid_argument);
}

TEST(MergePatch, DoesTheExamplesOfRfc7386) {
    const std::vector<std::array<const char*, 3>> cases = {{R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
                                                           {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
                                                           {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
                                                           {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
                                                           {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
                                                           {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
                                                           {R"(["a","b"])", R"(["c"])", R"(["c"])"},
                                                           {R"({"a":"foo"})", R"(null)", R"(null)"},
                                                           {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
                                                           {R"([1,2])", R"({"a":"b","c":null})", R"({"a":"b"})"},
                                                           {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"}};
    for (const auto& c : cases) EXPECT_EQ(text_of(apply_merge_patch(J(c[0]), J(c[1]))), text_of(J(c[2]))) << c[1];
}

json::Value random_value(std::mt19937_64& random, int depth) {
    const auto pick = random() % (depth > 0 ? 6 : 4);
    if (pick == 0) return static_cast<std::int64_t>(random() % 3);
    if (pick == 1) return random() % 2 == 0;
    if (pick == 2) return json::Value(std::string(1, static_cast<char>('a' + random() % 3)));
    if (pick == 3) return json::Array{static_cast<std::int64_t>(random() % 2)};
    json::Object object;
    for (auto n = random() % 4; n > 0; --n) object[std::string(1, static_cast<char>('p' + random() % 4))] = random_value(random, depth - 1);
    return object;
}

TEST(MergePatch, DiffLeadsFromOneObjectToTheOther) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    for (int i = 0; i < 2000; ++i) {
        json::Value from = random_value(random, 3), to = random_value(random, 3);
        if (!from.is_object()) from = json::Object{};
        if (!to.is_object()) to = json::Object{};
        const auto patch = diff_merge_patch(from, to);
        ASSERT_EQ(text_of(apply_merge_patch(from, patch)), text_of(to)) << text_of(from) << " by " << text_of(patch);
        ASSERT_EQ(text_of(diff_merge_patch(to, to)), "{}");
    }
}

std::string strategic(std::string_view target, std::string_view patch) { return text_of(apply_strategic_merge_patch(J(target), J(patch))); }

TEST(StrategicMergePatch, MergesContainersEnvAndPortsByTheirKeys) {
    EXPECT_EQ(
        strategic(
            R"({"spec":{"template":{"spec":{"containers":[{"name":"one","image":"one:1","env":[{"name":"A","value":"1"}]},{"name":"two","image":"two:1"}]}}}})",
            R"({"spec":{"template":{"spec":{"containers":[{"name":"one","image":"one:2","env":[{"name":"B","value":"2"}]}]}}}})"),
        R"({"spec":{"template":{"spec":{"containers":[{"env":[{"name":"B","value":"2"},{"name":"A","value":"1"}],"image":"one:2","name":"one"},{"image":"two:1","name":"two"}]}}}})");
    EXPECT_EQ(strategic(R"({"spec":{"ports":[{"port":80,"nodePort":1}]}})", R"({"spec":{"ports":[{"port":80,"name":"http"}]}})"),
              R"({"spec":{"ports":[{"name":"http","nodePort":1,"port":80}]}})");
}

TEST(StrategicMergePatch, NewElementsComeBeforeThoseThatOnlyTheServerHas) {
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})", R"({"spec":{"containers":[{"name":"c"}]}})"),
              R"({"spec":{"containers":[{"name":"c"},{"name":"a"},{"name":"b"}]}})");
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
                        R"({"spec":{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"b","image":"x"}]}})"),
              R"({"spec":{"containers":[{"image":"x","name":"b"},{"name":"a"}]}})");
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]}})",
                        R"({"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]}})"),
              R"({"spec":{"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]}})");
}

TEST(StrategicMergePatch, ObeysItsDirectives) {
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})", R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})"),
              R"({"spec":{"containers":[{"name":"b"}]}})");
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[{"$patch":"replace"},{"name":"z","image":null}]}})"),
              R"({"spec":{"containers":[{"name":"z"}]}})");
    EXPECT_EQ(strategic(R"({"spec":{"a":1,"b":2}})", R"({"spec":{"$patch":"replace","c":3}})"), R"({"spec":{"c":3}})");
    EXPECT_EQ(strategic(R"({"spec":{"a":1}})", R"({"spec":{"$patch":"delete"}})"), R"({"spec":{}})");
    EXPECT_EQ(strategic(R"({"spec":{"strategy":{"type":"RollingUpdate","rollingUpdate":{}}}})",
                        R"({"spec":{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}})"),
              R"({"spec":{"strategy":{"type":"Recreate"}}})");
    EXPECT_EQ(strategic(R"({"metadata":{"finalizers":["a","b","c"]}})", R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}})"),
              R"({"metadata":{"finalizers":["a","c"]}})");
}

TEST(StrategicMergePatch, SetsMergeAtomicListsReplaceAndNullRemoves) {
    EXPECT_EQ(strategic(R"({"metadata":{"finalizers":["a"]}})", R"({"metadata":{"finalizers":["b","a"]}})"),
              R"({"metadata":{"finalizers":["b","a"]}})");
    EXPECT_EQ(strategic(R"({"spec":{"tolerations":[{"key":"a"}]}})", R"({"spec":{"tolerations":[{"key":"b"}]}})"),
              R"({"spec":{"tolerations":[{"key":"b"}]}})");
    EXPECT_EQ(strategic(R"({"spec":{"containers":[{"name":"a","args":["1","2"]}]}})", R"({"spec":{"containers":[{"name":"a","args":["3"]}]}})"),
              R"({"spec":{"containers":[{"args":["3"],"name":"a"}]}})");
    EXPECT_EQ(strategic(R"({"metadata":{"labels":{"a":"1"}}})", R"({"metadata":{"labels":{"a":null,"b":"2"},"annotations":{"x":null}}})"),
              R"({"metadata":{"annotations":{},"labels":{"b":"2"}}})");
    EXPECT_EQ(strategic(R"({"data":{"spec":"x"}})", R"({"data":{"spec":"y"}})"), R"({"data":{"spec":"y"}})");
}

TEST(StrategicMergePatch, RefusesMalformedDirectives) {
    for (const auto* patch : {R"([])", R"({"spec":{"$patch":"burn"}})", R"({"spec":{"containers":[{"image":"x"}]}})",
                              R"({"spec":{"containers":["x"]}})", R"({"spec":{"containers":[{"$patch":"merge","name":"a"}]}})",
                              R"({"spec":{"$retainKeys":["b"],"a":1}})", R"({"spec":{"$setElementOrder/tolerations":[]}})",
                              R"({"spec":{"$nonsense":1}})", R"({"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]}})",
                              R"({"metadata":{"$deleteFromPrimitiveList/finalizers":"x"}})"}) {
        const auto result = apply_strategic_merge_patch(J(R"({"spec":{"containers":[{"name":"a"}]},"metadata":{"finalizers":["a"]}})"), J(patch));
        ASSERT_FALSE(result) << patch;
        EXPECT_EQ(result.error().code, ErrorCode::invalid_argument) << patch;
    }
}

TEST(StrategicMergePatch, KnowsTheMergeKeys) {
    EXPECT_EQ(merge_key("containers", "ports"), "containerPort");
    EXPECT_EQ(merge_key("spec", "ports"), "port");
    EXPECT_EQ(merge_key("containers", "volumeMounts"), "mountPath");
    EXPECT_EQ(merge_key("status", "conditions"), "type");
    EXPECT_EQ(merge_key("spec", "tolerations"), "");
    EXPECT_EQ(merge_key("spec", "taints"), "");
}

}  // namespace
}  // namespace kn::kube
