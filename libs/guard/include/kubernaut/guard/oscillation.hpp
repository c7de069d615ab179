#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/base/time.hpp"

namespace kn::guard {

/// One past action on an object, as the detectors see it.
struct PastAction {
    std::string action;  ///< "scale_workload", "restart_pod", ...
    Instant at{};
    std::optional<double> effectiveness;  ///< of its assessment; none = not assessed
    int direction = 0;                    ///< scale: +1 up, -1 down
};

enum class Finding { none, medium, high, critical };

struct OscillationReport {
    Finding finding = Finding::none;
    std::string detector;  ///< scale_flip, thrash, ineffective_loop, restart_loop
    std::string text;
};

/// The worst finding over the object's history (newest last or first, order does not matter) if `next` were done at `now`. Pure, O(n log n).
/// `window` is the middle one of the rules; the shorter and longer ones and the gaps keep their proportion to it.
/// Counts alone decide while fewer than two rows are assessed, and then the result is at most high.
OscillationReport detect_oscillation(std::vector<PastAction> history, const std::string& next, Instant now, Duration window = 120min);

}  // namespace kn::guard
