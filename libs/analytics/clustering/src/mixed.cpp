#include "kubernaut/analytics/clustering/mixed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "kubernaut/analytics/numerics/random.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double skewness(const std::vector<double>& values) {
    const double center = mean(values), deviation = std::sqrt(variance(values));
    if (!(deviation > 0)) return 0;
    double sum = 0, count = 0;
    for (const double v : values)
        if (std::isfinite(v)) {
            const double z = (v - center) / deviation;
            sum += z * z * z;
            count += 1;
        }
    return sum / count;
}

// The chance that two rows with a known category differ.
double diversity(const std::vector<std::int32_t>& codes) {
    std::map<std::int32_t, double> counts;
    double known = 0;
    for (const auto c : codes)
        if (c >= 0) {
            counts[c] += 1;
            known += 1;
        }
    double same = 0;
    for (const auto& [code, n] : counts) same += n / known * (n / known);
    return known > 0 ? 1 - same : 0;
}

// Two random rows of a column in deviations are sqrt(2) apart; a category's difference is worth as much on average, within reason: a column
// in which nearly all rows agree must not make its rare codes decide everything.
double difference_worth(const std::vector<std::int32_t>& codes) {
    constexpr double least_diversity = 0.25;
    return 2 / std::max(diversity(codes), least_diversity);
}
}  // namespace

bool MixedColumn::missing(std::size_t row) const { return numeric() ? !std::isfinite(numbers[row]) : categories[row] < 0; }

Result<> check(const MixedTable& table) {
    if (table.rows() == 0) return fail(ErrorCode::invalid_argument, "the table has no rows");
    for (const auto& c : table.columns) {
        if (!c.numbers.empty() && !c.categories.empty()) return fail(ErrorCode::invalid_argument, "column " + c.name + " has numbers and categories");
        if (c.size() != table.rows()) return fail(ErrorCode::invalid_argument, "column " + c.name + " has another length than the first one");
        if (!(c.weight >= 0) || !std::isfinite(c.weight))
            return fail(ErrorCode::invalid_argument, "column " + c.name + " has a weight that is negative");
    }
    return {};
}

std::vector<double> gower_ranges(const MixedTable& table) {
    std::vector<double> ranges;
    for (const auto& c : table.columns) {
        double range = 0;
        if (c.numeric()) {
            range = quantile(c.numbers, 0.99) - quantile(c.numbers, 0.01);
            if (!(range > 0)) range = quantile(c.numbers, 1) - quantile(c.numbers, 0);
        }
        ranges.push_back(range > 0 ? range : 0);
    }
    return ranges;
}

double gower_distance(const MixedTable& table, const std::vector<double>& ranges, std::size_t a, std::size_t b) {
    double sum = 0, weights = 0;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const auto& c = table.columns[i];
        if (c.missing(a) || c.missing(b)) continue;
        weights += c.weight;
        if (!c.numeric())
            sum += c.categories[a] == c.categories[b] ? 0 : c.weight;
        else if (ranges[i] > 0)
            sum += c.weight * std::min(1.0, std::abs(c.numbers[a] - c.numbers[b]) / ranges[i]);
    }
    return weights > 0 ? sum / weights : 1;
}

std::vector<double> unskewed(const std::vector<double>& values) {
    const double least = quantile(values, 0);
    if (!(least >= 0)) return values;
    std::vector<double> positive;
    for (const double v : values)
        if (std::isfinite(v) && v > 0) positive.push_back(v);
    const double scale = quantile(positive, 0.05);
    if (!(scale > 0)) return values;
    std::vector<double> logs;
    logs.reserve(values.size());
    for (const double v : values) logs.push_back(std::isfinite(v) ? std::log1p(v / scale) : unknown);
    constexpr double skewed = 1;
    return std::abs(skewness(values)) > skewed && std::abs(skewness(logs)) < std::abs(skewness(values)) ? logs : values;
}

Embedding embed(const MixedTable& table) {
    constexpr std::size_t most_codes = 32;
    const std::size_t n = table.rows();
    std::vector<std::vector<double>> columns;
    Embedding out;
    const auto add = [&](std::vector<double> values, std::size_t from) {
        columns.push_back(std::move(values));
        out.column_of.push_back(from);
    };
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
        const auto& c = table.columns[i];
        const double weight = std::sqrt(c.weight);
        if (c.numeric()) {
            auto values = unskewed(c.numbers);
            const double center = mean(values), deviation = std::sqrt(variance(values));
            if (!(deviation > 1e-14 * std::abs(center))) continue;
            for (double& v : values) v = std::isfinite(v) ? (v - center) / deviation * weight : 0;
            add(std::move(values), i);
            continue;
        }
        std::map<std::int32_t, std::size_t> counts;
        for (const auto code : c.categories)
            if (code >= 0) ++counts[code];
        if (counts.size() < 2) continue;
        std::vector<std::pair<std::size_t, std::int32_t>> frequent;
        for (const auto& [code, count] : counts) frequent.emplace_back(count, code);
        std::ranges::sort(frequent, [](const auto& a, const auto& b) { return std::pair(b.first, a.second) < std::pair(a.first, b.second); });
        std::map<std::int32_t, std::size_t> place;
        for (std::size_t f = 0; f < frequent.size(); ++f) place[frequent[f].second] = std::min(f, most_codes);
        // Two rows of different codes differ in two columns.
        const double height = std::sqrt(difference_worth(c.categories) / 2) * weight;
        const std::size_t width = std::min(frequent.size(), most_codes + 1);
        std::vector<std::vector<double>> indicators(width, std::vector<double>(n, 0));
        double known = 0;
        for (std::size_t r = 0; r < n; ++r)
            if (c.categories[r] >= 0) {
                indicators[place[c.categories[r]]][r] = height;
                known += 1;
            }
        for (auto& values : indicators) {
            const double center = std::accumulate(values.begin(), values.end(), 0.0) / known;
            for (std::size_t r = 0; r < n; ++r) values[r] = c.categories[r] >= 0 ? values[r] - center : 0;
            add(std::move(values), i);
        }
    }
    out.values = Matrix(n, columns.size());
    for (std::size_t j = 0; j < columns.size(); ++j)
        for (std::size_t r = 0; r < n; ++r) out.values.at(r, j) = columns[j][r];
    return out;
}

