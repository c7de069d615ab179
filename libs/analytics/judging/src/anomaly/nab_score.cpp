#include "kubernaut/analytics/judging/anomaly/nab_score.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>

namespace kn::analytics::judging {
namespace {
double sigmoid(double y) { return y > 3 ? -1 : 2 / (1 + std::exp(5 * y)) - 1; }
const double max_tp = sigmoid(-1);

// What one row is worth when it is flagged, before the profile's weights.
struct Flag {
    double score = 0;
    double value = 0;
    std::int32_t window = -1;  // number in the corpus; -1 outside
};

struct Flags {
    std::vector<Flag> flags;
    std::size_t windows = 0;
};

Flags flags_of(std::span<const NabSeries> corpus) {
    Flags all;
    for (const NabSeries& series : corpus) {
        const std::size_t n = series.scores.size();
        const std::size_t skipped = std::min<std::size_t>(static_cast<std::size_t>(0.15 * static_cast<double>(n)), 750);
        std::size_t next = 0;
        for (std::size_t i = 0; i < n; ++i) {
            while (next < series.windows.size() && i > series.windows[next].last) ++next;
            if (i < skipped || std::isnan(series.scores[i])) continue;
            Flag flag{.score = series.scores[i]};
            if (next < series.windows.size() && i >= series.windows[next].first) {
                const NabWindow& w = series.windows[next];
                const auto width = static_cast<double>(w.last - w.first + 1);
                flag.value = sigmoid(-static_cast<double>(w.last - i + 1) / width) / max_tp;
                flag.window = static_cast<std::int32_t>(all.windows + next);
            } else if (next == 0) {
                flag.value = -1;
            } else {
                const NabWindow& w = series.windows[next - 1];
                const auto width = static_cast<double>(w.last - w.first + 1);
                flag.value = sigmoid(static_cast<double>(i - w.last) / std::max(width - 1, 1e-9));
            }
            all.flags.push_back(flag);
        }
        all.windows += series.windows.size();
    }
    return all;
}

// The running total while the threshold sinks.
class Total {
public:
    Total(const NabProfile& profile, std::size_t windows)
        : profile_(profile), best_(windows, missed), sum_(-profile.fn * static_cast<double>(windows)) {}

    void flag(const Flag& flag) {
        if (flag.window < 0) {
            sum_ += flag.value * profile_.fp;
            ++false_flags_;
            return;
        }
        double& best = best_[static_cast<std::size_t>(flag.window)];
        const double value = flag.value * profile_.tp;
        if (best == missed) {
            sum_ += value + profile_.fn;
            best = value;
            ++hit_;
        } else if (value > best) {
            sum_ += value - best;
            best = value;
        }
    }

    [[nodiscard]] double sum() const { return sum_; }
    [[nodiscard]] NabScore score(double threshold) const {
        const auto windows = static_cast<double>(best_.size());
        const double null = -profile_.fn * windows, perfect = windows * profile_.tp;
        return {.value = windows == 0 ? 0 : 100 * (sum_ - null) / (perfect - null),
                .threshold = threshold,
                .windows_hit = hit_,
                .windows = best_.size(),
                .false_flags = false_flags_};
    }

private:
    static constexpr double missed = -1e9;
    const NabProfile& profile_;
    std::vector<double> best_;
    double sum_;
    std::size_t hit_ = 0, false_flags_ = 0;
};
}  // namespace

std::span<const NabProfile> nab_profiles() {
    static const std::array<NabProfile, 3> profiles{{{"standard", 1, 1, 0.11}, {"low FP rate", 1, 1, 0.22}, {"low FN rate", 1, 2, 0.11}}};
    return profiles;
}

NabScore best_nab_score(std::span<const NabSeries> corpus, const NabProfile& profile) {
    auto [flags, windows] = flags_of(corpus);
    std::ranges::sort(flags, [](const Flag& a, const Flag& b) { return a.score > b.score; });
    Total total(profile, windows);
    NabScore best = total.score(std::numeric_limits<double>::infinity());
    double best_sum = total.sum();
    for (std::size_t i = 0; i < flags.size();) {
        const double threshold = flags[i].score;
        for (; i < flags.size() && flags[i].score == threshold; ++i) total.flag(flags[i]);
        if (total.sum() > best_sum) {
            best_sum = total.sum();
            best = total.score(threshold);
        }
    }
    return best;
}

NabScore nab_score_at(std::span<const NabSeries> corpus, const NabProfile& profile, double threshold) {
    const auto [flags, windows] = flags_of(corpus);
    Total total(profile, windows);
    for (const Flag& flag : flags)
        if (flag.score >= threshold) total.flag(flag);
    return total.score(threshold);
}

}  // namespace kn::analytics::judging
