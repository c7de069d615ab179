#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "demo/foresight.hpp"
#include "hub.hpp"
#include "kubernaut/sim/scenario/cluster.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"
#include "kubernaut/sql_store/stores.hpp"
#include "sim/metrics.hpp"

namespace kn::app {

/// A cluster that somebody else runs, such as a real control plane with simulated kubelets.
struct OutsideCluster {
    std::string name;
    Environment environment = Environment::staging;
    sim::Stage stage;
    std::shared_ptr<kube::Transport> transport;  ///< the hub's own way in
};

struct DemoOptions {
    std::uint64_t seed = 1;
    double hurry = 1;                     ///< the world's waits are divided by this: for a demo in real time
    bool story = true;                    ///< tell it line by line on standard output
    std::vector<std::string> only;        ///< scenario ids; empty = all that fit
    bool all = false;                     ///< those too that the demo leaves out to be short
    Duration approver_delay = 2s;         ///< the scripted approver answers after this; zero = nobody does
    std::vector<OutsideCluster> outside;  ///< play here; empty = three simulated clusters
    bool foresight = false;          ///< a made-up past and a volume that fills up by the evening, for the pattern discovery; simulated clusters only
    bool threads = false;            ///< heavy computing beside the loop: in real time only
    bool one_after_another = false;  ///< every scenario has its cluster for itself
};

/// One fault, from its injection to the judgement. Truth is the simulator's; `classified`, `workflow` and `outcome` are what the product said of it.
struct FaultReport {
    std::string id, cluster, target, title, classified, workflow, outcome;
    Instant injected{};
    bool leave_alone = false;  ///< nothing should be changed
    bool cured = false, verified = false;
    std::vector<std::string> harm;     ///< what was touched and must not have been
    std::vector<std::string> missing;  ///< why it does not count as cured
    double virtual_seconds = 0;
    int rollouts = 0;  ///< changes of workloads in its namespaces by the hub, counted at the (simulated) API server
    [[nodiscard]] bool right() const { return harm.empty() && (leave_alone || cured); }
};

/// Three simulated clusters with faults on a timetable and a hub that serves them.
class DemoWorld {
public:
    static Result<std::unique_ptr<DemoWorld>> create(async::EventLoop& loop, DemoOptions options);
    ~DemoWorld();

    async::Task<Result<>> start();
    /// The whole timetable.
    async::Task<Result<std::vector<FaultReport>>> run();
    async::Task<> stop();
    /// What the pattern discovery showed; nothing without `foresight`.
    async::Task<Result<std::optional<ForesightReport>>> foresight();
    Hub& hub() { return *hub_; }

private:
    struct Place;
    struct Act;
    DemoWorld(async::EventLoop& loop, DemoOptions options);
    async::Task<Result<>> run_place(Place& place);
    async::Task<Result<>> play(Place& place, Act& act);
    async::Task<> play_in_scope(Place& place, Act& act);
    async::Task<Result<>> send_alerts(Act& act);
    async::Task<> approve();
    async::Task<Result<>> describe(Place& place, Act& act);
    async::Task<> run_place_in_scope(Place& place);
    void tell(const json::Value& incident);
    async::Task<> play_foresight();

    async::EventLoop& loop_;
    DemoOptions options_;
    SeededRandom random_;
    metrics::Registry metrics_;
    std::unique_ptr<sql::SqlStores> stores_;
    std::unique_ptr<ports::Notifier> notifier_;
    SimMetricsSource metrics_source_;
    std::unique_ptr<Hub> hub_;
    std::unique_ptr<Foresight> foresight_;
    std::vector<std::unique_ptr<Place>> places_;
    std::map<std::string, std::size_t> told_;
    std::string first_error_;
    async::TaskScope scope_;
};

}  // namespace kn::app
