#include <gtest/gtest.h>

#include "kubelet/command_line.hpp"
#include "kubernaut/sim/kubelet/behaviour.hpp"
#include "kubernaut/sim/kubelet/metrics.hpp"

namespace kn::sim {
namespace {

CommandEffect shell(std::string script) { return read_command({"/bin/sh", "-c", std::move(script)}, {}); }

TEST(CommandLine, ReadsExitsSleepsAndJoiners) {
    EXPECT_EQ(shell("exit 3").exit_code, 3);
    EXPECT_EQ(shell("sleep 5; exit 1").after, 5s);
    EXPECT_EQ(shell("false || exit 4").exit_code, 4);
    EXPECT_EQ(shell("true || exit 4").exit_code, 0);
    EXPECT_EQ(shell("true && false && exit 9").exit_code, 1);
    EXPECT_EQ(shell("echo 'a; b'\nexit 2").exit_code, 2);
    EXPECT_EQ(read_command({"false"}, {}).exit_code, 1);
    EXPECT_EQ(read_command({"sleep", "1m"}, {}).after, 1min);
}

TEST(CommandLine, LeavesAnUnknownProgramRunning) {
    EXPECT_FALSE(shell("sleep 2; exec /app/server --port 80").exit_code);
    EXPECT_FALSE(read_command({"/app/server"}, {"--verbose"}).exit_code);
    EXPECT_FALSE(read_command({}, {"exit", "1"}).exit_code);
    EXPECT_FALSE(read_command({"sleep", "infinity"}, {}).exit_code);
    EXPECT_TRUE(read_command({"/bin/does-not-exist"}, {}).start_error);
}

TEST(ImageName, SplitsAsTheKubeletDoes) {
    const auto full = ImageName::parse("registry.example:5000/shop/cart:1.2");
    ASSERT_TRUE(full);
    EXPECT_EQ(full->host, "registry.example:5000");
    EXPECT_EQ(full->repository, "shop/cart");
    EXPECT_EQ(full->tag, "1.2");
    EXPECT_EQ(ImageName::parse("nginx")->repository, "library/nginx");
    EXPECT_EQ(ImageName::parse("nginx")->tag, "latest");
    EXPECT_FALSE(ImageName::parse("registry.example/Cart:1"));
    EXPECT_FALSE(ImageName::parse("a b"));
    EXPECT_FALSE(ImageName::parse("cart:"));
}

TEST(BehaviourBook, KnowsWhatExistsAndWhoMayPull) {
    BehaviourBook book;
    ASSERT_TRUE(book.load_yaml(R"(
registries:
  open.example: {}
  closed.example: {closed: true, tags: {shop/cart: ["1.*"]}}
  private.example: {private: true}
)"));
    EXPECT_EQ(book.pull("open.example/x:1", {}), PullVerdict::ok);
    EXPECT_EQ(book.pull("unheard-of.example/x:1", {}), PullVerdict::ok);
    EXPECT_EQ(book.pull("closed.example/shop/cart:1.9", {}), PullVerdict::ok);
    EXPECT_EQ(book.pull("closed.example/shop/cart:2.0", {}), PullVerdict::not_found);
    EXPECT_EQ(book.pull("closed.example/shop/other:1.0", {}), PullVerdict::not_found);
    book.add_image("closed.example/shop/cart:2.0");
    EXPECT_EQ(book.pull("closed.example/shop/cart:2.0", {}), PullVerdict::ok);
    EXPECT_EQ(book.pull("private.example/x:1", {}), PullVerdict::unauthorized);
    EXPECT_EQ(book.pull("private.example/x:1", {R"({"auths":{"private.example":{}}})"}), PullVerdict::ok);
    EXPECT_EQ(book.pull("private.example/x:1", {R"({"auths":{"else.example":{}}})"}), PullVerdict::unauthorized);
    book.registry("open.example").down = true;
    EXPECT_EQ(book.pull("open.example/x:1", {}), PullVerdict::unavailable);
    EXPECT_EQ(book.pull("Not Valid", {}), PullVerdict::invalid_name);
}

TEST(BehaviourBook, AppliesEveryMatchingRuleInOrder) {
    BehaviourBook book;
    ASSERT_TRUE(book.load_yaml(R"(
behaviours:
  - {name: all, match: {image: "*/cart:*"}, run: {startup: 9s, cpu: 0.5}}
  - {name: broken, match: {image: "*/cart:*", config: {object: ConfigMap/cart, key: a.conf, contains: "pool=-"}}, run: {exit: {code: 2, after: 3s}}}
)"));
    ContainerView view{.image = "r.example/cart:1"};
    EXPECT_EQ(book.behaviour_of(view).startup, 9s);
    EXPECT_FALSE(book.behaviour_of(view).exit_code);
    view.config["ConfigMap/cart/a.conf"] = "pool=-1";
    EXPECT_EQ(book.behaviour_of(view).exit_code, 2);
    EXPECT_EQ(book.behaviour_of(view).startup, 9s);
    book.remove_rule("broken");
    EXPECT_FALSE(book.behaviour_of(view).exit_code);
}

TEST(BehaviourBook, StopsAnyProgramWhoseConfigurationDoesNotParse) {
    const BehaviourBook book;
    ContainerView view{.image = "r.example/any:1"};
    view.config["ConfigMap/c/app.yaml"] = "workers: 4\n";
    EXPECT_FALSE(book.behaviour_of(view).exit_code);
    view.config["ConfigMap/c/app.yaml"] = "workers: [4\n";
    EXPECT_EQ(book.behaviour_of(view).exit_code, 1);
}

TEST(BehaviourBook, RefusesWhatItDoesNotKnowAndSaysWhere) {
    BehaviourBook book;
    const auto wrong = book.load_yaml("behaviours: [{match: {}, run: {exitt: {code: 1}}}]");
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().message.find("exitt"), std::string::npos);
    EXPECT_FALSE(book.load_yaml("behaviours: [{run: {startup: soon}}]"));
    EXPECT_FALSE(book.load_yaml("registry: {}"));
}

TEST(MemoryCurve, FindsWhenALimitIsReached) {
    const MemoryCurve leak{.start = 100, .base = 100, .ramp = 1s, .growth = 10};
    EXPECT_NEAR(static_cast<double>(leak.reaches(200)->count()), 10'000, 100);
    const MemoryCurve flat{.start = 10, .base = 100, .ramp = 10s, .growth = 0};
    EXPECT_FALSE(flat.reaches(101));
    EXPECT_NEAR(static_cast<double>(flat.reaches(55)->count()), 10'000, 100);
    EXPECT_EQ(flat.reaches(5), 0ms);
}

TEST(Metrics, ComputesSeriesFromLives) {
    constexpr Instant t0{1'000'000'000s};
    Metrics metrics;
    const Labels id{{"namespace", "shop"}, {"pod", "cart-1"}, {"container", "app"}};
    metrics.container_started(id, t0, {.start = 100, .base = 100, .ramp = 1s, .growth = 10}, 0.5, 1000);
    metrics.container_ended(id, t0 + 50s);
    metrics.container_started(id, t0 + 60s, {.start = 100, .base = 100, .ramp = 1s, .growth = 10}, 0.5, 1000);
    const auto series = metrics.query("container_memory_working_set_bytes", {{"namespace", "shop"}}, t0, t0 + 100s, 10s);
    ASSERT_TRUE(series);
    ASSERT_EQ(series->size(), 1U);
    ASSERT_EQ(series->front().samples.size(), 10U);  // none at 50 s: nothing ran
    EXPECT_DOUBLE_EQ(series->front().samples[4].value, 500);
    EXPECT_DOUBLE_EQ(series->front().samples[5].value, 100);
    EXPECT_FALSE(metrics.query("container_memory_working_set_bytes", {}, t0, t0 - 1s, 1s));
    EXPECT_FALSE(metrics.query("container_memory_working_set_bytes", {}, t0, t0 + 24h, 1s));
    EXPECT_NE(metrics.text(t0 + 70s).find("container_memory_working_set_bytes{container=\"app\",namespace=\"shop\",pod=\"cart-1\"} 200"),
              std::string::npos);
}

TEST(Metrics, FillsAVolumeUpToItsCapacityAndGrowsWithIt) {
    constexpr Instant t0{1'000'000'000s};
    Metrics metrics;
    metrics.set_volume_capacity("data", "c", t0, 1000);
    metrics.set_volume_use("data", "c", {.used = 500, .growth = 1, .since = t0});
    EXPECT_DOUBLE_EQ(metrics.volume_used("data", "c", t0 + 100s), 600);
    EXPECT_DOUBLE_EQ(metrics.volume_used("data", "c", t0 + 1000s), 1000);
    metrics.set_volume_capacity("data", "c", t0 + 200s, 2000);
    EXPECT_DOUBLE_EQ(metrics.volume_capacity("data", "c", t0 + 100s), 1000);
    EXPECT_DOUBLE_EQ(metrics.volume_used("data", "c", t0 + 1000s), 1500);
}

}  // namespace
}  // namespace kn::sim
