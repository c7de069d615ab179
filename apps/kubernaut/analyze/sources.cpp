#include "analyze/sources.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include "kubernaut/async/loop.hpp"
#include "kubernaut/kube_http/http_transport.hpp"
#include "kubernaut/prometheus_client/source.hpp"

namespace kn::app {
namespace {

constexpr std::size_t most_bytes = 1U << 30U;

Result<std::string> read_stream(std::istream& in, const std::string& name) {
    std::string text;
    std::array<char, 1U << 16U> buffer{};
    while (in.read(buffer.data(), buffer.size()) || in.gcount() > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
        if (text.size() > most_bytes) return fail(ErrorCode::resource_exhausted, name + " is larger than 1 GiB");
    }
    if (in.bad()) return fail(ErrorCode::unavailable, "reading " + name + " failed");
    return text;
}

Result<tabular::Zone> zone_from_file(const std::filesystem::path& path, const std::string& name) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return fail(ErrorCode::not_found, "there is no time zone " + name + "; names are as in Europe/Berlin, or an offset such as +02:00");
    KN_TRY(const std::string bytes, read_stream(in, path.string()));
    return tabular::Zone::from_tzif(bytes, name);
}

/// name{label="..."} with only the labels in which the series differ.
std::vector<std::string> names_of(const std::vector<ports::Series>& all) {
    std::map<std::string, std::map<std::string, std::size_t>> values;
    for (const auto& series : all)
        for (const auto& [label, value] : series.labels) ++values[label][value];
    std::vector<std::string> names;
    for (const auto& series : all) {
        std::string base, labels;
        for (const auto& [label, value] : series.labels) {
            const auto& known = values[label];
            const bool differs = known.size() > 1 || known.begin()->second < all.size();
            if (label == "__name__")
                base = value;
            else if (differs)
                labels += (labels.empty() ? "" : ",") + label + "=\"" + value + "\"";
        }
        names.push_back(labels.empty() ? (base.empty() ? "value" : base) : base + "{" + labels + "}");
    }
    return names;
}

}  // namespace

Result<std::string> read_input(const std::string& file) {
    if (file == "-") return read_stream(std::cin, "standard input");
    std::error_code error;
    if (std::filesystem::is_directory(file, error)) return fail(ErrorCode::invalid_argument, file + " is a folder");
    std::ifstream in(file, std::ios::binary);
    if (!in) return fail(ErrorCode::not_found, "cannot open " + file);
    return read_stream(in, file);
}

Result<tabular::Zone> find_zone(const std::string& name) {
    if (const auto offset = tabular::Zone::from_offset(name)) return *offset;
    if (name == "local") return zone_from_file("/etc/localtime", "local time");
    const bool plain =
        !name.empty() && name.front() != '/' && name.find("..") == std::string::npos &&
        std::all_of(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+'; });
    if (!plain)
        return fail(ErrorCode::invalid_argument, "\"" + name + "\" is no time zone; names are as in Europe/Berlin, or an offset such as +02:00");
    const char* folder = std::getenv("TZDIR");
    return zone_from_file(std::filesystem::path(folder != nullptr ? folder : "/usr/share/zoneinfo") / name, name);
}

Result<tabular::TimeTable> ask_prometheus(const PrometheusQuery& q) {
    if (q.step <= Duration::zero() || q.last < q.step) return fail(ErrorCode::invalid_argument, "--step must be positive and not longer than --last");
    constexpr std::int64_t most_points = 1'000'000, a_piece = 10'000;  // Prometheus refuses more than 11,000 in one answer
    if (q.last / q.step > most_points)
        return fail(ErrorCode::invalid_argument, "that would be " + std::to_string(q.last / q.step) + " points a series; choose a longer --step");
    std::string url = q.url;
    if (url.find("://") == std::string::npos) url = "http://" + url;
    const auto slash = url.find('/', url.find("://") + 3);
    std::string prefix = slash == std::string::npos ? "" : url.substr(slash);
    while (prefix.ends_with('/')) prefix.pop_back();

    const auto loop = async::EventLoop::real();
    kube::ConnectionConfig connection;
    connection.server = url.substr(0, slash);
    connection.token = q.token;
    prometheus::PrometheusSource source({}, {kube::make_http_transport(connection, {.user_agent = "kubernaut-analyze"}, *loop), prefix},
                                        loop->clock(), 2min);

    std::map<std::vector<std::pair<std::string, std::string>>, std::size_t> place_of;
    std::vector<ports::Series> all;
    for (Instant from = q.now - q.last; from <= q.now; from += q.step * a_piece) {
        const Instant to = std::min(q.now, from + q.step * (a_piece - 1));
        KN_TRY(auto part, loop->block_on(source.range(ClusterId("prometheus"), q.query, from, to, q.step, loop->clock().deadline_in(2min))));
        for (auto& series : part) {
            const auto [place, fresh] = place_of.try_emplace(series.labels, all.size());
            if (fresh)
                all.push_back(std::move(series));
            else
                all[place->second].samples.insert(all[place->second].samples.end(), series.samples.begin(), series.samples.end());
        }
    }
    if (all.empty()) return fail(ErrorCode::not_found, "the query gave no series");
    tabular::TimeTable table;
    table.layout = tabular::Layout::long_;
    table.time_column = "timestamp";
    table.time_form = "Prometheus";
    const auto names = names_of(all);
    for (std::size_t s = 0; s < all.size(); ++s) {
        tabular::TimedSeries series{.name = names[s], .times = {}, .values = {}};
        for (const auto& sample : all[s].samples) {
            series.times.push_back(static_cast<double>(to_millis(sample.at)) / 1000);
            series.values.push_back(sample.value);
        }
        if (series.times.empty()) continue;
        tabular::put_in_order(series);
        table.series.push_back(std::move(series));
    }
    if (table.series.empty()) return fail(ErrorCode::not_found, "the query gave no values");
    return table;
}

}  // namespace kn::app
