#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "kubernaut/analytics/judging/anomaly/smd_score.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

struct PodFault {
    std::string kind;        ///< "cpu_consumed", "network_delay"
    std::int64_t begin = 0;  ///< seconds since 1970; the event is [begin, begin + 300 s)
};
constexpr std::int64_t pod_fault_seconds = 300;

/// The metrics of one pod on one day, with the faults that were injected into it.
struct PodFile {
    std::string day, pod;
    std::vector<std::int64_t> times;
    std::vector<std::string> metrics;  ///< names of the columns
    Matrix values;                     ///< rows by metrics; NaN where a cell was empty
    std::vector<PodFault> faults;      ///< ascending

    /// 1 for rows inside a fault.
    [[nodiscard]] std::vector<std::uint8_t> labels() const;
};

/// Every pod of every day of the folder that has a fault list; ordered by day and pod.
Result<std::vector<PodFile>> read_pods(const std::filesystem::path& dir);

/// Of the pod's faults of that kind, how many hold a row whose score passes the pod's own (1 - fpr) quantile of normal rows.
EventScore pod_score(const PodFile& pod, const std::vector<double>& scores, const std::string& kind, double fpr);

}  // namespace kn::analytics::judging
