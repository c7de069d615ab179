#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/discovery/options.hpp"
#include "kubernaut/discovery/series_memory.hpp"
#include "kubernaut/ports/cluster_gateway.hpp"
#include "kubernaut/ports/pattern_store.hpp"

namespace kn::discovery {

using async::Task;

/// Follows the configured measurements of all clusters: asks each Prometheus only for what is new, keeps every series in constant memory.
class SeriesReader {
public:
    SeriesReader(async::EventLoop& loop, ports::ClusterGateway& gateway, ports::MetricsSource* source)
        : loop_(loop), gateway_(gateway), source_(source) {}

    /// One round over the clusters. A cluster or a query that does not answer costs its own news only; `missing` counts them.
    Task<> refresh(DiscoveryOptions options, Deadline deadline);
    void append_to(patterns::History& history, const DiscoveryOptions& options) const;

    /// States that have changed since the last call.
    std::vector<ports::AnalyzerState> changed(Instant now);
    /// An unreadable state is left out: its series is learnt anew.
    void resume(const std::vector<ports::AnalyzerState>& states);

    [[nodiscard]] std::size_t size() const { return followed_.size(); }
    [[nodiscard]] int missing() const { return missing_; }

    static constexpr std::string_view prefix = "stream/";

private:
    struct Followed {
        SeriesMemory memory;
        SeriesQuery query;
        std::vector<std::pair<std::string, std::string>> labels;
        std::string environment;
        std::optional<double> limit;
        Instant asked_at{};  ///< last round that showed it
        bool dirty = false;
    };
    using Key = std::pair<std::string, std::string>;  ///< cluster, name
    Task<> read(ClusterRecord cluster, SeriesQuery query, DiscoveryOptions options, Deadline deadline);

    async::EventLoop& loop_;
    ports::ClusterGateway& gateway_;
    ports::MetricsSource* source_;
    std::map<Key, Followed> followed_;
    std::map<Key, std::string> resumed_;  // states of series that nobody has shown yet
    std::map<Key, Instant> asked_;        // cluster, query
    int missing_ = 0;
};

/// "volume{namespace="shop",persistentvolumeclaim="data"}": labels in order of name, without those of the scrape.
std::string series_name(const SeriesQuery& query, const std::vector<std::pair<std::string, std::string>>& labels);

}  // namespace kn::discovery
