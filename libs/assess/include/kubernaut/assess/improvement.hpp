#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/base/time.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"

namespace kn::assess {

/// How the values before and after compare.
struct Shift {
    double size = 0;        ///< Hodges–Lehmann: median of all differences after - before, in the series' own unit
    double error = 0;       ///< its standard error under AR(1) noise
    double improved = 0.5;  ///< P(it went the good way)
};

/// Two windows of one series, in order of time, evenly spaced. None with fewer than five values in one of them. The noise is 1.4826 MAD of the values around their
/// window's median; values that depend on their neighbours count for less: n (1 - r) / (1 + r) with r the lag-1 autocorrelation (Kendall's correction for short
/// series). O(n m). Sources: Hodges and Lehmann 1963; variance of the estimator at the normal, pi/3 sigma^2 (1/n + 1/m): Lehmann 1975; Kendall 1954.
std::optional<Shift> shift_of(std::span<const double> before, std::span<const double> after, bool lower_is_better);

/// What should change when a fault of a class is cured, and how it is read. Ratios are of series with equal labels.
struct TargetMetric {
    enum class Reading : std::uint8_t { value, ratio, increase, ratio_of_increases };
    enum class Of : std::uint8_t { pods, claim, workload, node, cluster };
    std::string_view fault_class;   ///< or the beginning of some, ending in '.'
    std::string_view name;          ///< for people
    std::string_view series, over;  ///< metric names; `over` for ratios
    Reading reading = Reading::value;
    Of of = Of::workload;
    bool lower_is_better = true;
    double normal = 0;  ///< at or beyond it there is nothing to improve
};
/// The class's own; "" or an unknown one gives nullptr. `kind` chooses the series where it depends on the kind of workload.
const TargetMetric* target_metric_of(std::string_view fault_class, std::string_view kind);

/// One series for the target from what a source answered: the worst of the target's series at every step (increases are summed). `numerator` and `denominator` as read
/// with `step`; times outside (from, to] only feed the increases, which look back over `window`.
std::vector<double> values_for(const TargetMetric& metric, const ObjectKey& target, std::span<const ports::Series> numerator,
                               std::span<const ports::Series> denominator, Instant from, Instant to, Duration step, Duration window);

}  // namespace kn::assess
