#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "hub_process.hpp"
#include "kubernaut/sim/api/api_server.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/testing/temp_dir.hpp"
#include "sender.hpp"
#include "sim/front.hpp"

namespace kn::chaos {

inline constexpr const char* reader_token = "the-reader";

struct CrashPlan {
    std::string binary, store_url;  ///< store_url "" = SQLite in a temporary folder
    std::uint64_t seed = 1;
    int kills = 100, faults = 32;
};

/// What came of it, each line one finding; empty = nothing lost, nothing doubled.
struct CrashReport {
    int kills = 0, faults = 0, cured = 0, effects = 0, incidents = 0;
    std::size_t posted = 0, tries = 0;
    std::string causes, outcomes;
    std::vector<std::string> lost, doubled, harmed;
    std::vector<std::string> escalated;  ///< told to people: shown with KN_CRASH_VERBOSE=1, no failure by itself
};

/// A simulated cluster behind HTTPS in this process, faults of the scenario files injected one after another, alerts posted all the time by a sender
/// that repeats itself, and a real hub in a process of its own that is killed all the while. Truth is the API server's own log of writes and its
/// state.
class CrashWorld {
public:
    CrashWorld(async::EventLoop& loop, CrashPlan plan);
    ~CrashWorld();
    async::Task<Result<CrashReport>> run();
    [[nodiscard]] std::string log_file() const { return hub_.log_file(); }

private:
    struct Fault;
    async::Task<Result<>> set_up();
    async::Task<> deploy_in_scope(Fault& fault);
    async::Task<> break_things();
    async::Task<> break_in_scope(Fault& fault);
    async::Task<> watch_alerts();
    async::Task<> make_noise();
    async::Task<Result<bool>> all_done(CrashReport& report);
    void judge_effects(CrashReport& report);
    async::Task<Result<>> judge_records(CrashReport& report);
    void write_configuration();
    [[nodiscard]] std::string store_url() const { return plan_.store_url.empty() ? "sqlite://" + folder_.path() + "/hub.db" : plan_.store_url; }

    async::EventLoop& loop_;
    CrashPlan plan_;
    SeededRandom random_;
    testing::TempDir folder_;
    int port_;
    std::unique_ptr<sim::SimCluster> cluster_;
    std::unique_ptr<app::SimFront> front_;
    std::vector<std::unique_ptr<Fault>> faults_;
    std::vector<std::string> quiet_;  ///< "namespace/name" of Deployments that nothing is wrong with
    MortalHub hub_;
    AlertSender sender_;
    std::string first_error_;
    async::TaskScope scope_;
};

}  // namespace kn::chaos
