#include "kubernaut/analytics/judging/anomaly/vus_score.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace kn::analytics::judging {
namespace {
struct Segment {
    std::size_t first = 0, last = 0;  // both in
};

std::vector<Segment> runs_of(std::span<const std::uint8_t> labels) {
    std::vector<Segment> runs;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] == 0) continue;
        if (runs.empty() || runs.back().last + 1 != i)
            runs.push_back({i, i});
        else
            runs.back().last = i;
    }
    return runs;
}

// Anomalies widened by `half` on either side, merged when they touch.
std::vector<Segment> widened(std::span<const Segment> runs, std::size_t half, std::size_t n) {
    std::vector<Segment> segments;
    for (const Segment& run : runs) {
        const Segment wide{run.first - std::min(run.first, half), std::min(run.last + half, n - 1)};
        if (!segments.empty() && segments.back().last >= wide.first)
            segments.back().last = wide.last;
        else
            segments.push_back(wide);
    }
    return segments;
}

// 1 inside, sqrt(1 - dist / w) on the floor(w / 2) points of either buffer.
void soften(std::span<const Segment> runs, std::size_t width, std::span<double> soft) {
    std::ranges::fill(soft, 0);
    const std::size_t half = width / 2, n = soft.size();
    const auto w = static_cast<double>(width);
    for (const Segment& run : runs) {
        for (std::size_t i = run.last + 1; i < std::min(run.last + half + 1, n); ++i) soft[i] += std::sqrt(1 - static_cast<double>(i - run.last) / w);
        for (std::size_t i = run.first - std::min(run.first, half); i < run.first; ++i)
            soft[i] += std::sqrt(1 - static_cast<double>(run.first - i) / w);
    }
    for (const Segment& run : runs)
        for (std::size_t i = run.first; i <= run.last; ++i) soft[i] = 1;
    for (double& s : soft) s = std::min(s, 1.0);
}

std::vector<double> without_nan(std::span<const double> scores) {
    std::vector<double> clean(scores.begin(), scores.end());
    for (double& s : clean)
        if (std::isnan(s)) s = -std::numeric_limits<double>::infinity();
    return clean;
}

// For each point the index of the first (highest) threshold that flags it.
struct Levels {
    std::vector<std::uint16_t> level;
    std::vector<double> flagged;  // per threshold: how many points it flags
};

constexpr std::size_t thresholds = 250;

Levels levels_of(std::span<const double> scores) {
    std::vector<double> sorted(scores.begin(), scores.end());
    std::ranges::sort(sorted, std::greater{});
    std::vector<double> cuts(thresholds);
    const auto n = scores.size();
    for (std::size_t k = 0; k < thresholds; ++k)
        cuts[k] = sorted[static_cast<std::size_t>(static_cast<double>(k) * static_cast<double>(n - 1) / static_cast<double>(thresholds - 1))];
    Levels levels{.level = std::vector<std::uint16_t>(n), .flagged = std::vector<double>(thresholds, 0)};
    for (std::size_t i = 0; i < n; ++i) {
        const auto at = std::ranges::lower_bound(cuts, scores[i], std::greater{});
        levels.level[i] = static_cast<std::uint16_t>(std::min<std::ptrdiff_t>(at - cuts.begin(), thresholds - 1));
        levels.flagged[levels.level[i]] += 1;
    }
    std::partial_sum(levels.flagged.begin(), levels.flagged.end(), levels.flagged.begin());
    return levels;
}
}  // namespace

double vus_pr(std::span<const double> raw, std::span<const std::uint8_t> labels, std::size_t max_width) {
    const std::size_t n = raw.size();
    const auto runs = runs_of(labels);
    if (n == 0 || runs.empty()) return 0;
    const auto scores = without_nan(raw);
    const Levels levels = levels_of(scores);
    const auto positives = static_cast<double>(std::ranges::count_if(labels, [](std::uint8_t l) { return l != 0; }));

    std::vector<double> soft(n), hits(thresholds), buffer(thresholds), existing(thresholds);
    double volume = 0;
    for (std::size_t width = 0; width <= max_width; ++width) {
        soften(runs, width, soft);
        std::ranges::fill(hits, 0);
        std::ranges::fill(buffer, 0);
        std::ranges::fill(existing, 0);
        for (std::size_t i = 0; i < n; ++i) {
            if (soft[i] == 0) continue;
            hits[levels.level[i]] += soft[i];
            if (labels[i] == 0) buffer[levels.level[i]] += soft[i];
        }
        const auto segments = widened(runs, width / 2, n);
        for (const Segment& segment : segments) {
            const auto first = levels.level.begin() + static_cast<std::ptrdiff_t>(segment.first);
            existing[*std::min_element(first, levels.level.begin() + static_cast<std::ptrdiff_t>(segment.last) + 1)] += 1;
        }
        double area = 0, before = 0, tp = 0, soft_flagged = 0, found = 0;
        for (std::size_t k = 0; k < thresholds; ++k) {
            tp += hits[k];
            soft_flagged += buffer[k];
            found += existing[k];
            if (levels.flagged[k] == 0) continue;
            const double marked = positives + soft_flagged;
            const double recall = std::min(tp / ((positives + marked) / 2), 1.0) * found / static_cast<double>(segments.size());
            area += (recall - before) * tp / levels.flagged[k];
            before = recall;
        }
        volume += area;
    }
    return volume / static_cast<double>(max_width + 1);
}

std::size_t vus_width(std::span<const double> values) {
    constexpr std::size_t base = 3, lags = 400, fallback = 125;
    const std::size_t n = std::min<std::size_t>(values.size(), 20'000);
    if (n < base + 2) return fallback;
    const double center = std::accumulate(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n), 0.0) / static_cast<double>(n);
    std::vector<double> correlation;
    for (std::size_t lag = base; lag <= std::min(lags, n - 1); ++lag) {
        double sum = 0;
        for (std::size_t i = lag; i < n; ++i) sum += (values[i] - center) * (values[i - lag] - center);
        correlation.push_back(sum);
    }
    std::size_t best = 0;
    double highest = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 1; i + 1 < correlation.size(); ++i) {
        if (correlation[i] > correlation[i - 1] && correlation[i] > correlation[i + 1] && correlation[i] > highest) {
            highest = correlation[i];
            best = i;
        }
    }
    return best < 3 || best > 300 ? fallback : best + base;
}

double roc_auc(std::span<const double> raw, std::span<const std::uint8_t> labels) {
    const auto scores = without_nan(raw);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double tp = 0, fp = 0, area = 0;
    for (std::size_t i = 0; i < order.size();) {
        double p = 0, q = 0;
        const double score = scores[order[i]];
        for (; i < order.size() && scores[order[i]] == score; ++i) (labels[order[i]] != 0 ? p : q) += 1;
        area += q * (tp + p / 2);
        tp += p;
        fp += q;
    }
    return tp * fp == 0 ? 0 : area / (tp * fp);
}

double average_precision(std::span<const double> raw, std::span<const std::uint8_t> labels) {
    const auto scores = without_nan(raw);
    std::vector<std::size_t> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::sort(order, [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
    double tp = 0, area = 0;
    for (std::size_t i = 0; i < order.size();) {
        double p = 0;
        const double score = scores[order[i]];
        for (; i < order.size() && scores[order[i]] == score; ++i) p += labels[order[i]] != 0 ? 1 : 0;
        tp += p;
        area += p * tp / static_cast<double>(i);
    }
    return tp == 0 ? 0 : area / tp;
}

}  // namespace kn::analytics::judging
