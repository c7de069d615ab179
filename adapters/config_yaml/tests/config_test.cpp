#include "kubernaut/config/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kn::config {
namespace {

using testing::HasSubstr;

std::string all(const Loaded& loaded) {
    std::string text;
    for (const Error& error : loaded.problems) text += error.describe() + "\n";
    return text;
}

TEST(Config, DefaultsLoadAndTheDefaultFileLoadsBackToThem) {
    const Loaded empty = load("", {});
    EXPECT_EQ(all(empty), "");
    const Loaded again = load(default_yaml(), {});
    EXPECT_EQ(all(again), "") << default_yaml();
    const auto a = explain(empty.config), b = explain(again.config);
    ASSERT_EQ(a.size(), b.size());
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].value, b[i].value) << a[i].path;
}

TEST(Config, TellsAllErrorsAtOnceWithLineAndPath) {
    const Loaded loaded =
        load("http:\n  listn: x\nguard:\n  mode: sometimes\n  cooldown: {ok: 5}\nclusters:\n- {id: Bad_Id, kubeconfig: k}\n- {id: a}\n", {});
    const std::string text = all(loaded);
    EXPECT_THAT(text, HasSubstr("line 2, http.listn: unknown key \"listn\" (did you mean http.listen?)"));
    EXPECT_THAT(text, HasSubstr("line 4, guard.mode: one of off"));
    EXPECT_THAT(text, HasSubstr("line 5, guard.cooldown.ok: a duration such as 30s expected, not a number"));
    EXPECT_THAT(text, HasSubstr("line 7, clusters[0].id"));
    EXPECT_THAT(text, HasSubstr("line 8, clusters[1]: say how to reach it"));
}

TEST(Config, EnvironmentOverridesTheFile) {
    const Loaded loaded = load("http: {listen: \"1.2.3.4:1\"}",
                               {{"KUBERNAUT_HTTP_LISTEN", "127.0.0.1:9000"}, {"KUBERNAUT_GUARD_MODE", "off"}, {"KUBERNAUT_STORE_POOL_MAX", "x"}});
    EXPECT_EQ(loaded.config.http.listen, "127.0.0.1:9000");
    EXPECT_EQ(loaded.config.guard.mode, Mode::off);
    EXPECT_THAT(all(loaded), HasSubstr("environment KUBERNAUT_STORE_POOL_MAX"));
}

TEST(Config, ModeComesFromClusterThenProfileThenEnvironmentThenGuard) {
    const Loaded loaded = load(
        "profiles: {careful: {mode: observe}}\nclusters:\n- {id: a, in_cluster: true, environment: dev}\n- {id: b, in_cluster: true, environment: dev, profile: careful}\n"
        "- {id: c, in_cluster: true, environment: prod, mode: auto}\n- {id: d, in_cluster: true}\n",
        {});
    ASSERT_EQ(all(loaded), "");
    EXPECT_EQ(loaded.config.mode_of(loaded.config.clusters[0]), Mode::automatic);
    EXPECT_EQ(loaded.config.mode_of(loaded.config.clusters[1]), Mode::observe);
    EXPECT_EQ(loaded.config.mode_of(loaded.config.clusters[2]), Mode::automatic);
    EXPECT_EQ(loaded.config.mode_of(loaded.config.clusters[3]), Mode::shadow);
}

TEST(Config, RefusesInsecureTlsInProductionAndEmptyTokens) {
    const std::string text = all(load(
        "auth: {tokens: [{name: ann, token: \"\"}]}\nclusters: [{id: a, server: \"https://x\", environment: prod, insecure_skip_tls_verify: true}]",
        {}));
    EXPECT_THAT(text, HasSubstr("empty token"));
    EXPECT_THAT(text, HasSubstr("refused for prod"));
}

TEST(Config, SecretsComeFromEnvironmentAndFiles) {
    EXPECT_EQ(resolve_secret("secret://env/T", {{"T", "v"}}).value(), "v");
    EXPECT_FALSE(resolve_secret("secret://env/T", {}));
    EXPECT_FALSE(resolve_secret("secret://vault/x", {}));
    EXPECT_EQ(resolve_secret("plain", {}).value(), "plain");
}

TEST(Config, ScopeIsOptOutOrOptIn) {
    EXPECT_EQ(all(load("guard: {scope: opt_in}", {})), "");
    EXPECT_THAT(all(load("guard: {scope: some}", {})), HasSubstr("opt_out or opt_in expected"));
}

TEST(Config, AnalyzersAreWordsWithAShareAndBareOnAndOffAreTaken) {
    const Loaded loaded = load("patterns: {timeseries: on, forecast: \"on 25%\", clustering: shadow, anomaly: off, sequence: \"shadow 5%\"}", {});
    EXPECT_EQ(all(loaded), "");
    const auto& p = loaded.config.patterns;
    EXPECT_EQ(p.timeseries.mode, "on");
    EXPECT_EQ(p.forecast.percent, 25);
    EXPECT_EQ(p.clustering.mode, "shadow");
    EXPECT_EQ(p.anomaly.mode, "off");
    EXPECT_EQ(p.sequence.mode + std::to_string(p.sequence.percent), "shadow5");
    for (const char* wrong : {"patterns: {forecast: sometimes}", "patterns: {forecast: \"on 101%\"}", "patterns: {forecast: \"on %\"}"})
        EXPECT_THAT(all(load(wrong, {})), HasSubstr("patterns.forecast: off, shadow or on expected")) << wrong;
}

TEST(Config, ASeriesOfPatternsNeedsAQueryAndALimitThatFits) {
    EXPECT_EQ(all(load("patterns: {series: [{name: disk, query: used, limit_query: size, limit: 0.9, warn: DiskRunwayShort}]}", {})), "");
    EXPECT_THAT(all(load("patterns: {series: [{name: disk}]}", {})), HasSubstr("\"query\" is missing"));
    EXPECT_THAT(all(load("patterns: {series: [{name: disk, query: used, limit_query: size, limit: 90}]}", {})), HasSubstr("a share of it"));
    EXPECT_THAT(all(load("patterns: {series: [{name: disk, query: used, warn: X}]}", {})), HasSubstr("a warning needs a limit"));
}

TEST(Config, SizesNeedAUnit) {
    EXPECT_EQ(parse_size("10MiB").value(), 10 << 20);
    EXPECT_FALSE(parse_size("10"));
    EXPECT_FALSE(parse_size("MiB"));
}

}  // namespace
}  // namespace kn::config
