#include "kubernaut/expr/expr.hpp"

#include <gtest/gtest.h>

using namespace kn;
using namespace kn::expr;

namespace {

Environment environment() {
    Environment env;
    env.now = *parse_rfc3339("2026-03-01T12:00:00Z");
    env.roots = json::parse(R"({
        "facts": {"pod": {"restarts": 7, "ready": false, "reason": "CrashLoopBackOff", "gone": null},
                  "volume": {"used_ratio": 0.91, "size": "10Gi"},
                  "rollout": {"started": "2026-03-01T11:45:00Z", "images": ["a:1", "b:2"]},
                  "pods": [{"name": "x", "ready": true}, {"name": "y", "ready": false}, {"name": "z"}]},
        "params": {"factor": 1.5, "wait": "10m", "count": 3, "optional": null},
        "target": {"kind": "Deployment", "name": "cart"},
        "steps": {"roll-back": {"state": "succeeded", "output": {"revision": 4}}}
    })")
                    ->as_object();
    return env;
}

/// The value as canonical JSON, "unknown: what", or "error: code".
std::string value_of(std::string_view text) {
    const auto program = compile(text);
    if (!program) return "refused: " + program.error().message + " (" + program.error().field + ")";
    const auto answer = evaluate(*program, environment());
    if (!answer) return "error: " + std::string(to_string(answer.error().code));
    return answer->known() ? json::canonical(*answer->value) : "unknown: " + answer->unknown;
}

struct Row {
    std::string_view text, value;
};

void check(std::initializer_list<Row> rows) {
    for (const Row& row : rows) EXPECT_EQ(value_of(row.text), row.value) << row.text;
}

}  // namespace

TEST(Expr, CalculatesWithPrecedenceAndExactIntegers) {
    check({{"1 + 2 * 3", "7"},
           {"(1 + 2) * 3", "9"},
           {"7 / 2", "3.5E0"},
           {"6 / 2", "3"},
           {"-3 + 1", "-2"},
           {"- -3", "3"},
           {"2 - 3 - 4", "-5"},
           {"1.5 * 2 == 3", "true"},
           {"9223372036854775807 + 0", "9223372036854775807"},
           {"9223372036854775807 == 9223372036854775806", "false"},
           {"1 < 2 && 2 < 3", "true"},
           {"!true || true", "true"},
           {"1 == 1.0", "true"},
           {"true ? 1 : 2", "1"},
           {"false ? 1 : true ? 2 : 3", "2"}});
}

TEST(Expr, UnitsAreNumbersAndDurations) {
    check({{"1Ki", "1024"},
           {"1.5Mi", "1572864"},
           {"2Gi == quantity('2Gi')", "true"},
           {"50% == 0.5", "true"},
           {"5m", "\"5m\""},
           {"90s", "\"1m30s\""},
           {"1h30m - 30m", "\"1h\""},
           {"5m * 2", "\"10m\""},
           {"1h / 20m == 3", "true"},
           {"5m > 299s", "true"},
           {"quantity('500m')", "5E-1"},
           {"params.wait > 5m", "true"},
           {"params.wait == 600s", "true"},
           {"params.count < 5s", "true"},
           {"duration('2h') == 120m", "true"},
           {"1d == 24h", "true"},
           {"500ms < 1s", "true"}});
}

TEST(Expr, TimesHaveAges) {
    check({{"age(facts.rollout.started) == 15m", "true"},
           {"now - facts.rollout.started <= 15m", "true"},
           {"now - timestamp(facts.rollout.started)", "\"15m\""},
           {"now + 1h", "\"2026-03-01T13:00:00Z\""},
           {"now > facts.rollout.started", "true"},
           {"age('nonsense')", "error: invalid_argument"}});
}

TEST(Expr, UnknownSpreadsAndNeverDecidesByItself) {
    check({{"facts.pod.oom", "unknown: facts.pod.oom"},
           {"facts.node.ready == true", "unknown: facts.node.ready"},
           {"nothing.at.all > 3", "unknown: nothing.at.all"},
           {"facts.pod.gone == true", "false"},
           {"facts.pod.gone > 3", "unknown: facts.pod.gone"},
           {"!facts.pod.oom", "unknown: facts.pod.oom"},
           {"facts.pod.oom && false", "false"},
           {"facts.pod.oom && true", "unknown: facts.pod.oom"},
           {"facts.pod.oom || true", "true"},
           {"facts.pod.oom || false", "unknown: facts.pod.oom"},
           {"facts.pod.oom ? 1 : 2", "unknown: facts.pod.oom"},
           {"1 / 0", "unknown: 1 / 0"},
           {"known(facts.pod.oom)", "false"},
           {"has(facts.pod.gone)", "false"},
           {"known(facts.pod.restarts)", "true"},
           {"coalesce(facts.pod.oom, params.optional, 3)", "3"},
           {"coalesce(facts.pod.oom, null)", "null"},
           {"facts.pods[7].name", "unknown: facts.pods[7].name"},
           {"min(facts.pod.oom, 3)", "unknown: facts.pod.oom"},
           {"[1, facts.pod.oom]", "unknown: facts.pod.oom"},
           {"max([])", "unknown: max([])"}});
}

