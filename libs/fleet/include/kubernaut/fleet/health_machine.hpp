#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/enums.hpp"

namespace kn::fleet {

struct HealthLimits {
    int suspect_after = 2;       ///< fresh-probe failures in a row
    int lost_after = 4;          ///< fresh-probe failures in a row, together with the silence below
    Duration silence = 7s;       ///< no success on any signal
    int healthy_successes = 3;   ///< fresh successes ...
    Duration healthy_span = 5s;  ///< ... over at least this long; the first verdict after start needs one success only
    Duration healthy_span_after_lost = 30s;
};

/// One cluster's verdict from its probes and calls. Pure: no clock, no I/O.
class HealthMachine {
public:
    explicit HealthMachine(HealthLimits limits = {}) : limits_(limits) {}

    /// The reason of a cluster that answers and refuses us.
    static constexpr std::string_view auth_failed = "auth_failed";
    enum class Probe { success, failure, auth_failed };
    /// A probe on a fresh connection.
    void on_probe(Probe result, SteadyTime at);
    /// Any other call that was answered: silence ends, but only probes make a cluster healthy.
    void on_answer(SteadyTime at) { last_success_ = at; }
    /// Time passes.
    void on_tick(SteadyTime at);

    [[nodiscard]] ClusterVerdict verdict() const { return verdict_; }
    [[nodiscard]] const std::string& reason() const { return reason_; }

private:
    void decide(SteadyTime at);
    HealthLimits limits_;
    ClusterVerdict verdict_ = ClusterVerdict::unknown;
    std::string reason_ = "not probed yet";
    int failures_ = 0, successes_ = 0;
    bool was_lost_ = false;
    std::optional<SteadyTime> first_success_, last_success_;
};

/// Is the hub itself cut off? More than half of the clusters that were healthy a minute ago (at least three of them) turn suspect within 30 s.
class SuspicionMachine {
public:
    static constexpr double share = 0.5;
    static constexpr std::size_t least_clusters = 3;
    static constexpr Duration window = 30s, recover = 60s;

    /// One look at the fleet: how many clusters are healthy and how many turned bad within the window.
    void on_look(std::size_t healthy_before, std::size_t turned_bad, SteadyTime at);
    [[nodiscard]] bool isolated() const { return isolated_; }

private:
    bool isolated_ = false;
    std::optional<SteadyTime> normal_since_;
};

}  // namespace kn::fleet
