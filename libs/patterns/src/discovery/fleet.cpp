#include <set>

#include "discovery/common.hpp"

namespace kn::patterns {
namespace {

constexpr std::size_t least_clusters = 2;  // that share a recurrence
constexpr std::size_t least_in_burst = 3;  // that a wave runs over
constexpr double least_share = 0.25;       // of the incidents from each, so that one stray is no company

using Clusters = std::map<std::string, std::string>;  // incident → cluster

/// Of the clusters in it, how many hold at least `share` of these incidents.
std::size_t clusters_of(const std::vector<std::string>& ids, const Clusters& clusters, double share) {
    std::map<std::string, std::size_t> counts;
    for (const auto& id : ids)
        if (const auto found = clusters.find(id); found != clusters.end()) ++counts[found->second];
    return static_cast<std::size_t>(std::count_if(
        counts.begin(), counts.end(), [&](const auto& one) { return static_cast<double>(one.second) >= share * static_cast<double>(ids.size()); }));
}

}  // namespace

Found find_fleet_patterns(const Question& q) {
    Clusters clusters;
    std::set<std::string> names;
    for (const auto& row : q.history.incidents) clusters.emplace(row.id, row.cluster), names.insert(row.cluster);
    std::vector<Pattern> found;
    if (names.size() < least_clusters) return found;

    // The same trouble of the same workload, wherever it runs.
    History same;
    same.incidents = q.history.incidents;
    for (auto& row : same.incidents) row.cluster.clear(), row.environment.clear();
    KN_TRY(auto recurrences,
           find_recurrences({.history = same, .now = q.now, .false_discovery_rate = q.false_discovery_rate, .out_of_time = q.out_of_time}));
    for (auto& pattern : recurrences) {
        if (clusters_of(pattern.evidence, clusters, least_share) < least_clusters) continue;
        pattern.claim += " on several clusters";
        found.push_back(std::move(pattern));
    }
    // A wave of one fault class over the fleet, whatever it hits.
    History waves;
    waves.incidents = same.incidents;
    for (auto& row : waves.incidents) row.subject = "several clusters";
    KN_TRY(auto bursts, find_bursts({.history = waves, .now = q.now, .false_discovery_rate = q.false_discovery_rate, .out_of_time = q.out_of_time}));
    for (auto& pattern : bursts)
        if (clusters_of(pattern.evidence, clusters, 0) >= least_in_burst) found.push_back(std::move(pattern));
    for (auto& pattern : found) pattern.provenance.analyzer = "fleet";
    return found;
}

}  // namespace kn::patterns
