#pragma once

#include <optional>
#include <string>

namespace kn::analytics::judging {

/// One line of `kubernaut bench patterns`: how good a method is on a labelled set, beside the best that is known on the same files.
struct Row {
    std::string set;     ///< the data: "NAB", "TCPD"
    std::string metric;  ///< what is measured: "standard score", "F1"
    double value = 0;
    std::optional<double> best_known{};
    std::optional<double> goal{};
    bool larger_is_better = true;
    std::string note{};  ///< why it was skipped, or what limits it; for a person

    /// True when there is a goal and the value reaches it.
    [[nodiscard]] bool holds() const { return goal && (larger_is_better ? value >= *goal : value <= *goal); }
};

}  // namespace kn::analytics::judging