TEST(Expr, StringsListsAndMaps) {
    check({{"'a' + \"b\"", "\"ab\""},
           {"facts.pod.reason matches '^Crash.*Off$'", "true"},
           {"matches(target.name, 'art')", "true"},
           {"target.name.matches('^x')", "false"},
           {"'CrashLoopBackOff'.startsWith('Crash') && endsWith(facts.pod.reason, 'Off')", "true"},
           {"target.kind in ['Deployment', 'StatefulSet']", "true"},
           {"'b:2' in facts.rollout.images", "true"},
           {"contains(facts.rollout.images, 'c')", "false"},
           {"'art' in target", "false"},
           {"contains(target.name, 'art')", "true"},
           {"size(facts.rollout.images) + len('abc') + {'a': 1}.size()", "6"},
           {"steps['roll-back'].output.revision - 1", "3"},
           {"facts.rollout.images[-1]", "\"b:2\""},
           {"{'a': [1, 2], b: 'x'}", R"({"a":[1,2],"b":"x"})"},
           {"[1, 2] + [3]", "[1,2,3]"},
           {"min(3, 1, 2)", "1"},
           {"max([2, 9, 4])", "9"},
           {"abs(-4)", "4"},
           {"[1] == [1.0]", "true"},
           {"'1' == 1", "false"},
           {"'\\u00e9' == 'é'", "true"}});
}

TEST(Expr, MacrosAreKleeneToo) {
    check({{"facts.pods.exists(p, p.ready == false)", "true"},
           {"facts.pods.all(p, p.ready)", "false"},
           {"facts.pods.all(p, p.name != 'q')", "true"},
           {"facts.pods.exists(p, p.ready && p.name == 'z')", "unknown: p.ready"},
           {"facts.pods.map(p, p.name)", R"(["x","y","z"])"},
           {"[1,2,3,4].filter(n, n > 2).map(m, m * 10)", "[30,40]"},
           {"[[1,2],[3]].map(a, a.map(b, a.size() + b))", "[[3,4],[4]]"},
           {"target.exists(k, target[k] == 'cart')", "true"},
           {"size(facts.pods.filter(p, coalesce(p.ready, false)))", "1"}});
}

TEST(Expr, NonsenseIsRefusedWithItsByte) {
    check({{"", "refused: the expression is empty (byte 0)"},
           {"1 +", "refused: the expression ends too early (byte 3)"},
           {"1 + true", "refused: cannot add a boolean (byte 4)"},
           {"!5", "refused: ! wants a boolean, not a number (byte 1)"},
           {"a && 'x'", "refused: && wants a boolean, not a string (byte 5)"},
           {"'a' < 3", "refused: a number and a string have no order; quantity() and duration() read strings (byte 6)"},
           {"foo(1)", "refused: unknown function `foo` (byte 0)"},
           {"size()", "refused: size() wants 1 argument (byte 0)"},
           {"a matches '('", "refused: not a regular expression: missing ): ( (byte 10)"},
           {"5 5", "refused: unexpected `5` (byte 2)"},
           {"(1", "refused: expected `)` before the end (byte 2)"},
           {"'abc", "refused: the string has no end (byte 0)"},
           {"12parsecs", "refused: not a number: `12parsecs` (units: ms s m h d, Ki Mi Gi Ti, %) (byte 0)"},
           {"a = b", "refused: unexpected character (byte 2)"},
           {"99999999999999999999", "refused: the number is too large (byte 0)"},
           {"'abc'.foo", "refused: a string has no members (byte 0)"}});
}

TEST(Expr, WrongValuesAreErrorsNotAnswers) {
    check({{"facts.pod.reason && true", "error: invalid_argument"},
           {"facts.pod.reason > 3", "error: invalid_argument"},
           {"target + 1", "error: invalid_argument"},
           {"size(params.count)", "error: invalid_argument"},
           {"facts.pod.ready + 1", "error: invalid_argument"}});
}

