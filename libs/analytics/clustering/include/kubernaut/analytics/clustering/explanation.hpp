#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kubernaut/analytics/clustering/k_means.hpp"
#include "kubernaut/analytics/clustering/mixed.hpp"
#include "kubernaut/base/result.hpp"

namespace kn::analytics {

/// One thing that sets a cluster apart: a category that its rows share, or a range that its numbers keep to.
struct SharedTrait {
    std::size_t column = 0;
    std::optional<std::int32_t> category{};  ///< for a column of categories
    double low = 0, high = 0;                ///< for numbers: the 10 % and 90 % quantiles in the cluster
    double typical = 0;                      ///< median in the cluster
    double elsewhere = 0;                    ///< median of the other rows
    double inside_share = 0;                 ///< of the cluster's known rows that have the category, or lie in [low, high]
    double outside_share = 0;                ///< of the other known rows
    double lift = 1;                         ///< inside_share / outside_share, with half a row added to both sides
    double p_value = 1;                      ///< of so large a difference of the shares by chance (two-sided, normal), times the traits tried
    double precision = 0;                    ///< of all rows with the trait, how many are in the cluster
};

struct ClusterDescription {
    Label label = 0;
    std::string id;  ///< 16 hex digits from what its rows share; stays the same while its traits do
    std::size_t rows = 0;
    std::size_t medoid = 0;             ///< the row nearest to all others of the cluster (of at most 256 evenly spaced ones)
    std::vector<SharedTrait> traits{};  ///< the most telling first: largest information about membership
};

struct ExplanationOptions {
    double least_share = 0.6;  ///< of the cluster's rows
    double least_lift = 1.3;
    double largest_p = 0.01;
    std::size_t most_traits = 6;
};

/// What the rows of each cluster share and others do not, in the order of the labels; noise is not described. "share: node pool spot-a,
/// memory near the limit" is traits put into words by the caller. O(rows x columns + clusters x 256^2 columns).
/// invalid_argument: a table that check() refuses, or another number of labels than rows.
Result<std::vector<ClusterDescription>> describe_clusters(const MixedTable& table, std::span<const Label> labels,
                                                          const ExplanationOptions& options = {});

/// "memory 3.1 to 3.9, pool spot-a": the traits in words, for logs and as a default name.
std::string to_text(const MixedTable& table, const ClusterDescription& description);

}  // namespace kn::analytics
