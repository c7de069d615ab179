#pragma once

#include <filesystem>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

// Each measures our detectors in their one configuration on the sets found below DIR; not_found when there is none of its files.

/// DIR/NAB: the score of each profile with the best threshold, and with the detector's own, fixed beforehand.
Result<std::vector<Row>> nab_rows(const std::filesystem::path& dir);
/// DIR/SMD and DIR/ASD: VUS-PR, and what a threshold from training data alone hits at which realised false-positive rate.
Result<std::vector<Row>> server_rows(const std::filesystem::path& dir);
/// DIR/Nezha_k8s: share of faults seen at 1 % false positives, by kind of fault.
Result<std::vector<Row>> pod_rows(const std::filesystem::path& dir);

}  // namespace kn::analytics::judging