TEST(Expr, ConditionsAreYesNoOrUnknown) {
    const auto tested = [](std::string_view text) { return test(*compile(text), environment()); };
    EXPECT_EQ(*tested("facts.pod.restarts >= 3"), std::optional(true));
    EXPECT_EQ(*tested("facts.pod.ready"), std::optional(false));
    EXPECT_EQ(*tested("facts.pod.oom"), std::nullopt);
    EXPECT_FALSE(tested("3").has_value());
}

TEST(Expr, KnowsWhatItReads) {
    const auto program =
        compile("facts.a.b > params['x'] && steps['roll-back'].state == 'ok' && facts.list[facts.i] == now && [1].all(v, v > facts.c)");
    ASSERT_TRUE(program) << program.error().describe();
    EXPECT_EQ(program->reads(), (std::vector<std::string>{"facts.a.b", "facts.c", "facts.i", "facts.list", "params.x", "steps.roll-back.state"}));
}

TEST(Expr, NeverExceedsItsBudget) {
    Environment env = environment();
    json::Array many;
    for (int i = 0; i < 5'000; ++i) many.emplace_back(i);
    env.roots["many"] = many;
    const auto cost = evaluate(*compile("many.all(a, many.all(b, a + b >= 0))"), env);
    ASSERT_FALSE(cost);
    EXPECT_EQ(cost.error().code, ErrorCode::resource_exhausted);
    env.roots["long"] = std::string(400'000, 'x');
    const auto memory = evaluate(*compile("[1,2,3,4,5,6,7,8].map(i, long + long)"), env);
    ASSERT_FALSE(memory);
    EXPECT_EQ(memory.error().code, ErrorCode::resource_exhausted);
    EXPECT_FALSE(compile(std::string(200, '(') + "1" + std::string(200, ')')));
    std::string chain = "1";
    for (int i = 0; i < 1'000; ++i) chain += "+1";
    EXPECT_FALSE(compile(chain));
    EXPECT_TRUE(evaluate(*compile("long matches '(x+x+)+y'"), env, {.steps = 10'000}));
}

TEST(Template, WholeGivesTheValueEmbeddedGivesText) {
    const auto shown = [](std::string_view text) -> std::string {
        const auto compiled = compile_template(text);
        if (!compiled) return compiled.error().message + " (" + compiled.error().field + ")";
        const auto answer = evaluate(*compiled, environment());
        return !answer ? answer.error().message : answer->known() ? json::dump(*answer->value) : "unknown: " + answer->unknown;
    };
    EXPECT_EQ(shown("${ params.count }"), "3");
    EXPECT_EQ(shown("${target.kind}/${target.name} x${params.count}"), R"("Deployment/cart x3")");
    EXPECT_EQ(shown("plain"), R"("plain")");
    EXPECT_EQ(shown("$${not}"), R"("${not}")");
    EXPECT_EQ(shown("${ {'a': '}'}.a }"), R"("}")");
    EXPECT_EQ(shown("a ${facts.pod.oom}"), "unknown: facts.pod.oom");
    EXPECT_EQ(shown("ab ${ 1 + }"), "the expression ends too early (byte 10)");
    EXPECT_EQ(shown("${ 1"), "`${` has no `}` (byte 0)");
}

TEST(Template, ExpandsWholeDocumentsAndLeavesNullsOut) {
    const auto value = *json::parse(R"({"factor": "${params.factor}", "list": ["${params.count}", 5], "none": "${params.optional}", "kept": null})");
    EXPECT_EQ(json::canonical(*expand(value, environment())), R"({"factor":1.5E0,"kept":null,"list":[3,5]})");
    const auto unknown = expand(*json::parse(R"({"a": {"b": "${facts.pod.oom}"}})"), environment());
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().reason, "unknown");
    EXPECT_EQ(unknown.error().field, "a.b");
    const auto wrong = check_templates(*json::parse(R"({"a": ["x", "${ 1 + }"]})"));
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().field, "a[1], byte 7");
}

TEST(Quantity, ReadsWhatKubernetesWrites) {
    EXPECT_EQ(parse_quantity("128Mi"), 134217728.0);
    EXPECT_EQ(parse_quantity("250m"), 0.25);
    EXPECT_EQ(parse_quantity("1e3"), 1000.0);
    EXPECT_EQ(parse_quantity("2E"), 2e18);
    EXPECT_EQ(parse_quantity("1.5G"), 1.5e9);
    EXPECT_EQ(parse_quantity("Mi"), std::nullopt);
    EXPECT_EQ(parse_quantity("1Mib"), std::nullopt);
}
