#pragma once

#include <memory>
#include <optional>
#include <string>

#include "hub.hpp"
#include "kubernaut/ports/registry_store.hpp"
#include "kubernaut/sim/scenario/scenario.hpp"

namespace kn::app {

/// What pattern discovery showed in the demo. The forecast's truth is the simulator's: when the alert would have come, and that it never did.
struct ForesightReport {
    struct {
        std::string claim, target, workflow, outcome;
        double confidence = 0;
        std::optional<Instant> warned, cured;
        Instant alert_without{};  ///< when the volume would have reached the alert's level
        bool alert_fired = false;
        [[nodiscard]] bool right() const { return warned && cured && !alert_fired && *warned < alert_without; }
    } forecast;
    struct {
        std::string claim;
        double confidence = 0;
        std::optional<TimeWindow> next;
        Instant truth{};  ///< the next time that the made-up world has in store
        [[nodiscard]] bool right() const { return next && next->from <= truth && truth <= next->to; }
    } recurrence;
    struct {
        std::string claim, asked, recommended, truth;  ///< truth: the workflow that works in such cases
        double good = 0, all = 0;
        [[nodiscard]] bool right() const { return !recommended.empty() && recommended == truth; }
    } family;
};

/// A past for the demo's hub, made up from the seed and told as such (four weeks in which a job failed nightly, and in which two workflows were tried on
/// throttled workloads), and a volume in one cluster that fills up by the evening.
class Foresight {
public:
    Foresight(async::EventLoop& loop, ports::Stores stores, std::uint64_t seed, double hurry);
    /// What the hub has to be told.
    static void prepare(HubOptions& options, double hurry);
    /// Before the hub starts: the past is written.
    async::Task<Result<>> write_past(ClusterId cluster);
    /// After the cluster has started: the volume with its past; watches until it was made larger or the time is over.
    async::Task<Result<>> play(sim::Stage stage, Duration limit);
    async::Task<Result<ForesightReport>> report(const Hub& hub);

private:
    async::Task<Result<>> write_execution(ClusterId cluster, int number, Instant at, bool spot, bool scale_out, bool worked);

    async::EventLoop& loop_;
    ports::Stores stores_;
    std::uint64_t seed_;
    double hurry_;
    SeededRandom random_;
    ForesightReport report_;
    std::unique_ptr<sim::Scenario> scenario_;
};

json::Value to_json(const ForesightReport& report);

}  // namespace kn::app
