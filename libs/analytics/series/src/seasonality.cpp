#include "kubernaut/analytics/series/seasonality.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::analytics::series {
namespace {

/// Takes the least-squares parabola away: what is slower than half the series is trend here, not season.
void detrend(std::vector<double>& y) {
    const auto n = static_cast<double>(y.size());
    const double center = (n - 1) / 2, reach = std::max(center, 1.0);
    const double average = mean(y);
    // Legendre-like polynomials, orthogonal on the grid after one Gram-Schmidt step.
    double x2_mean = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const double x = (static_cast<double>(i) - center) / reach;
        x2_mean += x * x;
    }
    x2_mean /= n;
    double p1 = 0, p1y = 0, p2 = 0, p2y = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        y[i] -= average;
        const double x = (static_cast<double>(i) - center) / reach, q = x * x - x2_mean;
        p1 += x * x;
        p1y += x * y[i];
        p2 += q * q;
        p2y += q * y[i];
    }
    const double slope = p1 > 0 ? p1y / p1 : 0, bend = p2 > 0 ? p2y / p2 : 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
        const double x = (static_cast<double>(i) - center) / reach;
        y[i] -= slope * x + bend * (x * x - x2_mean);
    }
}

double sum_of_squares(const std::vector<double>& y) {
    double sum = 0;
    for (const double v : y) sum += v * v;
    return sum;
}

/// Power |X(f)|^2 / n at any frequency, from a zero-padded spectrum.
class Spectrum {
public:
    explicit Spectrum(const std::vector<double>& y) : n_(static_cast<double>(y.size())) {
        std::vector<double> padded(y);
        padded.resize(oversampling * y.size(), mean(y));
        auto p = periodogram(padded);
        length_ = static_cast<double>(p.length);
        power_ = std::move(p.power);
        for (double& v : power_) v *= static_cast<double>(oversampling);  // per measured point, not per padded one
    }
    [[nodiscard]] double at(double frequency) const {
        const double place = frequency * length_;
        const auto k = static_cast<std::size_t>(place);
        if (k + 1 >= power_.size()) return power_.back();
        return power_[k] + (place - static_cast<double>(k)) * (power_[k + 1] - power_[k]);
    }
    [[nodiscard]] double step() const { return 1 / length_; }

private:
    static constexpr std::size_t oversampling = 4;
    double n_;
    double length_ = 1;
    std::vector<double> power_;
};

struct Candidate {
    double frequency = 0;
    std::size_t harmonics = 0;
    double cost = 0;
    double gain = 0;
};

Candidate best_candidate(const Spectrum& spectrum, double total, std::size_t n, const SeasonOptions& options) {
    const double size = static_cast<double>(n), log_n = std::log(size);
    constexpr std::size_t most_harmonics = 10;
    const double longest = options.max_period > 0 ? static_cast<double>(options.max_period) : size / 2;
    Candidate best;
    best.cost = size * std::log(total);
    for (double f = 1 / longest; f <= 1 / static_cast<double>(std::max<std::size_t>(options.min_period, 2)) + 1e-12; f += spectrum.step()) {
        double gain = 0;
        for (std::size_t h = 1; h <= most_harmonics; ++h) {
            const double at = f * static_cast<double>(h);
            if (at > 0.5) break;
            gain += 2 * spectrum.at(at);
            const double rest = std::max(total - gain, 1e-9 * total);
            const double cost = size * std::log(rest) + static_cast<double>(2 * h + 1) * log_n;
            if (cost < best.cost) best = {f, h, cost, gain};
        }
    }
    return best;
}

/// Takes the harmonics of the frequency away by least squares, one after the other.
void remove_harmonics(std::vector<double>& y, double frequency, std::size_t harmonics) {
    const auto n = static_cast<double>(y.size());
    for (std::size_t h = 1; h <= harmonics; ++h) {
        const double w = 2 * std::numbers::pi * frequency * static_cast<double>(h);
        double c = 0, s = 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
            c += y[i] * std::cos(w * static_cast<double>(i));
            s += y[i] * std::sin(w * static_cast<double>(i));
        }
        c *= 2 / n;
        s *= 2 / n;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] -= c * std::cos(w * static_cast<double>(i)) + s * std::sin(w * static_cast<double>(i));
    }
}

}  // namespace

std::vector<Season> find_seasons(std::span<const double> values, const SeasonOptions& options) {
    std::vector<Season> out;
    constexpr std::size_t fewest = 8;
    if (count_finite(values) < fewest) return out;
    std::vector<double> y = fill_missing(values);
    detrend(y);
    const double whole = sum_of_squares(y);
    const double level = mean(values);
    if (!(whole > static_cast<double>(y.size()) * level * level * 1e-24) || !(whole > 0)) return out;
    for (std::size_t s = 0; s < options.max_seasons; ++s) {
        const double total = sum_of_squares(y);
        const Spectrum spectrum(y);
        const Candidate best = best_candidate(spectrum, total, y.size(), options);
        if (best.harmonics == 0) break;
        Season season;
        season.exact_period = 1 / best.frequency;
        season.period = static_cast<std::size_t>(std::lround(season.exact_period));
        season.harmonics = best.harmonics;
        season.strength = best.gain / whole;
        out.push_back(season);
        remove_harmonics(y, best.frequency, best.harmonics);
    }
    return out;
}

}  // namespace kn::analytics::series
