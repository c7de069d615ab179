// Early warnings: ahead of the alert, few, marked, and judged by what came.
#include "bed.hpp"

namespace kn::discovery {
namespace {

class EarlyWarnings : public Bed {
protected:
    void link_incident(const EarlyWarning& warning, const Incident& incident) {
        // What the correlator does.
        auto signals = must(stores->ports().signals.by_fingerprint(warning.cluster, warning.alert_fp, monday, soon()));
        ASSERT_FALSE(signals.empty());
        for (auto& signal : signals) signal.incident = incident.id, signal.state = SignalState::correlated;
        must(stores->ports().incidents.commit({.signals = signals}, soon()));
    }
};

TEST_F(EarlyWarnings, AVolumeThatFillsUpIsForetoldMarkedAndJudgedTrueWithItsLead) {
    filling("data", 10, 0.6);  // 85 after 125 hours
    move_to(60 * hour);
    const auto job = make();
    EXPECT_EQ(must(job->run_once()).warned, 1);
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].source, SignalSource::pattern);
    EXPECT_EQ(sent[0].name, "VolumeRunwayShort");
    EXPECT_EQ(sent[0].labels.at("kubernaut_forecast"), "true");
    EXPECT_EQ(sent[0].labels.at("persistentvolumeclaim"), "data");
    EXPECT_NE(sent[0].annotations.at("summary").find("forecast"), std::string::npos);
    auto open = warnings();
    ASSERT_EQ(open.size(), 1U);
    EXPECT_EQ(open[0].outcome, WarningOutcome::open);
    EXPECT_GE(open[0].pattern.confidence, 0.8);
    EXPECT_LT(open[0].window.from, monday + seconds(125 * hour));
    EXPECT_GT(open[0].window.to, monday + seconds(125 * hour));
    // One pattern, one warning, however often it is seen.
    for (int i = 0; i < 5; ++i) {
        loop->run_for(3h);
        EXPECT_EQ(must(job->run_once()).warned, 0);
    }
    move_to(126 * hour);
    EXPECT_EQ(must(job->run_once()).judged, 1);
    const auto judged = warnings();
    EXPECT_EQ(judged[0].outcome, WarningOutcome::came_true);
    ASSERT_TRUE(judged[0].lead_seconds());
    EXPECT_NEAR(*judged[0].lead_seconds(), 65 * hour, 2 * hour);
    EXPECT_EQ(sent.back().status, SignalStatus::resolved);
    EXPECT_EQ(sent.back().alert_fp, sent.front().alert_fp);
    EXPECT_EQ(metrics.counter("kubernaut_early_warnings_total", "", {{"cluster", "eu1"}, {"kind", "forecast"}, {"result", "came_true"}}).value(), 1);
}

TEST_F(EarlyWarnings, FalseAlarmsLowerTheConfidenceUntilThePatternIsSilent) {
    // Every disk fills for two and a half days and is then swept: what is foretold never comes.
    double last = 1;
    int warned = 0;
    for (int d = 0; d < 8; ++d) {
        const std::string claim = "d" + std::to_string(d);
        curves.curves.push_back({"eu1", "capacity", claim, [](Instant) { return 100.0; }});
        curves.curves.push_back({"eu1", "used", claim, [d](Instant at) {
                                     const double h = std::chrono::duration<double>(at - monday).count() / hour - 7 * 24 * d;
                                     return h < 0 ? std::nan("") : h > 62 ? 10.0 + 0.01 * std::sin(h) : 10 + 0.6 * h + 0.05 * std::sin(h * 1.7);
                                 }});
    }
    options.again = 0s;
    options.window = 6 * 24h;
    const auto job = make();
    for (int d = 0; d < 8; ++d) {
        move_to(7 * day * d + 60 * hour);
        warned += must(job->run_once()).warned;
        for (const auto& record : all())
            if (record.pattern.kind == PatternKind::forecast && record.pattern.subject.find("d" + std::to_string(d)) != std::string::npos) {
                EXPECT_LE(record.pattern.confidence, last + 0.02) << d;
                last = record.pattern.confidence;
            }
        move_to(7 * day * d + 6.9 * day);
        must(job->run_once());
    }
    EXPECT_LT(last, 0.8);
    EXPECT_GE(warned, 1);
    EXPECT_LT(warned, 8);
    for (const auto& warning : warnings()) EXPECT_EQ(warning.outcome, WarningOutcome::false_alarm) << warning.note;
}

TEST_F(EarlyWarnings, WhatWasDoneAboutItInTimeCountsNeitherWay) {
    filling("data", 10, 0.6);
    move_to(60 * hour);
    const auto job = make();
    must(job->run_once());
    auto incident = add_incident(60 * hour + 10, "pvc.nearly_full", "StatefulSet", "db");
    link_incident(warnings().at(0), incident);
    Execution run;
    run.id = ExecutionId(make_id("exe_", now(), random));
    run.cluster = ClusterId("eu1");
    run.incident = incident.id;
    run.plan.workflow = "expand-volume";
    run.plan.target.key = incident.target.key;
    run.definition = json::Value(json::Object{});
    run.state = ExecutionState::queued;
    run.created_at = run.updated_at = now();
    must(stores->ports().executions.start({.execution = run, .locks = {}, .locks_until = now() + 1h}, soon()));
    auto claimed = must(stores->ports().executions.claim("w", now(), 15s, 1, soon()));
    ASSERT_EQ(claimed.size(), 1U);
    run = claimed[0].execution;
    run.state = ExecutionState::running;
    run.started_at = run.touched_at = now();
    must(stores->ports().executions.commit({.execution = run}, soon()));
    for (auto& curve : curves.curves)
        if (curve.query == "capacity") curve.value = [](Instant) { return 300.0; };
    loop->run_for(1h);
    EXPECT_EQ(must(job->run_once()).judged, 1);
    EXPECT_EQ(warnings().at(0).outcome, WarningOutcome::averted);
    // The incident that only the forecast opened is no failure of the past.
    EXPECT_EQ(job->last().incidents, 0U);
    move_to(200 * hour);
    must(job->run_once());
    for (const auto& record : all({.status = {PatternStatus::candidate, PatternStatus::active, PatternStatus::fading, PatternStatus::retired}}))
        EXPECT_EQ(record.refuted, 0) << record.pattern.claim;
}

