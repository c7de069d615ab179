#pragma once

#include <atomic>
#include <boost/asio/post.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "history_reader.hpp"
#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/discovery/discoverer.hpp"
#include "kubernaut/patterns/discovery/family_index.hpp"
#include "series_reader.hpp"
#include "warnings.hpp"

namespace kn::discovery {

/// The engine, shared with the thread that computes: whoever set `busy` owns it until it is false again.
struct Session {
    std::shared_ptr<std::atomic<bool>> cancelled;
    patterns::DiscoveryEngine engine;
    std::atomic<bool> busy{false};
    Session(std::shared_ptr<std::atomic<bool>> c, patterns::DiscoveryEngine e) : cancelled(std::move(c)), engine(std::move(e)) {}
};

/// What the thread gives back.
struct Computed {
    patterns::Discovery discovery;
    std::vector<PatternRecord> records;
    std::vector<std::pair<std::string, std::string>> states;
    std::shared_ptr<const patterns::FamilyIndex> families;
    bool complete = false;
};

/// One run on its way.
struct Round {
    RunReport report;
    bool complete = false;  ///< the engine ended in time: `records` is all that is known
    std::vector<PatternRecord> records;
    std::set<std::string> acted_on;
    std::vector<std::pair<EarlyWarning, WarningEvidence>> looked_at;
    std::vector<EarlyWarning> still_open;
    std::vector<Signal> raised, ended;
    ports::PatternCommit commit;
};

struct Discoverer::Impl {
    Dependencies d;
    DiscoveryOptions options;
    patterns::DiscoveryEngine::Analyzers analyzers;
    HistoryReader history;
    SeriesReader series;
    std::string owner;
    std::int64_t led_epoch = -1;
    std::unique_ptr<async::ThreadPool> pool;
    std::shared_ptr<Session> session;
    std::shared_ptr<const patterns::FamilyIndex> families;
    std::set<std::string> stored;                                 // ids of patterns in the store
    std::map<std::pair<std::string, std::string>, double> shown;  // gauges
    RunReport last;
    bool started = false;
    async::TaskScope scope;

    Impl(Dependencies dependencies, DiscoveryOptions o, patterns::DiscoveryEngine::Analyzers a);
    ~Impl();

    [[nodiscard]] Deadline store_limit() { return d.loop.clock().deadline_in(options.store_timeout); }
    Task<bool> beside_the_loop(std::function<void()> work, Duration limit);
    Task<Result<>> resume();
    Task<Result<WarningEvidence>> look_at(EarlyWarning& warning);
    Task<Result<>> look_at_warnings(Round& round);
    void judge_warnings(const patterns::History& known, Round& round);
    Task<> compute(std::shared_ptr<const patterns::History> known, Round& round);
    Task<Result<>> choose_warnings(Round& round);
    Task<Result<RunReport>> run_once();
    void publish(const Round& round);
    Task<> run();
};

}  // namespace kn::discovery
