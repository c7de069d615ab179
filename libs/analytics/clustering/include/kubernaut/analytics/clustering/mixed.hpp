#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/numerics/matrix.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// One column of a table of mixed types. Exactly one of `numbers` and `categories` is filled.
struct MixedColumn {
    std::string name;
    std::vector<double> numbers{};              ///< a value that is not finite is missing
    std::vector<std::int32_t> categories{};     ///< codes from 0; negative = missing
    std::vector<std::string> category_names{};  ///< of the codes, for explanations; may be shorter
    double weight = 1;                          ///< how much the column counts, >= 0

    [[nodiscard]] bool numeric() const { return categories.empty(); }
    [[nodiscard]] std::size_t size() const { return numeric() ? numbers.size() : categories.size(); }
    [[nodiscard]] bool missing(std::size_t row) const;
};

struct MixedTable {
    std::vector<MixedColumn> columns;
    [[nodiscard]] std::size_t rows() const { return columns.empty() ? 0 : columns.front().size(); }
};

/// invalid_argument: no columns, no rows, columns of different length, a negative weight, a column with both kinds of values.
Result<> check(const MixedTable& table);

/// Gower's distance (1971) between rows of one table: per column |a - b| / range or 0/1, weighed, over the columns known in both; 1 when
/// there is none. `ranges` from gower_ranges: the spread from the 1 % to the 99 % quantile, so that one outlier does not flatten a column.
std::vector<double> gower_ranges(const MixedTable& table);
double gower_distance(const MixedTable& table, const std::vector<double>& ranges, std::size_t a, std::size_t b);

/// A table of numbers in which Euclidean distance does what Gower's does for the mixed one, for the methods that need coordinates: a number
/// becomes its (logarithm's, where a column of only positive values is skewed) distance from the mean in deviations; a category one column a
/// code, scaled so that two rows that differ are as far apart as two random rows of a numeric column on average (as in factor analysis
/// of mixed data; Pagès 2004). Missing: the column's mean. Codes beyond the 32 most frequent share one column.
struct Embedding {
    Matrix values;
    std::vector<std::size_t> column_of;  ///< of the mixed table, for each column of values
};
Embedding embed(const MixedTable& table);

/// log(1 + x / scale) where a column of values >= 0 is so skewed that this makes it more symmetric; the same values otherwise.
std::vector<double> unskewed(const std::vector<double>& values);

struct KPrototypesOptions {
    std::size_t clusters = 2;
    unsigned max_steps = 50;
    unsigned restarts = 4;
    std::uint64_t seed = 1;
};

struct KPrototypes {
    std::vector<Label> labels;
    std::vector<std::vector<double>> prototypes;  ///< per cluster and column: the mean, or the most frequent code; NaN: unknown in the cluster
    double cost = 0;                              ///< sum of the rows' distances to their prototypes
    bool converged = false;
};

/// k-prototypes (Huang 1998): k-means for numbers (in deviations) and modes for categories, with missing values left out of distances and
/// means (the distance is scaled up for the columns that are missing). A differing category costs as much as two random numbers apart.
/// Seeded by k-means++ on the same distance. O(rows x clusters x columns) a step.
Result<KPrototypes> k_prototypes(const MixedTable& table, const KPrototypesOptions& options);

}  // namespace kn::analytics