TEST_F(EarlyWarnings, ARecurringFailureIsAnnouncedShortlyBeforeAndJudgedByItsWindow) {
    // Enough clusters that the confidence has grown: each night is a check.
    for (const char* name : {"eu1", "us1"}) nightly(30, name);
    options.least_confidence = 0.5;
    const auto job = make();
    for (int d = 24; d < 30; ++d) {
        move_to(d * day + 12 * hour);
        must(job->run_once());
    }
    EXPECT_TRUE(sent.empty()) << "half a day ahead is too early";
    move_to(30 * day + 1.7 * hour);
    EXPECT_EQ(must(job->run_once()).warned, 2);
    EXPECT_EQ(sent[0].name, "RecurrenceExpected");
    EXPECT_EQ(sent[0].labels.at("cronjob"), "export");
    EXPECT_EQ(sent[0].labels.at("namespace"), "shop");
    (void)add_incident(30 * day + 2.25 * hour, "job.failed", "CronJob", "export", "eu1");
    move_to(30 * day + 12 * hour);
    EXPECT_EQ(must(job->run_once()).judged, 2);
    for (const auto& warning : warnings())
        EXPECT_EQ(warning.outcome, warning.cluster == ClusterId("eu1") ? WarningOutcome::came_true : WarningOutcome::false_alarm) << warning.note;
}

TEST_F(EarlyWarnings, AreFewHoweverMuchFillsUpAndNoneInAStorm) {
    for (int i = 0; i < 30; ++i) filling("c" + std::to_string(i), 10 + 0.1 * i, 0.6);
    move_to(60 * hour);
    const auto job = make();
    EXPECT_EQ(must(job->run_once()).warned, 3);
    for (int i = 0; i < 8; ++i) {
        loop->run_for(5min);
        must(job->run_once());
    }
    EXPECT_EQ(warnings().size(), 10U);
    loop->run_for(2h);
    for (int i = 0; i < 25; ++i)
        (void)add_incident(std::chrono::duration<double>(now() - monday).count(), "image.not_found", "Deployment", "d" + std::to_string(i));
    EXPECT_EQ(must(job->run_once()).warned, 0) << "people have enough to do";
    loop->run_for(2min);
    EXPECT_EQ(must(job->run_once()).warned, 3);
}

TEST_F(EarlyWarnings, AWarningThatWasStoredAndNotSentIsSentByTheNextRun) {
    filling("data", 10, 0.6);
    move_to(60 * hour);
    const auto job = make();
    refuse = true;
    EXPECT_FALSE(loop->block_on(job->run_once()));
    EXPECT_EQ(warnings().size(), 1U);
    EXPECT_TRUE(sent.empty());
    refuse = false;
    loop->run_for(15min);
    must(job->run_once());
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent[0].starts_at, warnings().at(0).raised_at);
    loop->run_for(15min);
    must(job->run_once());
    EXPECT_EQ(sent.size(), 1U) << "and only once";
}

TEST_F(EarlyWarnings, AreOffWhenTheyAreSwitchedOffAndPatternsInShadowNeverWarn) {
    filling("data", 10, 0.6);
    move_to(60 * hour);
    options.warnings = false;
    EXPECT_EQ(must(make("a")->run_once()).warned, 0);
    options.warnings = true;
    options.engine.analyzers["forecast"] = {.flag = patterns::Flag::shadow};
    loop->run_for(2h);
    EXPECT_EQ(must(make("b")->run_once()).warned, 0);
    EXPECT_TRUE(warnings().empty());
}

TEST_F(EarlyWarnings, SteadyAndNoisySeriesAreNotForetoldToFill) {
    const auto salt = new_seed();
    SCOPED_TRACE("KN_SEED=" + std::to_string(salt));
    for (int i = 0; i < 40; ++i) {
        curves.curves.push_back({"eu1", "capacity", "c" + std::to_string(i), [](Instant) { return 100.0; }});
        curves.curves.push_back({"eu1", "used", "c" + std::to_string(i), [i, salt](Instant at) {
                                     SeededRandom noise(static_cast<std::uint64_t>(to_millis(at)) + static_cast<std::uint64_t>(i) * 7919 + salt);
                                     return 50 + (i % 4) * 5 + 8 * (noise.unit() - 0.5);
                                 }});
    }
    move_to(5 * day);
    const auto job = make();
    for (int i = 0; i < 6; ++i) {
        must(job->run_once());
        loop->run_for(4h);
    }
    EXPECT_TRUE(warnings().empty()) << warnings().front().pattern.claim;
}

}  // namespace
}  // namespace kn::discovery
