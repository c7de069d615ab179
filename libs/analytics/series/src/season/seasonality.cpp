#include "kubernaut/analytics/series/seasonality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/analytics/series/fft.hpp"
#include "kubernaut/analytics/series/regular.hpp"

namespace kn::analytics::series {
namespace {

/// Takes least-squares polynomials away, one degree after the other (orthogonal on the grid by Gram's recurrence).
class Polynomials {
public:
    explicit Polynomials(std::size_t n) : current_(n, 1.0), previous_(n, 0.0) {}

    /// Takes the current polynomial out of y and goes to the next degree.
    void take(std::vector<double>& y) {
        double squares = 0, product = 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
            squares += current_[i] * current_[i];
            product += current_[i] * y[i];
        }
        if (!(squares > 0)) return;
        const double factor = product / squares;
        for (std::size_t i = 0; i < y.size(); ++i) y[i] -= factor * current_[i];
        const double center = (static_cast<double>(y.size()) - 1) / 2, reach = std::max(center, 1.0);
        const double ratio = last_squares_ > 0 ? squares / last_squares_ : 0;
        for (std::size_t i = 0; i < y.size(); ++i) {
            const double next = (static_cast<double>(i) - center) / reach * current_[i] - ratio * previous_[i];
            previous_[i] = current_[i];
            current_[i] = next;
        }
        last_squares_ = squares;
    }

private:
    std::vector<double> current_, previous_;
    double last_squares_ = 0;
};

double sum_of_squares(const std::vector<double>& y) {
    double sum = 0;
    for (const double v : y) sum += v * v;
    return sum;
}

/// Power |X(f)|^2 / n at any frequency, from a zero-padded spectrum.
class Spectrum {
public:
    explicit Spectrum(const std::vector<double>& y) {
        constexpr std::size_t oversampling = 4;
        std::vector<double> padded(y);
        padded.resize(oversampling * y.size(), 0.0);
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
    double length_ = 1;
    std::vector<double> power_;
};

constexpr std::size_t most_harmonics = 10;
constexpr std::size_t highest_degree = 3;

struct Candidate {
    double frequency = 0;
    std::size_t harmonics = 0;
    std::size_t degree = 0;  ///< of the polynomial trend beneath it
    double cost = std::numeric_limits<double>::infinity();
    double gain = 0;  ///< squares explained
};

/// Is the frequency a neighbour of one already found or of its overtones, so that it could be a change of that season's shape over time?
bool is_known(double frequency, const std::vector<Season>& found, double n) {
    return std::ranges::any_of(found, [&](const Season& season) {
        const double turns = frequency * season.exact_period;
        return std::lround(turns) >= 1 && std::abs(turns - std::round(turns)) / season.exact_period < 2.5 / n;
    });
}

/// The frequency and number of harmonics with the smallest BIC. A period whose own sine is weak beside its overtones is a multiple of the
/// period, or the common multiple of two.
Candidate best_candidate(const std::vector<double>& y, std::size_t degree, const std::vector<Season>& known, const SeasonOptions& options) {
    const Spectrum spectrum(y);
    const double total = sum_of_squares(y), size = static_cast<double>(y.size()), log_n = std::log(size);
    constexpr double least_fundamental = 0.4;
    const double longest = std::min(options.max_period > 0 ? static_cast<double>(options.max_period) : size, size / 2);
    const double highest = 1 / static_cast<double>(std::max<std::size_t>(options.min_period, 2));
    Candidate best{.degree = degree, .cost = size * std::log(total) + static_cast<double>(degree + 1) * log_n};
    const double floor = 1e-9 * total;
    // log is monotonic: the gain that a number of harmonics needs to win is known before it is taken.
    double least_rest[most_harmonics + 1];
    const auto update = [&] {
        for (std::size_t h = 1; h <= most_harmonics; ++h)
            least_rest[h] = std::exp((best.cost - static_cast<double>(2 * h + 1 + degree + 1) * log_n) / size);
    };
    update();
    for (double f = 1 / longest; f <= highest + 1e-12; f += spectrum.step()) {
        if (!known.empty() && is_known(f, known, size)) continue;
        const double fundamental = spectrum.at(f);
        double gain = 0;
        // A shape that was seen two or three times is not known in detail.
        const auto allowed = std::clamp<std::size_t>(static_cast<std::size_t>(f * size + 1e-9) - 1, 1, most_harmonics);
        for (std::size_t h = 1; h <= allowed; ++h) {
            const double at = f * static_cast<double>(h);
            if (at > 0.5 + 1e-12) break;
            const double power = spectrum.at(at);
            if (fundamental < least_fundamental * power) break;
            gain += (at > 0.5 - 0.5 / size ? 1 : 2) * power;
            const double rest = std::max(total - gain, floor);
            if (rest >= least_rest[h]) continue;
            best.frequency = f;
            best.harmonics = h;
            best.gain = gain;
            best.cost = size * std::log(rest) + static_cast<double>(2 * h + 1 + degree + 1) * log_n;
            update();
        }
    }
    return best;
}

/// Takes the harmonics of the frequency away, one after the other.
void remove_harmonics(std::vector<double>& y, double frequency, std::size_t harmonics) {
    for (std::size_t h = 1; h <= harmonics; ++h) {
        const double w = 2 * std::numbers::pi * frequency * static_cast<double>(h);
        // cos and sin by rotation, set right every 256 points.
        constexpr std::size_t block = 256;
        const double turn_c = std::cos(w), turn_s = std::sin(w);
        const auto along = [&](auto&& use) {
            for (std::size_t begin = 0; begin < y.size(); begin += block) {
                double c = std::cos(w * static_cast<double>(begin)), s = std::sin(w * static_cast<double>(begin));
                for (std::size_t i = begin; i < std::min(begin + block, y.size()); ++i) {
                    use(i, c, s);
                    const double next = c * turn_c - s * turn_s;
                    s = s * turn_c + c * turn_s;
                    c = next;
                }
            }
        };
        double cc = 0, ss = 0, cs = 0, yc = 0, ys = 0;
        along([&](std::size_t i, double c, double s) {
            cc += c * c;
            ss += s * s;
            cs += c * s;
            yc += y[i] * c;
            ys += y[i] * s;
        });
        const double determinant = cc * ss - cs * cs;
        double a = 0, b = 0;
        if (determinant > 1e-6 * cc * cc) {
            a = (yc * ss - ys * cs) / determinant;
            b = (ys * cc - yc * cs) / determinant;
        } else if (cc > 0)
            a = yc / cc;  // at half the sampling rate there is no sine
        along([&](std::size_t i, double c, double s) { y[i] -= a * c + b * s; });
    }
}

/// Chance that AR(1) noise has as much power at the harmonics, for a frequency given beforehand. The noise is fitted (Whittle's likelihood) to the
/// frequencies that neither the season nor the trend has touched; whitened by it, the harmonics' share of the power is Beta distributed
/// with whole parameters, which has a closed form.
double chance(const std::vector<double>& before, const Candidate& found) {
    const Spectrum spectrum(before);
    const auto n = static_cast<double>(before.size());
    struct Line {
        double power, cosine;
    };
    std::vector<Line> noise, season;
    const auto trend_bins = static_cast<double>(found.degree + 1) / 2;
    for (std::size_t k = 1; 2 * k < before.size(); ++k) {
        const double f = static_cast<double>(k) / n, turns = f / found.frequency;
        const double nearest = std::clamp(std::round(turns), 1.0, static_cast<double>(found.harmonics));
        const bool touched = std::abs(turns - nearest) * found.frequency * n < 1;
        if (!touched && static_cast<double>(k) > trend_bins) noise.push_back({spectrum.at(f), std::cos(2 * std::numbers::pi * f)});
    }
    if (noise.size() < 3) return 1;
    for (std::size_t h = 1; h <= found.harmonics; ++h) {
        const double f = found.frequency * static_cast<double>(h);
        // Near half the sampling rate a line has one free number, not two, and twice the spread.
        season.push_back({spectrum.at(f) * (f > 0.5 - 1 / n ? 0.5 : 1.0), std::cos(2 * std::numbers::pi * f)});
    }
    double best = std::numeric_limits<double>::infinity(), phi = 0;
    const auto whitened = [](const std::vector<Line>& lines, double with) {
        double sum = 0;
        for (const Line& line : lines) sum += line.power * (1 + with * with - 2 * with * line.cosine);
        return sum;
    };
    const auto m = static_cast<double>(noise.size());
    for (const double tried : {0.0, 0.15, 0.3, 0.45, 0.6, 0.7, 0.8, 0.86, 0.9, 0.93, 0.96, 0.98, 0.99, 0.999}) {
        // The log of a product of sixteen, which lies between 1e-96 and 1e10, costs one log.
        double logs = 0, product = 1;
        for (std::size_t i = 0; i < noise.size(); ++i) {
            product *= 1 + tried * tried - 2 * tried * noise[i].cosine;
            if (i % 16 == 15 || i + 1 == noise.size()) logs += std::log(product), product = 1;
        }
        const double cost = m * std::log(whitened(noise, tried)) - logs;
        if (cost < best) {
            best = cost;
            phi = tried;
        }
    }
    const double gain = whitened(season, phi), rest = whitened(noise, phi);
    const double share = gain + rest > 0 ? gain / (gain + rest) : 0;
    double sum = 0, term = 1;
    for (std::size_t j = 0; j < found.harmonics; ++j) {
        sum += term;
        term *= (m + static_cast<double>(j)) / static_cast<double>(j + 1) * share;
    }
    return std::min(1.0, std::exp(m * std::log1p(-std::min(share, 1 - 1e-16))) * sum);
}

/// The autocorrelation at the period when it is a hill: positive, and higher than half a period before it (after, where the series is long
/// enough), each averaged over a sixth of a period against noise and without the bias towards 0 of long lags.
std::optional<double> hill(const std::vector<double>& y, double period) {
    const std::size_t n = y.size();
    const auto r = autocorrelation(y, std::min(n - 1, static_cast<std::size_t>(std::lround(1.6 * period))));
    const auto around = [&](double lag) -> std::optional<double> {
        const double reach = period / 12;
        const auto first = static_cast<std::size_t>(std::lround(lag - reach)), last = static_cast<std::size_t>(std::lround(lag + reach));
        if (last >= r.size()) return std::nullopt;
        double sum = 0;
        for (std::size_t k = first; k <= last; ++k) sum += r[k] * static_cast<double>(n) / static_cast<double>(n - k);
        return sum / static_cast<double>(last - first + 1);
    };
    const auto top = around(period), before = around(period / 2), after = around(period * 1.5);
    if (!top || !(*top > 0) || (before && *before >= *top)) return std::nullopt;
    if (after && 2 * period <= static_cast<double>(n) * 0.8 && *after >= *top) return std::nullopt;
    return *top;
}

/// The best single step: the first place of its second level, and the squares that it leaves over.
struct Step {
    std::size_t at = 0;
    double rest = 0;
};
Step best_step(const std::vector<double>& y) {
    const auto n = static_cast<double>(y.size());
    double total = 0, squares = 0;
    for (const double v : y) total += v, squares += v * v;
    double best = 0, sum = 0;  // of the squares between both sides
    Step out;
    for (std::size_t i = 1; i < y.size(); ++i) {
        sum += y[i - 1];
        const double left = static_cast<double>(i), right = n - left, off = sum / left - (total - sum) / right;
        if (const double between = off * off * left * right / n; between > best) best = between, out.at = i;
    }
    out.rest = squares - total * total / n - best;
    return out;
}

void remove_step(std::vector<double>& y, std::size_t at) {
    for (const std::span<double> side : {std::span(y).first(at), std::span(y).subspan(at)}) {
        const double level = mean(side);
        for (double& v : side) v -= level;
    }
}

}  // namespace

std::vector<Season> find_seasons(std::span<const double> values, const SeasonOptions& options) {
    std::vector<Season> out;
    constexpr std::size_t fewest = 8;
    if (count_finite(values) < fewest) return out;
    std::vector<double> y = fill_missing(values);
    const double level = mean(y);
    double largest = 0;
    for (double& v : y) {
        v -= level;
        largest = std::max(largest, std::abs(v));
    }
    if (!(largest > 1e-12 * std::abs(level))) return out;  // constant up to rounding
    for (double& v : y) v /= largest;
    const double whole = sum_of_squares(y);
    std::vector<double> unexplained = y;  // by the seasons found; y also lacks what was rejected, and its spectrum has holes there
    // What fails the tests is taken away as well, it may be a bend that hides a season; but not for ever.
    std::size_t first_degree = 0, last_degree = highest_degree;
    bool stepped = false;
    for (std::size_t rejected = 0; out.size() < options.max_seasons && rejected <= 2;) {
        Candidate best;
        std::vector<double> detrended = y, before, whole_noise = unexplained, noise_before;
        Polynomials polynomials(y.size()), same(y.size());
        for (std::size_t degree = 0; degree <= last_degree; ++degree) {
            polynomials.take(detrended);
            same.take(whole_noise);
            if (!(sum_of_squares(detrended) > 1e-18 * whole)) break;
            if (degree < first_degree) continue;
            if (const Candidate one = best_candidate(detrended, degree, out, options); one.cost < best.cost) {
                best = one;
                before = detrended;
                noise_before = whole_noise;
            }
        }
        if (best.harmonics == 0) break;
        first_degree = last_degree = best.degree;  // the first choice of trend stands
        std::vector<double> after = before;
        remove_harmonics(after, best.frequency, best.harmonics);
        // Independent frequencies, and what lies between them; in short series the noise is fitted to what the largest line has left over, which
        // flatters the line: the last two terms were measured on white noise so that the promised rate holds.
        const auto points = static_cast<double>(y.size());
        const double tried = (points + 100 + 20'000 / points) * static_cast<double>(1 + rejected);
        Season season{.exact_period = 1 / best.frequency, .harmonics = best.harmonics};
        season.period = static_cast<std::size_t>(std::lround(season.exact_period));
        season.p_value = std::min(1.0, chance(noise_before, best) * tried);
        season.strength = std::clamp(1 - sum_of_squares(after) / sum_of_squares(before), 0.0, 1.0);
        const auto top = hill(before, season.exact_period);
        // A level that changed once has a spectrum of its own, full of periods. Where that is the better story it is told first, once.
        if (const Step step = best_step(unexplained); !stepped && step.at > 0 && step.rest < sum_of_squares(after)) {
            stepped = true;
            remove_step(unexplained, step.at);
            y = unexplained;
            first_degree = 0, last_degree = highest_degree;
            continue;
        }
        y = std::move(after);
        if (!(season.p_value <= options.significance) || !top) {
            ++rejected;
            if (season.p_value > 0.5 && 6 * season.period < y.size()) break;  // no bend, just noise: there is nothing more
            continue;
        }
        season.autocorrelation = *top;
        out.push_back(season);
        remove_harmonics(unexplained, best.frequency, best.harmonics);
    }
    return out;
}

}  // namespace kn::analytics::series