namespace {
class Prototypes {
public:
    Prototypes(const MixedTable& table, const KPrototypesOptions& options) : table_(table), options_(options), n_(table.rows()) {
        for (const auto& c : table.columns) {
            const double spread = c.numeric() ? variance(c.numbers) : 0;
            worth_.push_back(c.weight * (c.numeric() ? (spread > 0 ? 1 / spread : 0) : difference_worth(c.categories)));
            all_ += c.weight;
        }
    }

    KPrototypes run(std::uint64_t seed) {
        KPrototypes result{.labels = std::vector<Label>(n_, 0)};
        seed_prototypes(result, Rng(seed));
        for (unsigned step = 0; step < options_.max_steps && !result.converged; ++step) {
            result.converged = !assign(result) && step > 0;
            if (!result.converged) move(result);
        }
        return result;
    }

private:
    [[nodiscard]] double value(std::size_t column, std::size_t row) const {
        const auto& c = table_.columns[column];
        return c.missing(row) ? unknown : (c.numeric() ? c.numbers[row] : static_cast<double>(c.categories[row]));
    }

    [[nodiscard]] double distance(std::size_t row, const std::vector<double>& prototype) const {
        double sum = 0, known = 0;
        for (std::size_t i = 0; i < prototype.size(); ++i) {
            const double v = value(i, row);
            if (std::isnan(v) || std::isnan(prototype[i])) continue;
            known += table_.columns[i].weight;
            const double apart = v - prototype[i];
            sum += worth_[i] * (table_.columns[i].numeric() ? apart * apart : (apart != 0 ? 1 : 0));
        }
        return known > 0 ? sum * all_ / known : 2 * all_;
    }

    [[nodiscard]] std::vector<double> row_values(std::size_t row) const {
        std::vector<double> values;
        for (std::size_t i = 0; i < table_.columns.size(); ++i) values.push_back(value(i, row));
        return values;
    }

    void seed_prototypes(KPrototypes& result, Rng rng) const {
        std::vector<double> nearest(n_, std::numeric_limits<double>::infinity());
        std::size_t next = rng.below(n_);
        while (result.prototypes.size() < options_.clusters) {
            result.prototypes.push_back(row_values(next));
            double total = 0;
            for (std::size_t r = 0; r < n_; ++r) total += nearest[r] = std::min(nearest[r], distance(r, result.prototypes.back()));
            if (!(total > 0)) break;
            double target = rng.uniform() * total;
            for (next = 0; next + 1 < n_ && (target -= nearest[next]) >= 0;) ++next;
        }
    }

    bool assign(KPrototypes& result) const {
        bool changed = false;
        result.cost = 0;
        for (std::size_t r = 0; r < n_; ++r) {
            Label best = 0;
            double least = std::numeric_limits<double>::infinity();
            for (std::size_t k = 0; k < result.prototypes.size(); ++k)
                if (const double to = distance(r, result.prototypes[k]); to < least) {
                    least = to;
                    best = static_cast<Label>(k);
                }
            changed |= best != result.labels[r];
            result.labels[r] = best;
            result.cost += least;
        }
        return changed;
    }

    void move(KPrototypes& result) const {
        for (std::size_t i = 0; i < table_.columns.size(); ++i) {
            const std::size_t k = result.prototypes.size();
            std::vector<double> sums(k, 0), counts(k, 0);
            std::vector<std::map<double, double>> codes(k);
            for (std::size_t r = 0; r < n_; ++r) {
                const double v = value(i, r);
                if (std::isnan(v)) continue;
                const auto own = static_cast<std::size_t>(result.labels[r]);
                sums[own] += v;
                counts[own] += 1;
                if (!table_.columns[i].numeric()) codes[own][v] += 1;
            }
            for (std::size_t c = 0; c < k; ++c) {
                if (counts[c] == 0) continue;  // stays where it is
                if (table_.columns[i].numeric()) {
                    result.prototypes[c][i] = sums[c] / counts[c];
                    continue;
                }
                double most = 0;
                for (const auto& [code, count] : codes[c])
                    if (count > most) {  // the lower code on ties
                        most = count;
                        result.prototypes[c][i] = code;
                    }
            }
        }
    }

    const MixedTable& table_;
    const KPrototypesOptions& options_;
    std::size_t n_;
    std::vector<double> worth_;
    double all_ = 0;
};
}  // namespace

Result<KPrototypes> k_prototypes(const MixedTable& table, const KPrototypesOptions& options) {
    KN_CHECK(check(table));
    if (options.clusters == 0 || options.clusters > table.rows())
        return fail(ErrorCode::invalid_argument,
                    "k-prototypes cannot make " + std::to_string(options.clusters) + " clusters of " + std::to_string(table.rows()) + " rows");
    Prototypes prototypes(table, options);
    auto best = prototypes.run(options.seed);
    for (unsigned again = 1; again < options.restarts; ++again)
        if (auto next = prototypes.run(options.seed + again * 0x9e3779b97f4a7c15U); next.cost < best.cost) best = std::move(next);
    return best;
}

}  // namespace kn::analytics
