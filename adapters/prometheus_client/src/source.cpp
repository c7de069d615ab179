#include "kubernaut/prometheus_client/source.hpp"

#include <algorithm>
#include <charconv>

#include "kubernaut/json/json.hpp"

namespace kn::prometheus {
namespace {

std::string seconds(Duration d) {
    char buffer[32];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, static_cast<double>(d.count()) / 1000.0, std::chars_format::fixed, 3).ptr;
    return {buffer, end};
}

/// Named for another cluster by the label that alerts use as well. Without the label nobody can tell.
bool is_of_another(const ports::Series& series, const ClusterId& cluster) {
    return std::ranges::any_of(series.labels, [&](const auto& label) { return label.first == "cluster" && label.second != cluster.str(); });
}

}  // namespace

PrometheusSource::PrometheusSource(std::map<ClusterId, Server> servers, Server shared, async::Clock& clock, Duration timeout)
    : servers_(std::move(servers)), shared_(std::move(shared)), clock_(clock), timeout_(timeout) {}

ports::Task<Result<std::vector<ports::Series>>> PrometheusSource::range(const ClusterId& cluster, std::string promql, Instant from, Instant to,
                                                                        Duration step, Deadline deadline) {
    const auto found = servers_.find(cluster);
    const Server& server = found != servers_.end() ? found->second : shared_;
    if (server.transport == nullptr) co_return fail(ErrorCode::failed_precondition, "no Prometheus is configured for cluster " + cluster.str());
    kube::Request request{.method = kube::Method::get,
                          .path = server.prefix + "/api/v1/query_range",
                          .query = {{"query", std::move(promql)},
                                    {"start", seconds(from.time_since_epoch())},
                                    {"end", seconds(to.time_since_epoch())},
                                    {"step", seconds(step)}}};
    auto response = co_await server.transport->send(std::move(request), deadline.earlier(clock_.deadline_in(timeout_)));
    if (!response) co_return fail(response.error().with_context("asking Prometheus"));
    if (response->status != 200) {
        const auto body = json::parse(response->body);
        co_return fail(response->status >= 500 ? ErrorCode::unavailable : ErrorCode::invalid_argument,
                       "Prometheus answered " + std::to_string(response->status) + (body ? ": " + std::string(json::string_at(*body, "error")) : ""));
    }
    KN_CO_TRY(auto all, parse(response->body));
    if (found == servers_.end()) std::erase_if(all, [&](const ports::Series& series) { return is_of_another(series, cluster); });
    co_return all;
}

Result<std::vector<ports::Series>> PrometheusSource::parse(const std::string& body) {
    KN_TRY(const auto document, json::parse(body));
    if (json::string_at(document, "status") != "success" || json::string_at(document, "data", "resultType") != "matrix") {
        return fail(ErrorCode::internal, "Prometheus gave no matrix");
    }
    std::vector<ports::Series> all;
    for (const auto& result : json::array_at(document, "data", "result")) {
        ports::Series series;
        for (const auto& [name, value] : json::object_at(result, "metric")) {
            if (const auto* text = value.if_string())
                series.labels.emplace_back(std::string(name.data(), name.size()), std::string(json::view(*text)));
        }
        for (const auto& pair : json::array_at(result, "values")) {
            const auto at = json::double_at(pair, 0);
            const auto text = json::string_at(pair, 1);
            double value = 0;
            const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (!at || ec != std::errc{} || end != text.data() + text.size()) continue;  // NaN and +Inf are no measurements
            if (value != value || value > 1e300 || value < -1e300) continue;
            series.samples.push_back({from_millis(static_cast<std::int64_t>(*at * 1000)), value});
        }
        all.push_back(std::move(series));
    }
    return all;
}

}  // namespace kn::prometheus
