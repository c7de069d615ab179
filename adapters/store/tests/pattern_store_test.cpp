#include "kubernaut/ports/pattern_store.hpp"
#include "contract.hpp"

namespace kn::store_test {
namespace {

class PatternStoreContract : public StoreContract {
protected:
    ports::PatternStore& patterns() { return stores_->ports().patterns; }
    std::int64_t epoch_of(const std::string& owner, Instant now = t0) { return must(patterns().lead(owner, now, now + 1min, soon())); }

    static PatternRecord a_pattern(int n, std::string scope, double confidence, PatternStatus status = PatternStatus::active) {
        PatternRecord record;
        record.pattern.id = "pattern-" + std::to_string(n);
        record.pattern.kind = n % 2 == 0 ? PatternKind::recurrence : PatternKind::forecast;
        record.pattern.scope = std::move(scope);
        record.pattern.subject = "job.failed at batch/CronJob/export";
        record.pattern.key = "daily";
        record.pattern.claim = "it comes back daily around 02:15 UTC";
        record.pattern.confidence = confidence;
        record.pattern.raw = 0.75;
        record.pattern.support = 12;
        record.pattern.first_seen = t0;
        record.pattern.last_seen = t0 + 1h;
        record.pattern.next_expected = TimeWindow{t0 + 24h, t0 + 25h};
        record.pattern.evidence = {"inc_1", "inc_2"};
        record.pattern.status = status;
        record.pattern.provenance = {.analyzer = "recurrence", .version = 1, .basic = n == 3};
        record.pattern.detail = json::Object{{"period_seconds", 86'400}};
        record.confirmed = 4;
        record.predicted_at = t0 + 2h;
        return record;
    }
    static EarlyWarning a_warning(int n, WarningOutcome outcome) {
        EarlyWarning warning;
        warning.id = id("wrn_", n);
        warning.cluster = eu1;
        warning.pattern = a_pattern(1, "cluster/eu1", 0.9).pattern;
        warning.name = "VolumeRunwayShort";
        warning.target = "eu1/shop/PersistentVolumeClaim/data";
        warning.raised_at = t0 + Duration{n * 1000};
        warning.window = {t0 + 1h, t0 + 3h};
        warning.outcome = outcome;
        return warning;
    }
};

TEST_P(PatternStoreContract, KeepsPatternsWithEverythingThatIsKnownOfThem) {
    const auto epoch = epoch_of("a");
    must(patterns().commit({.owner = "a", .epoch = epoch, .patterns = {a_pattern(1, "cluster/eu1", 0.7), a_pattern(2, "fleet", 0.9)}}, soon()));
    reopen();
    if (!database_.durable()) return;
    const auto one = must(patterns().get("pattern-1", soon()));
    EXPECT_EQ(json::canonical(to_json(one)), json::canonical(to_json(a_pattern(1, "cluster/eu1", 0.7))));
    EXPECT_EQ(error_of(patterns().get("nobody", soon())).code, ErrorCode::not_found);
}

TEST_P(PatternStoreContract, ListsTheMostConfidentFirstByClusterKindAndStatusAndByPages) {
    const auto epoch = epoch_of("a");
    auto quiet = a_pattern(6, "cluster/eu1", 0.99);
    quiet.shadow = true;
    must(patterns().commit({.owner = "a",
                            .epoch = epoch,
                            .patterns = {a_pattern(1, "cluster/eu1", 0.7), a_pattern(2, "fleet", 0.9), a_pattern(3, "cluster/us1", 0.8),
                                         a_pattern(4, "cluster/eu1", 0.95, PatternStatus::retired), a_pattern(5, "cluster/eu1", 0.2), quiet}},
                           soon()));
    const auto ids = [](const auto& page) {
        std::string all;
        for (const auto& item : page.items) all += item.pattern.id.substr(8) + " ";
        return all;
    };
    EXPECT_EQ(ids(must(patterns().list({}, {}, soon()))), "2 3 1 5 ");
    EXPECT_EQ(ids(must(patterns().list({.cluster = "eu1"}, {}, soon()))), "1 5 ");
    EXPECT_EQ(ids(must(patterns().list({.cluster = "_fleet"}, {}, soon()))), "2 ");
    EXPECT_EQ(ids(must(patterns().list({.kind = "forecast"}, {}, soon()))), "3 1 5 ");
    EXPECT_EQ(ids(must(patterns().list({.status = {PatternStatus::retired}}, {}, soon()))), "4 ");
    EXPECT_EQ(ids(must(patterns().list({.shadow = true}, {}, soon()))), "6 ");
    const auto first = must(patterns().list({}, {.limit = 3}, soon()));
    EXPECT_EQ(ids(first), "2 3 1 ");
    EXPECT_EQ(ids(must(patterns().list({}, {.limit = 3, .cursor = first.next}, soon()))), "5 ");
    must(patterns().commit({.owner = "a", .epoch = epoch, .patterns = {a_pattern(5, "cluster/eu1", 0.97)}, .forgotten = {"pattern-2"}}, soon()));
    EXPECT_EQ(ids(must(patterns().list({}, {}, soon()))), "5 3 1 ");
}

TEST_P(PatternStoreContract, KeepsTheStateOfAnAnalyzerByteForByte) {
    const auto epoch = epoch_of("a");
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    must(patterns().commit({.owner = "a", .epoch = epoch, .states = {{eu1, "stream/x%_", bytes, t0}, {us1, "analyzer/chain", "{}", t0}}}, soon()));
    must(patterns().commit({.owner = "a", .epoch = epoch, .states = {{us1, "analyzer/chain", "", t0 + 1s}}}, soon()));
    const auto streams = must(patterns().states("stream/", soon()));
    ASSERT_EQ(streams.size(), 1U);
    EXPECT_EQ(streams[0].bytes, bytes);
    EXPECT_EQ(streams[0].cluster, eu1);
    const auto analyzers = must(patterns().states("analyzer/", soon()));
    ASSERT_EQ(analyzers.size(), 1U);
    EXPECT_EQ(analyzers[0].bytes, "");
    EXPECT_EQ(analyzers[0].updated_at, t0 + 1s);
    EXPECT_EQ(must(patterns().states("", soon())).size(), 2U);
}

TEST_P(PatternStoreContract, ListsWarningsNewestFirstAndByWhatCameOfThem) {
    const auto epoch = epoch_of("a");
    must(patterns().commit(
        {.owner = "a", .epoch = epoch, .warnings = {a_warning(1, WarningOutcome::open), a_warning(2, WarningOutcome::false_alarm)}}, soon()));
    auto judged = a_warning(1, WarningOutcome::came_true);
    judged.incident = "inc_x";
    judged.judged_at = judged.happened_at = t0 + 2h;
    must(patterns().commit({.owner = "a", .epoch = epoch, .warnings = {judged}}, soon()));
    const auto all = must(patterns().warnings({}, {}, soon()));
    ASSERT_EQ(all.items.size(), 2U);
    EXPECT_EQ(all.items[0].id, a_warning(2, WarningOutcome::open).id);
    EXPECT_EQ(json::canonical(to_json(all.items[1])), json::canonical(to_json(judged)));
    EXPECT_EQ(must(patterns().warnings({.outcomes = {WarningOutcome::came_true}}, {}, soon())).items.size(), 1U);
    EXPECT_TRUE(must(patterns().warnings({.outcomes = {WarningOutcome::open}}, {}, soon())).items.empty());
    EXPECT_EQ(must(patterns().warnings({.incident = "inc_x"}, {}, soon())).items.size(), 1U);
}

TEST_P(PatternStoreContract, OneHubLeadsTheDiscoveryAndALateWriteOfTheOneBeforeIsRefused) {
    const auto first = epoch_of("a");
    EXPECT_EQ(epoch_of("a", t0 + 30s), first);  // renewed
    EXPECT_EQ(error_of(patterns().lead("b", t0 + 40s, t0 + 2min, soon())).reason, "busy");
    const auto second = must(patterns().lead("b", t0 + 2min, t0 + 3min, soon()));
    EXPECT_GT(second, first);
    EXPECT_EQ(error_of(patterns().commit({.owner = "a", .epoch = first, .patterns = {a_pattern(1, "fleet", 1)}}, soon())).code, ErrorCode::aborted);
    EXPECT_TRUE(must(patterns().list({}, {}, soon())).items.empty());
    must(patterns().commit({.owner = "b", .epoch = second, .patterns = {a_pattern(1, "fleet", 1)}}, soon()));
    EXPECT_EQ(must(patterns().list({}, {}, soon())).items.size(), 1U);
}

TEST_P(PatternStoreContract, RetentionTakesOldPatternsAndJudgedWarnings) {
    const auto epoch = epoch_of("a");
    auto old = a_pattern(1, "cluster/eu1", 0.9);
    old.pattern.last_seen = from_millis(1000);
    auto gone = a_warning(1, WarningOutcome::false_alarm), open = a_warning(2, WarningOutcome::open);
    gone.raised_at = open.raised_at = from_millis(1000);
    auto fresh = a_pattern(2, "cluster/eu1", 0.5);
    fresh.pattern.last_seen = loop_->clock().now();
    must(patterns().commit({.owner = "a", .epoch = epoch, .patterns = {old, fresh}, .warnings = {gone, open}}, soon()));
    EXPECT_EQ(must(stores_->retain({}, 100, soon())), 2);
    EXPECT_EQ(must(patterns().list({}, {}, soon())).items.size(), 1U);
    EXPECT_EQ(must(patterns().warnings({}, {}, soon())).items.size(), 1U);
}

KN_EVERY_STORE(PatternStoreContract);

}  // namespace
}  // namespace kn::store_test
