#include <gtest/gtest.h>

#include "kubernaut/base/ids.hpp"
#include "kubernaut/expr/expr.hpp"

using namespace kn;
using namespace kn::expr;

namespace {

/// Random expressions, most of them well formed, some spoilt.
class Maker {
public:
    explicit Maker(std::uint64_t seed) : random_(seed) {}
    std::string expression(int depth) {
        if (depth <= 0)
            return pick({"1",
                         "0",
                         "2.5",
                         "true",
                         "false",
                         "null",
                         "'a'",
                         "facts.x",
                         "facts.missing",
                         "facts.list",
                         "facts.list[1]",
                         "5m",
                         "now",
                         "[]",
                         "facts.map",
                         "10%",
                         "64Mi",
                         "v",
                         "9223372036854775807",
                         "-9223372036854775807",
                         "'5m'",
                         "facts.text"});
        const auto inner = [this, depth] { return expression(depth - 1 - static_cast<int>(random_.next() % 2)); };
        switch (random_.next() % 9) {
            case 0: return "!" + inner();
            case 1: return "-" + inner();
            case 2:
            case 3:
            case 4:
                return "(" + inner() + " " + pick({"+", "-", "*", "/", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "matches"}) + " " +
                       inner() + ")";
            case 5: return "(" + inner() + " ? " + inner() + " : " + inner() + ")";
            case 6: return pick({"size", "abs", "known", "age", "duration", "quantity", "timestamp", "min", "coalesce"}) + "(" + inner() + ")";
            case 7: return "(" + inner() + ")." + pick({"all", "exists", "map", "filter"}) + "(v, " + inner() + ")";
            default: return "[" + inner() + ", " + inner() + "]" + pick({"", "[0]", "[-1]", "['k']", ".size()"});
        }
    }
    std::string spoil(std::string text) {
        if (!text.empty() && random_.next() % 4 == 0) text[random_.next() % text.size()] = "(){}[]'\"\\.,!&|%$\0\xff"[random_.next() % 18];
        return text;
    }

private:
    std::string pick(std::initializer_list<const char*> words) { return *(words.begin() + random_.next() % words.size()); }
    SeededRandom random_;
};

}  // namespace

TEST(ExprProperties, NothingThrowsOrRunsAwayWhateverTheText) {
    Environment env;
    env.roots =
        json::parse(R"({"facts": {"x": 3, "list": [1, "a", null, [2]], "map": {"k": 1, "v": {"w": 2}}, "text": "some text 5m"}})")->as_object();
    const std::uint64_t seed = 20260301;
    std::size_t answered = 0, refused = 0;
    for (std::uint64_t i = 0; i < 30'000; ++i) {
        SCOPED_TRACE(testing::Message() << "seed " << seed + i);
        Maker maker(seed + i);
        const std::string text = maker.spoil(maker.expression(static_cast<int>(i % 5)));
        const auto program = compile(text);
        if (!program) {
            ++refused;
            EXPECT_TRUE(program.error().field.starts_with("byte ")) << text;
            continue;
        }
        const auto answer = evaluate(*program, env, {.steps = 2'000, .bytes = 64 * 1024});
        if (answer) ++answered;
        // The same text means the same, and reading it once more changes nothing.
        const auto again = evaluate(*compile(text), env, {.steps = 2'000, .bytes = 64 * 1024});
        ASSERT_EQ(answer.has_value(), again.has_value()) << text;
        if (answer) EXPECT_EQ(answer->value, again->value) << text;
    }
    EXPECT_GT(answered, 5'000U);
    EXPECT_GT(refused, 1'000U);
}

TEST(ExprProperties, MoreKnowledgeNeverTurnsAnAnswerRound) {
    // Monotony of the three-valued logic: what is decided with less known stays decided with more.
    const std::uint64_t seed = 77;
    const char* names[] = {"a", "b", "c"};
    for (std::uint64_t i = 0; i < 5'000; ++i) {
        SeededRandom random(seed + i);
        std::string text = names[random.next() % 3];
        for (int k = 0; k < 5; ++k) {
            const std::string name = names[random.next() % 3];
            const std::string other = random.next() % 2 ? "!" + name : name;
            text = random.next() % 2 ? "(" + text + ") && " + other : "!(" + text + ") || " + other;
        }
        const auto program = compile(text);
        ASSERT_TRUE(program) << text;
        Environment less, more;
        for (const char* name : names) {
            const bool value = random.next() % 2 == 0;
            more.roots[name] = value;
            if (random.next() % 2 == 0) less.roots[name] = value;
        }
        const auto before = *test(*program, less), after = *test(*program, more);
        ASSERT_TRUE(after.has_value());
        if (before) EXPECT_EQ(*before, *after) << text << " seed " << seed + i;
    }
}
