#include "kubernaut/decision/watch_signals.hpp"

#include <map>
#include <set>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/base/log.hpp"
#include "signals/findings.hpp"

namespace kn::decision {

using async::Task;

struct WatchSignalSource::Impl {
    async::EventLoop& loop;
    RandomSource& random;
    ports::ClusterGateway& gateway;
    ports::SignalStore& signals;
    ports::Wakeups& wakeups;
    DecisionOptions options;
    struct Seen {
        Instant since{};  ///< first look that showed it
        std::optional<Instant> missing_since;
        bool told = false;
    };
    std::map<ClusterId, std::map<std::tuple<std::string, ObjectKey, std::string>, Seen>> seen;
    bool started = false;
    async::TaskScope scope;

    Impl(async::EventLoop& l, RandomSource& rnd, ports::ClusterGateway& g, ports::SignalStore& s, ports::Wakeups& w, DecisionOptions o)
        : loop(l), random(rnd), gateway(g), signals(s), wakeups(w), options(std::move(o)), scope(l.executor()) {}

    Signal signal_of(const Finding& finding, const Seen& state, SignalStatus status) {
        const auto now = loop.clock().now();
        Signal signal;
        signal.id = SignalId{make_id("sig_", now, random)};
        signal.cluster = finding.object.cluster;
        signal.source = finding.source;
        signal.name = finding.name;
        signal.alert_fp = to_hex(sha256_parts({"watch", finding.name, finding.object.str(), finding.container}));
        signal.status = status;
        signal.severity = finding.severity;
        signal.starts_at = state.since;
        signal.received_at = signal.last_seen = now;
        if (status == SignalStatus::resolved) signal.ends_at = now;
        signal.object = finding.object;
        signal.container = finding.container;
        signal.key = make_signal_key(signal.cluster, to_string(signal.source), signal.alert_fp, signal.starts_at, to_string(status));
        return signal;
    }

    Task<Result<int>> pass() {
        const auto now = loop.clock().now();
        std::vector<Signal> news;
        std::vector<std::pair<Seen*, bool>> marks;
        for (const auto& cluster : gateway.clusters()) {
            // A cluster whose watch may be frozen shows nothing new, and nothing that is gone.
            if (cluster.verdict != ClusterVerdict::healthy && cluster.verdict != ClusterVerdict::unknown) continue;
            auto& known = seen[cluster.id];
            std::set<std::tuple<std::string, ObjectKey, std::string>> here;
            for (const auto& finding : find_trouble(gateway, cluster.id, options, now)) {
                auto key = std::tuple(finding.name, finding.object, finding.container);
                here.insert(key);
                auto [entry, fresh] = known.try_emplace(std::move(key));
                auto& state = entry->second;
                if (fresh) state.since = now;
                state.missing_since.reset();
                if (state.told || now - state.since < std::max(options.confirm, finding.must_last)) continue;
                news.push_back(signal_of(finding, state, SignalStatus::firing));
                marks.emplace_back(&state, true);
            }
            for (auto entry = known.begin(); entry != known.end();) {
                auto& [key, state] = *entry;
                if (here.contains(key)) {
                    ++entry;
                    continue;
                }
                if (!state.missing_since) state.missing_since = now;
                // Crash loops run for moments in between: gone is what stays gone for a while. What was never told is forgotten sooner.
                if (now - *state.missing_since < (state.told ? Duration{30s} : 3 * options.confirm)) {
                    ++entry;
                    continue;
                }
                if (state.told) {
                    const Finding finding{std::get<0>(key), std::get<1>(key), std::get<2>(key)};
                    auto signal = signal_of(finding, state, SignalStatus::resolved);
                    news.push_back(std::move(signal));
                }
                entry = known.erase(entry);
            }
        }
        if (news.empty()) co_return 0;
        const int count = static_cast<int>(news.size());
        auto accepted = co_await signals.accept({.source = "watch", .bytes = {}, .received_at = now}, std::move(news),
                                                loop.clock().deadline_in(options.store_timeout));
        if (!accepted) co_return std::unexpected(std::move(accepted).error());
        for (auto& [state, told] : marks) state->told = told;
        wakeups.signals.notify();
        co_return count;
    }

    Task<> run() {
        while (true) {
            auto done = co_await pass();
            if (!done) log::warning("watch findings could not be stored", {{"error", done.error().describe()}});
            co_await async::sleep_for(loop.clock(), 5s);
        }
    }
};

WatchSignalSource::WatchSignalSource(async::EventLoop& loop, RandomSource& random, ports::ClusterGateway& gateway, ports::SignalStore& signals,
                                     ports::Wakeups& wakeups, DecisionOptions options)
    : impl_(std::make_unique<Impl>(loop, random, gateway, signals, wakeups, std::move(options))) {}
WatchSignalSource::~WatchSignalSource() = default;

void WatchSignalSource::start() {
    if (impl_->started) return;
    impl_->started = true;
    impl_->scope.spawn("watch signals", impl_->run());
}
void WatchSignalSource::set_options(DecisionOptions options) { impl_->options = std::move(options); }
void WatchSignalSource::stop() { impl_->scope.cancel(); }
Task<> WatchSignalSource::join() { return impl_->scope.join(); }
Task<Result<int>> WatchSignalSource::run_once() { return impl_->pass(); }

}  // namespace kn::decision
