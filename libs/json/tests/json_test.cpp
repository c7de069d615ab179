#include "kubernaut/json/json.hpp"

#include <gtest/gtest.h>

#include "kubernaut/json/yaml.hpp"

namespace kn::json {
namespace {

TEST(Json, ReadsByPathWithoutThrowing) {
    const auto pod = parse(R"({"status":{"conditions":[{"type":"Ready","status":"False"}],"n":3.0}})").value();
    EXPECT_EQ(string_at(pod, "status", "conditions", 0, "type"), "Ready");
    EXPECT_EQ(string_at(pod, "status", "nope", 7), "");
    EXPECT_EQ(int_at(pod, "status", "n"), 3);
    EXPECT_TRUE(array_at(pod, "spec", "containers").empty());
}

TEST(Json, NamesLineAndColumnOfBrokenText) {
    const auto broken = parse("{\n  \"a\": 1,\n  oops\n}");
    ASSERT_FALSE(broken);
    EXPECT_TRUE(broken.error().field.starts_with("line 3")) << broken.error().field;
}

TEST(Json, RefusesTextAfterTheEndAndDeepNesting) {
    EXPECT_FALSE(parse("{} x"));
    EXPECT_FALSE(parse(std::string(500, '[')));
    EXPECT_FALSE(parse("{\"a\":"));
}

TEST(Json, CanonicalTextDoesNotDependOnKeyOrder) {
    EXPECT_EQ(canonical(parse(R"({"b":1,"a":[{"y":2,"x":1}]})").value()), R"({"a":[{"x":1,"y":2}],"b":1})");
}

TEST(Json, WalksPointersWithEscapes) {
    const auto value = parse(R"({"a/b":{"~":[10,20]}})").value();
    ASSERT_NE(at_pointer(value, "/a~1b/~0/1"), nullptr);
    EXPECT_EQ(*at_pointer(value, "/a~1b/~0/1"), 20);
    EXPECT_EQ(at_pointer(value, "/a~1b/~0/2"), nullptr);
    EXPECT_FALSE(split_pointer("a"));
}

TEST(Yaml, ReadsScalarsAsKubernetesDoes) {
    const auto document = parse_yaml("a: yes\nb: \"yes\"\nc: 0x10\nd: 1.5\ne: ~\nf: 1e3\ng: 12abc\nh: '0123'\n").value();
    EXPECT_EQ(dump(document.value), R"({"a":true,"b":"yes","c":16,"d":1.5E0,"e":null,"f":1E3,"g":"12abc","h":"0123"})");
}

TEST(Yaml, KeepsTheLineOfEveryValue) {
    const auto document = parse_yaml("spec:\n  steps:\n  - id: a\n  - id: b\n    with: {x: 1}\n").value();
    EXPECT_EQ(document.place("/spec/steps/1/with/x"), "line 5, spec.steps[1].with.x");
    EXPECT_EQ(document.place("/spec/steps/1/missing"), "line 4, spec.steps[1].missing");
}

TEST(Yaml, RefusesDuplicateKeysAndEndlessAliases) {
    EXPECT_FALSE(parse_yaml("a: 1\na: 2\n"));
    std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
    for (int i = 1; i < 12; ++i) {
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) bomb += "*a" + std::to_string(i - 1) + ",";
        bomb += "]\n";
    }
    EXPECT_FALSE(parse_yaml(bomb));
}

TEST(Yaml, WritesWhatItReadsBack) {
    const auto value = parse(R"({"a":{"b":["x",{"c":1,"d":[]},[1,2]],"e":{}},"s":"true","n":null,"t":"a: b","u":"0123","v":"line\nbreak"})").value();
    EXPECT_EQ(parse_yaml(dump_yaml(value)).value().value, value) << dump_yaml(value);
}

TEST(Yaml, MergesDefaults) {
    const auto document = parse_yaml("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").value();
    EXPECT_EQ(int_at(document.value, "use", "x"), 1);
    EXPECT_EQ(int_at(document.value, "use", "y"), 3);
}

}  // namespace
}  // namespace kn::json
