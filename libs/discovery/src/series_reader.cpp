#include "series_reader.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "kubernaut/base/log.hpp"

namespace kn::discovery {
namespace {

constexpr std::int64_t most_points = 10'000;             // a Prometheus refuses more than 11,000 points a series
constexpr Duration forget_after = std::chrono::days{2};  // a series that is gone this long is another one when it comes back
/// What names where a sample was scraped and not what it is about.
constexpr std::array<std::string_view, 9> scrape_labels{"__name__", "job",          "instance",   "endpoint", "service",
                                                        "cluster",  "metrics_path", "prometheus", "id"};

bool is_scrape_label(std::string_view name) { return std::ranges::find(scrape_labels, name) != scrape_labels.end(); }

std::vector<std::pair<std::string, std::string>> own_labels(const std::vector<std::pair<std::string, std::string>>& labels) {
    std::vector<std::pair<std::string, std::string>> out;
    for (const auto& label : labels)
        if (!is_scrape_label(label.first) && !label.second.empty()) out.push_back(label);
    std::ranges::sort(out);
    return out;
}

bool of_cluster(const std::vector<std::pair<std::string, std::string>>& labels, const ClusterId& cluster) {
    return std::ranges::none_of(labels, [&](const auto& label) { return label.first == "cluster" && label.second != cluster.str(); });
}

}  // namespace

std::string series_name(const SeriesQuery& query, const std::vector<std::pair<std::string, std::string>>& labels) {
    std::string out = query.name;
    char open = '{';
    for (const auto& [name, value] : labels) {
        out += open;
        out += name + "=\"" + value + "\"";
        open = ',';
    }
    if (open == ',') out += '}';
    return out;
}

Task<> SeriesReader::refresh(DiscoveryOptions options, Deadline deadline) {
    missing_ = 0;
    if (source_ == nullptr) co_return;
    for (const ClusterRecord& cluster : gateway_.clusters()) {
        if (cluster.admin != AdminState::active) continue;
        for (const SeriesQuery& query : options.series) {
            if (deadline.passed(loop_.clock().steady())) {
                ++missing_;
                continue;
            }
            co_await read(cluster, query, options, deadline);
        }
    }
    const Instant now = loop_.clock().now();
    std::erase_if(followed_, [&](const auto& entry) { return entry.second.asked_at + forget_after < now; });
    for (auto& [key, one] : followed_) one.memory.forget(now - options.window);
}

Task<> SeriesReader::read(ClusterRecord cluster, SeriesQuery query, DiscoveryOptions options, Deadline deadline) {
    async::Clock& clock = loop_.clock();
    const Instant now = clock.now();
    const Duration step = std::max<Duration>(query.step, 1s);
    // What was asked before is known; series that are new since then have their past within one window of the first asking only.
    const Key place{cluster.id.str(), query.name};
    const auto asked = asked_.find(place);
    Instant from = now - std::min<Duration>(options.window, step * most_points);
    if (asked != asked_.end()) from = std::max(from, asked->second);
    if (from >= now) co_return;
    const auto limit_of = [&] { return deadline.earlier(clock.deadline_in(options.query_timeout)); };
    auto found = co_await source_->range(cluster.id, query.query, from, now, step, limit_of());
    if (!found) {
        ++missing_;
        log::debug("a series could not be read", {{"cluster", cluster.id.str()}, {"series", query.name}, {"error", found.error().describe()}});
        co_return;
    }
    asked_[place] = now;
    std::map<std::vector<std::pair<std::string, std::string>>, double> limits;
    if (!query.limit_query.empty() && query.limit > 0) {
        const auto shown = co_await source_->range(cluster.id, query.limit_query, now - step, now, step, limit_of());
        if (!shown)
            ++missing_;
        else
            for (const auto& series : *shown)
                if (!series.samples.empty() && of_cluster(series.labels, cluster.id))
                    limits[own_labels(series.labels)] = series.samples.back().value * query.limit;
    }
    // One Prometheus may serve several clusters.
    std::erase_if(*found, [&](const ports::Series& one) { return !of_cluster(one.labels, cluster.id); });
    if (found->size() > options.most_series) {
        log::warning("more series than are followed",
                     {{"cluster", cluster.id.str()}, {"series", query.name}, {"found", std::to_string(found->size())}});
        found->resize(options.most_series);
    }
    for (const auto& series : *found) {
        auto labels = own_labels(series.labels);
        const std::string name = series_name(query, labels);
        const Key key{cluster.id.str(), name};
        auto entry = followed_.find(key);
        if (entry == followed_.end() && followed_.size() >= options.most_followed) {
            ++missing_;
            continue;
        }
        if (entry == followed_.end()) {
            SeriesMemory memory(step);
            if (const auto state = resumed_.find(key); state != resumed_.end()) {
                if (auto loaded = SeriesMemory::load(state->second)) memory = *std::move(loaded);
                resumed_.erase(state);
            }
            entry =
                followed_.emplace(key, Followed{.memory = std::move(memory), .query = query, .labels = labels, .environment = {}, .limit = {}}).first;
        }
        Followed& one = entry->second;
        one.query = query;
        one.environment = std::string(to_string(cluster.environment));
        one.asked_at = now;
        if (query.limit > 0) {
            if (query.limit_query.empty())
                one.limit = query.limit;
            else if (const auto limit = limits.find(labels); limit != limits.end() && std::isfinite(limit->second) && limit->second > 0)
                one.limit = limit->second;
        }
        for (const auto& sample : series.samples) {
            one.memory.add(sample.at, sample.value);
            one.dirty = true;
        }
    }
}

void SeriesReader::append_to(patterns::History& history, const DiscoveryOptions& options) const {
    for (const auto& [key, one] : followed_) {
        patterns::SeriesRow row;
        row.name = key.second;
        row.cluster = key.first;
        row.environment = one.environment;
        row.limit = one.limit;
        row.horizon = std::chrono::duration<double>(options.horizon).count();
        row.labels = one.labels;
        one.memory.fill(row);
        if (!row.times.empty()) history.series.push_back(std::move(row));
    }
}

std::vector<ports::AnalyzerState> SeriesReader::changed(Instant now) {
    std::vector<ports::AnalyzerState> out;
    for (auto& [key, one] : followed_) {
        if (!one.dirty) continue;
        out.push_back({ClusterId(key.first), std::string(prefix) + key.second, one.memory.save(), now});
        one.dirty = false;
    }
    return out;
}

void SeriesReader::resume(const std::vector<ports::AnalyzerState>& states) {
    for (const auto& state : states) {
        if (!state.key.starts_with(prefix)) continue;
        const std::string name = state.key.substr(prefix.size());
        // The query goes on where the series that is furthest behind ends.
        if (const auto memory = SeriesMemory::load(state.bytes); memory && memory->last()) {
            const Key place{state.cluster.str(), name.substr(0, name.find('{'))};
            const auto [known, fresh] = asked_.emplace(place, *memory->last());
            if (!fresh) known->second = std::min(known->second, *memory->last());
        }
        resumed_[{state.cluster.str(), name}] = state.bytes;
    }
}

}  // namespace kn::discovery
