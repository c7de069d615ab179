#include "kubernaut/analytics/judging/anomaly/smd_score.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics::judging {
namespace {
Result<Matrix> read_numbers(const std::filesystem::path& path) {
    KN_TRY(const std::string text, read_text(path));
    const auto lines = csv_cells(text);
    if (lines.empty()) return Matrix{};
    Matrix values(lines.size(), lines.front().size());
    for (std::size_t r = 0; r < lines.size(); ++r) {
        if (lines[r].size() != values.cols())
            return fail(ErrorCode::invalid_argument, path.filename().string() + ": lines of different length", "line " + std::to_string(r + 1));
        for (std::size_t c = 0; c < values.cols(); ++c) values.at(r, c) = number(lines[r][c]);
    }
    return values;
}
}  // namespace

Result<std::vector<ServerFile>> read_servers(const std::filesystem::path& dir) {
    constexpr std::string_view ending = ".train.csv.gz";
    std::error_code error;
    std::vector<ServerFile> servers;
    for (const auto& entry : std::filesystem::directory_iterator(dir, error)) {
        const std::string file = entry.path().filename().string();
        if (!file.ends_with(ending)) continue;
        ServerFile server{.name = file.substr(0, file.size() - ending.size())};
        KN_TRY(server.train, read_numbers(entry.path()));
        KN_TRY(server.test, read_numbers(dir / (server.name + ".test.csv.gz")));
        KN_TRY(const Matrix labels, read_numbers(dir / (server.name + ".test_label.csv.gz")));
        if (labels.rows() != server.test.rows() || server.train.cols() != server.test.cols())
            return fail(ErrorCode::invalid_argument, server.name + ": the halves do not fit together");
        for (std::size_t r = 0; r < labels.rows(); ++r) server.labels.push_back(labels.at(r, 0) > 0.5 ? 1 : 0);
        servers.push_back(std::move(server));
    }
    if (error) return fail(ErrorCode::not_found, "cannot list " + dir.filename().string());
    std::ranges::sort(servers, {}, &ServerFile::name);
    return servers;
}

EventScore& EventScore::operator+=(const EventScore& other) {
    events += other.events;
    hit += other.hit;
    normal_rows += other.normal_rows;
    false_flags += other.false_flags;
    return *this;
}

EventScore event_score(std::span<const double> scores, std::span<const std::uint8_t> labels, double threshold) {
    EventScore score;
    bool inside = false, hit = false;
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const bool flag = scores[i] > threshold, anomaly = labels[i] != 0;
        if (anomaly && !inside) {
            ++score.events;
            hit = false;
        }
        if (anomaly && flag && !hit) {
            ++score.hit;
            hit = true;
        }
        if (!anomaly) {
            ++score.normal_rows;
            score.false_flags += flag ? 1 : 0;
        }
        inside = anomaly;
    }
    return score;
}

EventScore event_score_at_fpr(std::span<const double> scores, std::span<const std::uint8_t> labels, double fpr) {
    std::vector<double> normal;
    for (std::size_t i = 0; i < scores.size(); ++i)
        if (labels[i] == 0) normal.push_back(scores[i]);
    return event_score(scores, labels, quantile(normal, 1 - fpr));
}

double best_f1(std::span<const double> scores, std::span<const std::uint8_t> labels) {
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](std::size_t i) { return std::isnan(scores[i]) ? -std::numeric_limits<double>::infinity() : scores[i]; };
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return score(a) > score(b); });
    const auto positives = static_cast<double>(std::ranges::count_if(labels, [](std::uint8_t l) { return l != 0; }));
    double tp = 0, best = 0;
    for (std::size_t i = 0; i < order.size();) {
        const double at = score(order[i]);
        for (; i < order.size() && score(order[i]) == at; ++i) tp += labels[order[i]] != 0 ? 1 : 0;
        best = std::max(best, 2 * tp / (static_cast<double>(i) + positives));
    }
    return best;
}

}  // namespace kn::analytics::judging
