#pragma once

#include <filesystem>
#include <vector>

#include "kubernaut/analytics/judging/row.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics::judging {

/// Partitions of the reference sets below DATA/clustering: ARI and NCA with the number of clusters given, ARI with the number found out. The
/// best over a set's reference labelings, noise left out, mean over sets. Errors as read_reference_sets.
Result<std::vector<Row>> clustering_rows(const std::filesystem::path& data, unsigned threads);

/// Detectors on the tables of DATA/ADBench_classical: mean ROC and average precision when all rows (at most `most_rows` drawn) are fitted and
/// scored; and with half of the normal rows as a clean baseline, the rest scored, also the share of anomalies found at 5 % false positives.
/// Errors as read_adbench; not_found when there is no table.
Result<std::vector<Row>> adbench_rows(const std::filesystem::path& data, std::size_t most_rows, unsigned threads);

/// Executions of DATA/WfInstances grouped by how they ran: ARI against the program, the number of programs of a family given; mean over
/// families, and over all tasks of all families at once in the note. Errors as read_task_families.
Result<std::vector<Row>> executions_rows(const std::filesystem::path& data, unsigned threads);

}  // namespace kn::analytics::judging
