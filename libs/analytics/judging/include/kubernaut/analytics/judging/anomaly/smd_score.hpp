#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// One server of SMD or ASD: a train half without labels and a labelled test half, rows by columns of metrics.
struct ServerFile {
    std::string name;
    Matrix train, test;
    std::vector<std::uint8_t> labels;  ///< 0 or 1 for each test row
};

/// Every X.train.csv.gz, X.test.csv.gz, X.test_label.csv.gz of the folder, ordered by name.
Result<std::vector<ServerFile>> read_servers(const std::filesystem::path& dir);

/// How a flag per row meets the labelled events (an event is a run of labels).
struct EventScore {
    std::size_t events = 0, hit = 0;  ///< an event is hit when any of its rows is flagged
    std::size_t normal_rows = 0, false_flags = 0;
    [[nodiscard]] double tpr() const { return events == 0 ? 0 : static_cast<double>(hit) / static_cast<double>(events); }
    [[nodiscard]] double fpr() const { return normal_rows == 0 ? 0 : static_cast<double>(false_flags) / static_cast<double>(normal_rows); }
    EventScore& operator+=(const EventScore& other);
};
/// Flags where score > threshold. O(n).
EventScore event_score(std::span<const double> scores, std::span<const std::uint8_t> labels, double threshold);
/// The threshold that flags the share `fpr` of normal rows (an oracle's: it sees the labels), and what it hits.
EventScore event_score_at_fpr(std::span<const double> scores, std::span<const std::uint8_t> labels, double fpr);
/// The best point F1 over all thresholds (an oracle's).
double best_f1(std::span<const double> scores, std::span<const std::uint8_t> labels);

}  // namespace kn::analytics::judging
