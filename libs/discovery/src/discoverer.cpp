#include "kubernaut/discovery/discoverer.hpp"

#include <algorithm>
#include <set>

#include "discoverer_impl.hpp"
#include "kubernaut/base/log.hpp"

namespace kn::discovery {
namespace {

constexpr std::string_view analyzer_prefix = "analyzer/";
constexpr int page_size = 500;
const ClusterId fleet{"_fleet"};

std::string cluster_of(const Pattern& pattern) {
    constexpr std::string_view prefix = "cluster/";
    return pattern.scope.starts_with(prefix) ? pattern.scope.substr(prefix.size()) : fleet.str();
}

std::shared_ptr<Session> make_session(const DiscoveryOptions& options, const std::function<SteadyTime()>& watch,
                                      const patterns::DiscoveryEngine::Analyzers& analyzers) {
    auto cancelled = std::make_shared<std::atomic<bool>>(false);
    // Once cancelled, every analyzer is out of time at its next look at the clock.
    auto stoppable = [cancelled, watch] { return cancelled->load() ? SteadyTime::max() : watch(); };
    return std::make_shared<Session>(cancelled, patterns::DiscoveryEngine(options.engine, std::move(stoppable), analyzers));
}

}  // namespace

Discoverer::Impl::Impl(Dependencies dependencies, DiscoveryOptions o, patterns::DiscoveryEngine::Analyzers a)
    : d(std::move(dependencies)),
      options(std::move(o)),
      analyzers(std::move(a)),
      history(d.loop, d.stores),
      series(d.loop, d.gateway, d.series),
      owner(d.owner.empty() ? make_id("dis_", d.loop.clock().now(), d.random) : d.owner),
      scope(d.loop.executor()) {
    // Two: when an analyzer is stuck, counting goes on beside it.
    if (d.threads) pool = std::make_unique<async::ThreadPool>("patterns", 2);
    session = make_session(options, d.watch, analyzers);
}

Discoverer::Impl::~Impl() {
    session->cancelled->store(true);
    if (pool) pool->stop();
}

/// Runs `work` on a thread of the pool; false when it has not ended in time (it then ends when it will, and nobody waits).
Task<bool> Discoverer::Impl::beside_the_loop(std::function<void()> work, Duration limit) {
    if (!pool) {
        work();
        co_return true;
    }
    struct Done {
        async::Signal signal;
        bool ended = false;
    };
    auto done = std::make_shared<Done>();
    pool->post([work = std::move(work), done, executor = d.loop.executor()]() mutable {
        work();
        work = nullptr;
        boost::asio::post(executor, [done = std::move(done)] {
            done->ended = true;
            done->signal.notify();
        });
    });
    const Deadline deadline = d.loop.clock().deadline_in(limit);
    while (!done->ended && !deadline.passed(d.loop.clock().steady())) (void)co_await done->signal.wait(d.loop.clock(), deadline);
    co_return done->ended;
}

Task<Result<>> Discoverer::Impl::resume() {
    std::vector<PatternRecord> records;
    for (const bool shadow : {false, true}) {
        ports::Page page{.limit = page_size, .cursor = {}};
        do {
            ports::PatternFilter filter{.status = {PatternStatus::candidate, PatternStatus::active, PatternStatus::fading, PatternStatus::retired},
                                        .shadow = shadow};
            KN_CO_TRY(auto found, co_await d.stores.patterns.list(std::move(filter), page, store_limit()));
            for (auto& record : found.items) stored.insert(record.pattern.id), records.push_back(std::move(record));
            page.cursor = found.next;
        } while (!page.cursor.empty() && records.size() < options.engine.most_patterns);
    }
    std::vector<std::pair<std::string, std::string>> states;
    KN_CO_TRY(auto known, co_await d.stores.patterns.states(std::string(analyzer_prefix), store_limit()));
    for (auto& state : known) states.emplace_back(state.key.substr(analyzer_prefix.size()), std::move(state.bytes));
    session = make_session(options, d.watch, analyzers);
    if (const auto resumed = session->engine.resume(std::move(records), states); !resumed)
        log::warning("an analyzer begins anew", {{"error", resumed.error().describe()}});
    KN_CO_TRY(const auto streams, co_await d.stores.patterns.states(std::string(SeriesReader::prefix), store_limit()));
    series.resume(streams);
    co_return Result<>{};
}

/// What became of a warning's signal: its incident, who else spoke of it, what was done.
Task<Result<WarningEvidence>> Discoverer::Impl::look_at(EarlyWarning& warning) {
    WarningEvidence evidence;
    const Signal firing = signal_of(warning, SignalStatus::firing, warning.raised_at);
    if (warning.incident.empty()) {
        KN_CO_TRY(const auto sent, co_await d.stores.signals.by_fingerprint(warning.cluster, firing.alert_fp, warning.raised_at - 1h, store_limit()));
        for (const Signal& signal : sent)
            if (signal.incident) warning.incident = signal.incident->str();
        // It was stored, and then we died before it was sent.
        if (sent.empty()) KN_CO_CHECK(co_await d.submit({firing}));
    }
    if (warning.incident.empty()) co_return evidence;
    const IncidentId incident(warning.incident);
    KN_CO_TRY(const auto signals, co_await d.stores.signals.of_incident(warning.cluster, incident, 200, store_limit()));
    bool others = false;
    for (const Signal& signal : signals) {
        if (signal.source == SignalSource::pattern || signal.status != SignalStatus::firing) continue;
        others = true;
        if (signal.received_at >= warning.raised_at && (!evidence.alerted_at || signal.received_at < *evidence.alerted_at))
            evidence.alerted_at = signal.received_at;
    }
    history.mark_forecast(warning.incident, !others);
    KN_CO_TRY(const auto runs,
              co_await d.stores.executions.list({.cluster = warning.cluster.str(), .incident = warning.incident}, {.limit = 50}, store_limit()));
    for (const Execution& run : runs.items)
        if (!run.dry_run && run.touched_at && (!evidence.acted_at || *run.touched_at < *evidence.acted_at)) evidence.acted_at = run.touched_at;
    co_return evidence;
}

/// What became of every open warning so far. Before the history is read, so that incidents which only a forecast opened are known as such.
Task<Result<>> Discoverer::Impl::look_at_warnings(Round& round) {
    KN_CO_TRY(auto open, co_await d.stores.patterns.warnings({.outcomes = {WarningOutcome::open}}, {.limit = page_size}, store_limit()));
    for (EarlyWarning& warning : open.items) {
        const std::string incident = warning.incident;
        auto evidence = co_await look_at(warning);
        if (!evidence) {
            log::warning("an early warning could not be looked at", {{"warning", warning.id}, {"error", evidence.error().describe()}});
            round.still_open.push_back(std::move(warning));
            continue;
        }
        if (warning.incident != incident) round.commit.warnings.push_back(warning);
        round.looked_at.emplace_back(std::move(warning), *evidence);
    }
    co_return Result<>{};
}

/// Those that are judged now are ended with their signal; the patterns whose prediction was made void are gathered.
void Discoverer::Impl::judge_warnings(const patterns::History& known, Round& round) {
    const Instant now = d.loop.clock().now();
    for (auto& [warning, evidence] : round.looked_at) {
        for (const auto& row : known.series)
            if (row.name == warning.pattern.subject && row.cluster == warning.cluster.str() && !row.times.empty())
                evidence.series_known_through = row.times.back() + 2 * 3600 >= static_cast<double>(to_millis(warning.window.to)) / 1000;
        if (!judge(warning, evidence, known, now)) {
            round.still_open.push_back(std::move(warning));
            continue;
        }
        ++round.report.judged;
        if (warning.outcome == WarningOutcome::averted || warning.outcome == WarningOutcome::unknown) round.acted_on.insert(warning.pattern.id);
        d.metrics
            .counter("kubernaut_early_warnings_total", "early warnings by what became of them",
                     {{"cluster", warning.cluster.str()}, {"kind", to_string(warning.pattern.kind)}, {"result", to_string(warning.outcome)}})
            .add();
        if (const auto lead = warning.lead_seconds(); lead && warning.outcome == WarningOutcome::came_true)
            d.metrics.histogram("kubernaut_early_warning_lead_seconds", "time from an early warning to what it foretold", {}).observe(*lead);
        log::info("early warning judged", {{"warning", warning.id}, {"outcome", std::string(to_string(warning.outcome))}, {"why", warning.note}});
        round.ended.push_back(signal_of(warning, SignalStatus::resolved, now));
        round.commit.warnings.push_back(std::move(warning));
    }
}

Task<> Discoverer::Impl::compute(std::shared_ptr<const patterns::History> known, Round& round) {
    const Instant now = d.loop.clock().now();
    const auto computed = std::make_shared<Computed>();
    if (!session->busy.exchange(true)) {
        session->cancelled->store(false);
        session->engine.set_options(options.engine);
        auto work = [session = session, known, now, acted_on = round.acted_on, computed] {
            computed->discovery = session->engine.run(*known, now, acted_on);
            computed->records = session->engine.records();
            computed->states = session->engine.states();
            computed->families = std::make_shared<const patterns::FamilyIndex>(known->executions);
            computed->complete = true;
            session->busy.store(false);
        };
        if (co_await beside_the_loop(std::move(work), options.deadline)) {
            round.report.analyzers = computed->discovery.analyzers;
            round.report.basic = computed->discovery.basic;
            round.records = std::move(computed->records);
            for (auto& [name, bytes] : computed->states)
                round.commit.states.push_back({fleet, std::string(analyzer_prefix) + name, std::move(bytes), now});
            families = computed->families;
            round.complete = true;
            co_return;
        }
        session->cancelled->store(true);
        log::warning("the discovery of patterns is out of time: counts and rates stand in for it", {{"deadline", format_duration(options.deadline)}});
    }
    round.report.basic = true;
    const auto basics = std::make_shared<std::vector<Pattern>>();
    auto count = [known, now, basics] {
        if (auto found = patterns::find_basics({.history = *known, .now = now})) *basics = *std::move(found);
    };
    if (!co_await beside_the_loop(std::move(count), options.deadline)) co_return;
    for (Pattern& pattern : *basics) {
        PatternRecord record;
        record.pattern = std::move(pattern);
        record.runs = 1;
        record.predicted_at = record.updated_at = now;
        round.records.push_back(std::move(record));
    }
}

Task<Result<>> Discoverer::Impl::choose_warnings(Round& round) {
    if (!options.warnings || !round.complete) co_return Result<>{};
    const Instant now = d.loop.clock().now();
    // The surest and soonest first, since not all may go.
    std::vector<EarlyWarning> wanted;
    for (const PatternRecord& record : round.records)
        if (auto warning = warning_of(record, options, now)) wanted.push_back(*std::move(warning));
    std::ranges::sort(wanted, [](const EarlyWarning& a, const EarlyWarning& b) {
        return std::tie(b.pattern.confidence, a.expected_at, a.pattern.id) < std::tie(a.pattern.confidence, b.expected_at, b.pattern.id);
    });
    KN_CO_TRY(auto lately, co_await d.stores.patterns.warnings({}, {.limit = page_size}, store_limit()));
    // What was judged in this round is not in the store yet.
    for (EarlyWarning& known : lately.items)
        for (const EarlyWarning& judged : round.commit.warnings)
            if (judged.id == known.id) known = judged;
    int in_hour = 0;
    for (const auto& warning : lately.items) in_hour += warning.raised_at > now - 1h ? 1 : 0;
    for (EarlyWarning& warning : wanted) {
        if (round.report.warned >= options.warnings_per_run || in_hour >= options.warnings_per_hour) break;
        const bool open = std::ranges::any_of(round.still_open, [&](const EarlyWarning& one) {
            return one.pattern.id == warning.pattern.id || (one.cluster == warning.cluster && one.pattern.subject == warning.pattern.subject);
        });
        if (open) continue;
        const bool in_vain = std::ranges::any_of(lately.items, [&](const EarlyWarning& one) {
            return one.pattern.id == warning.pattern.id && one.outcome == WarningOutcome::false_alarm && one.judged_at &&
                   *one.judged_at > now - options.again;
        });
        // What was dealt with a while ago speaks again only when it is four times as urgent as it was then.
        const bool dealt_with = std::ranges::any_of(lately.items, [&](const EarlyWarning& one) {
            return one.pattern.id == warning.pattern.id && one.outcome == WarningOutcome::averted && one.raised_at > now - options.again &&
                   (warning.expected_at - now) * 4 > one.expected_at - one.raised_at;
        });
        if (in_vain || dealt_with) continue;
        KN_CO_TRY(const auto opened, co_await d.stores.incidents.opened_since(warning.cluster.str(), now - 60s, store_limit()));
        if (opened > options.storm_per_minute) continue;
        const auto object = d.object ? d.object(warning.cluster, labels_of(warning.pattern)) : std::nullopt;
        if (object) {
            warning.target = object->str();
            KN_CO_TRY(const auto trouble, co_await d.stores.incidents.open_of(warning.cluster, warning.target, store_limit()));
            if (!trouble.empty()) continue;  // it is known already: there is nothing to foretell
        }
        warning.raised_at = now;
        warning.id = derive_id("wrn_", now, {warning.pattern.id});
        const Signal firing = signal_of(warning, SignalStatus::firing, now);
        warning.alert_fp = firing.alert_fp;
        warning.signal_key = make_signal_key(firing.cluster, to_string(firing.source), firing.alert_fp, firing.starts_at, to_string(firing.status));
        round.raised.push_back(firing);
        round.commit.warnings.push_back(warning);
        ++round.report.warned;
        ++in_hour;
        d.metrics
            .counter("kubernaut_early_warnings_total", "early warnings by what became of them",
                     {{"cluster", warning.cluster.str()}, {"kind", to_string(warning.pattern.kind)}, {"result", "raised"}})
            .add();
        log::info("early warning", {{"warning", warning.id}, {"cluster", warning.cluster.str()}, {"claim", warning.pattern.claim}});
    }
    co_return Result<>{};
}

Task<Result<RunReport>> Discoverer::Impl::run_once() {
    async::Clock& clock = d.loop.clock();
    const SteadyTime began = clock.steady();
    const Instant now = clock.now();
    Round round;
    const auto epoch = co_await d.stores.patterns.lead(owner, now, now + 2 * options.every + options.deadline, store_limit());
    if (!epoch && epoch.error().reason != "busy") co_return std::unexpected(epoch.error());
    round.report.led = epoch.has_value();
    // Another hub may have gone further in between: what it stored is where we go on.
    if (epoch && *epoch != led_epoch) {
        KN_CO_CHECK(co_await resume());
        led_epoch = *epoch;
    }
    // Incidents that warnings opened are told from others before the history is read.
    if (auto all = co_await d.stores.patterns.warnings({}, {.limit = page_size}, store_limit()); all)
        for (const auto& warning : all->items)
            if (!warning.incident.empty()) history.mark_forecast(warning.incident, true);
    if (round.report.led) KN_CO_CHECK(co_await look_at_warnings(round));
    KN_CO_CHECK(co_await history.refresh(options));
    auto known = std::make_shared<patterns::History>(history.history());
    if (!round.report.led) {
        const auto index = std::make_shared<std::shared_ptr<const patterns::FamilyIndex>>();
        auto work = [known, index] { *index = std::make_shared<const patterns::FamilyIndex>(known->executions); };
        if (co_await beside_the_loop(std::move(work), options.deadline)) families = *index;
        co_return round.report;
    }
    co_await series.refresh(options, clock.deadline_in(options.deadline));
    series.append_to(*known, options);
    round.report.incidents = known->incidents.size();
    round.report.executions = known->executions.size();
    round.report.series = known->series.size();
    judge_warnings(*known, round);
    co_await compute(known, round);
    KN_CO_CHECK(co_await choose_warnings(round));

    round.commit.owner = owner;
    round.commit.epoch = *epoch;
    std::set<std::string> present;
    for (const PatternRecord& record : round.records) present.insert(record.pattern.id);
    if (round.complete) {
        for (const std::string& id : stored)
            if (!present.contains(id)) round.commit.forgotten.push_back(id);
    }
    round.report.patterns = round.records.size();
    round.commit.patterns = round.records;
    for (auto& state : series.changed(now)) round.commit.states.push_back(std::move(state));
    // An end is sent before it is stored and a beginning after: whatever a crash comes between is done again, and the intake knows repeats.
    if (!round.ended.empty()) KN_CO_CHECK(co_await d.submit(round.ended));
    if (const auto kept = co_await d.stores.patterns.commit(std::move(round.commit), store_limit()); !kept) {
        led_epoch = -1;  // what is in memory is not what is stored: the next run goes on from there
        co_return std::unexpected(kept.error());
    }
    if (round.complete) stored = std::move(present);
    if (!round.raised.empty()) KN_CO_CHECK(co_await d.submit(round.raised));
    round.report.seconds = std::chrono::duration<double>(clock.steady() - began).count();
    publish(round);
    last = round.report;
    co_return round.report;
}

void Discoverer::Impl::publish(const Round& round) {
    std::map<std::pair<std::string, std::string>, double> active;
    for (const auto& [key, count] : shown) active[key] = 0;
    for (const PatternRecord& record : round.records)
        if (!record.shadow && record.pattern.status != PatternStatus::retired)
            ++active[{cluster_of(record.pattern), std::string(to_string(record.pattern.kind))}];
    for (const auto& [key, count] : active)
        d.metrics.gauge("kubernaut_patterns_active", "patterns that are not retired", {{"cluster", key.first}, {"kind", key.second}}).set(count);
    shown = active;
    for (const auto& report : round.report.analyzers) {
        d.metrics.histogram("kubernaut_analyzer_duration_seconds", "time of one run of an analyzer", {{"analyzer", report.name}})
            .observe(report.seconds);
        if (!report.error.empty())
            d.metrics.counter("kubernaut_analyzer_failures_total", "runs that failed or were cut off", {{"analyzer", report.name}}).add();
        const std::string_view mode = report.flag == patterns::Flag::off      ? "off"
                                      : report.basic                          ? "basic"
                                      : report.flag == patterns::Flag::shadow ? "shadow"
                                                                              : "on";
        for (const std::string_view each : {"off", "shadow", "on", "basic"})
            d.metrics.gauge("kubernaut_analyzer_mode", "1 for the present mode", {{"analyzer", report.name}, {"mode", each}})
                .set(each == mode ? 1 : 0);
        d.metrics.gauge("kubernaut_analyzer_calibration_error_ratio", "of its confidences against what came true", {{"analyzer", report.name}})
            .set(report.calibration_error);
        d.metrics.gauge("kubernaut_analyzer_brier_ratio", "Brier score of its confidences", {{"analyzer", report.name}}).set(report.brier);
    }
    d.metrics.histogram("kubernaut_discovery_duration_seconds", "time of one run of the discovery").observe(round.report.seconds);
}

Task<> Discoverer::Impl::run() {
    async::Clock& clock = d.loop.clock();
    co_await async::sleep_for(clock, options.first_after);
    while (true) {
        if (options.enabled) {
            const auto done = co_await run_once();
            d.metrics
                .counter("kubernaut_discovery_runs_total", "runs of the discovery",
                         {{"result", !done         ? "failed"
                                     : !done->led  ? "follows"
                                     : done->basic ? "basic"
                                                   : "full"}})
                .add();
            if (!done) log::warning("patterns could not be looked for", {{"error", done.error().describe()}});
        }
        co_await async::sleep_for(clock, options.every);
    }
}

Discoverer::Discoverer(Dependencies dependencies, DiscoveryOptions options)
    : Discoverer(std::move(dependencies), std::move(options), patterns::builtin_analyzers()) {}
Discoverer::Discoverer(Dependencies dependencies, DiscoveryOptions options, patterns::DiscoveryEngine::Analyzers analyzers)
    : impl_(std::make_unique<Impl>(std::move(dependencies), std::move(options), std::move(analyzers))) {}
Discoverer::~Discoverer() = default;

void Discoverer::set_options(DiscoveryOptions options) { impl_->options = std::move(options); }
void Discoverer::start() {
    if (impl_->started) return;
    impl_->started = true;
    impl_->scope.spawn("patterns", impl_->run());
}
void Discoverer::stop() {
    impl_->session->cancelled->store(true);
    impl_->scope.cancel();
}
Task<> Discoverer::join() { return impl_->scope.join(); }
Task<Result<RunReport>> Discoverer::run_once() { return impl_->run_once(); }
const RunReport& Discoverer::last() const { return impl_->last; }

std::vector<ports::FamilyAdvice> Discoverer::advise(const ports::CaseOutline& outline) const {
    if (!impl_->families || !impl_->options.enabled) return {};
    const auto flag = impl_->options.engine.analyzers.find("family");
    if (flag != impl_->options.engine.analyzers.end() && flag->second.flag != patterns::Flag::on) return {};
    patterns::ExecutionRow one;
    one.fault_class = outline.fault_class;
    one.traits = {{"kind", outline.target_kind}, {"environment", std::string(to_string(outline.environment))}};
    flatten_facts(outline.facts, one);
    std::vector<ports::FamilyAdvice> out;
    for (auto& near : impl_->families->near(one)) out.push_back({std::move(near.workflow), near.good, near.bad, std::move(near.shared)});
    return out;
}

std::vector<SeriesQuery> builtin_series() {
    return {{.name = "volume",
             .query = "kubelet_volume_stats_used_bytes",
             .limit_query = "kubelet_volume_stats_capacity_bytes",
             .limit = 0.85,
             .warn = "VolumeRunwayShort"},
            {.name = "memory",
             .query = R"(container_memory_working_set_bytes{container!="",container!="POD"})",
             .limit_query = R"(container_spec_memory_limit_bytes{container!="",container!="POD"} > 0)",
             .limit = 0.95,
             .warn = "MemoryExhaustionPredicted"},
            {.name = "quota",
             .query = R"(max without (type) (kube_resourcequota{type="used"}))",
             .limit_query = R"(max without (type) (kube_resourcequota{type="hard"}))",
             .limit = 0.95,
             .warn = "KubeQuotaAlmostFull"},
            {.name = "node_disk",
             .query = R"(node_filesystem_size_bytes{mountpoint="/"} - node_filesystem_avail_bytes{mountpoint="/"})",
             .limit_query = R"(node_filesystem_size_bytes{mountpoint="/"})",
             .limit = 0.85,
             .warn = "NodeDiskPressurePredicted"}};
}

}  // namespace kn::discovery
