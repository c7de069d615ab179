#include "kubernaut/patterns/discovery/calibration.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace kn::patterns {

namespace {
constexpr std::size_t most_checks = 5000;  // the latest; what an analyzer was worth years ago says little
}

double wilson_lower(std::size_t hits, std::size_t trials, double z) {
    if (trials == 0) return 0;
    const auto n = static_cast<double>(trials);
    const double share = static_cast<double>(hits) / n, z2 = z * z;
    return std::max(0.0, (share + z2 / (2 * n) - z * std::sqrt(share * (1 - share) / n + z2 / (4 * n * n))) / (1 + z2 / n));
}

void Calibration::add(double raw, bool came_true) {
    if (!std::isfinite(raw)) return;
    if (checks_.size() == most_checks) checks_.erase(checks_.begin());
    checks_.push_back({std::clamp(raw, 0.0, 1.0), came_true});
    // A new check moves the fit little: it is made again with every twentieth.
    if (checks_.size() == enough || (calibrated() && ++since_fit_ % 20 == 0)) refit();
}

void Calibration::refit() {
    std::vector<Check> sorted = checks_;
    std::sort(sorted.begin(), sorted.end(),
              [](const Check& a, const Check& b) { return a.raw != b.raw ? a.raw < b.raw : a.came_true < b.came_true; });
    struct Pool {
        double from, hits, count;
    };
    std::vector<Pool> pools;
    for (std::size_t i = 0; i < sorted.size();) {
        Pool pool{sorted[i].raw, 0, 0};
        for (; i < sorted.size() && sorted[i].raw == pool.from; ++i) pool.hits += sorted[i].came_true ? 1 : 0, ++pool.count;
        pools.push_back(pool);
        while (pools.size() > 1 && pools[pools.size() - 2].hits / pools[pools.size() - 2].count >= pools.back().hits / pools.back().count) {
            pools[pools.size() - 2].hits += pools.back().hits;
            pools[pools.size() - 2].count += pools.back().count;
            pools.pop_back();
        }
    }
    // One check on either side keeps a pool of few from claiming certainty (Laplace); the order of the pools stays.
    steps_.clear();
    double last = 0;
    for (const Pool& pool : pools) {
        last = std::max(last, (pool.hits + 1) / (pool.count + 2));
        steps_.emplace_back(pool.from, last);
    }
}

double Calibration::confidence(double raw) const {
    if (!steps_.empty()) {
        const auto next = std::upper_bound(steps_.begin(), steps_.end(), raw, [](double r, const auto& step) { return r < step.first; });
        return next == steps_.begin() ? steps_.front().second : std::prev(next)->second;
    }
    const auto [hits, count] = near(raw);
    return wilson_lower(hits, count);
}

double Calibration::confidence_of_stated(double raw) const {
    if (!steps_.empty()) return confidence(raw);
    const auto [hits, count] = near(raw);
    return (static_cast<double>(hits) + stated_weight * raw) / (static_cast<double>(count) + stated_weight);
}

std::pair<std::size_t, std::size_t> Calibration::near(double raw) const {
    // Checks of about this strength: the nearest, at most a third of them, at least ten.
    if (checks_.empty()) return {0, 0};
    std::vector<std::pair<double, bool>> close;
    for (const Check& one : checks_) close.emplace_back(std::abs(one.raw - raw), one.came_true);
    std::sort(close.begin(), close.end());
    close.resize(std::min(close.size(), std::max<std::size_t>(10, close.size() / 3)));
    const auto hits = static_cast<std::size_t>(std::count_if(close.begin(), close.end(), [](const auto& one) { return one.second; }));
    return {hits, close.size()};
}

double Calibration::brier() const {
    if (checks_.empty()) return 0;
    double sum = 0;
    for (const Check& one : checks_) {
        const double off = confidence(one.raw) - (one.came_true ? 1 : 0);
        sum += off * off;
    }
    return sum / static_cast<double>(checks_.size());
}

double Calibration::expected_calibration_error() const {
    struct Bin {
        double said = 0, happened = 0, count = 0;
    };
    std::array<Bin, 10> bins{};
    for (const Check& one : checks_) {
        const double said = confidence(one.raw);
        Bin& bin = bins[std::min<std::size_t>(9, static_cast<std::size_t>(said * 10))];
        bin.said += said;
        bin.happened += one.came_true ? 1 : 0;
        ++bin.count;
    }
    double error = 0;
    for (const Bin& bin : bins) error += std::abs(bin.said - bin.happened);
    return checks_.empty() ? 0 : error / static_cast<double>(checks_.size());
}

std::string Calibration::save() const {
    // Six digits a check: its strength, and + when it came true. What is added after loading meets the same fit, for the fit is made anew.
    std::string out;
    out.reserve(checks_.size() * 8);
    for (const Check& one : checks_) {
        std::array<char, 16> text{};
        std::snprintf(text.data(), text.size(), "%c%06ld", one.came_true ? '+' : '-', std::lround(one.raw * 999'999));
        out += text.data();
    }
    return out;
}

Result<Calibration> Calibration::load(std::string_view text) {
    constexpr std::size_t width = 7;
    if (text.size() % width != 0 || text.size() / width > most_checks) return fail(ErrorCode::invalid_argument, "these are no checks");
    Calibration out;
    for (std::size_t at = 0; at < text.size(); at += width) {
        const std::string_view digits = text.substr(at + 1, width - 1);
        long number = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
        if ((text[at] != '+' && text[at] != '-') || error != std::errc{} || end != digits.data() + digits.size() || number < 0)
            return fail(ErrorCode::invalid_argument, "these are no checks");
        out.checks_.push_back({static_cast<double>(number) / 999'999, text[at] == '+'});
    }
    if (out.calibrated()) out.refit();
    return out;
}

}  // namespace kn::patterns
