#include "kubernaut/analytics/clustering/explanation.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <tuple>

#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"

namespace kn::analytics {
namespace {
struct Counts {
    double in = 0, in_known = 0, out = 0, out_known = 0;
};

// What knowing of the trait tells about membership, in bits (Kullback-Leibler divergence of the two shares), per row of the cluster.
double information(const SharedTrait& t) {
    const auto part = [](double p, double q) { return p > 0 ? p * std::log2(p / std::max(q, 1e-9)) : 0; };
    return part(t.inside_share, t.outside_share) + part(1 - t.inside_share, 1 - t.outside_share);
}

// Shares, lift and the two-proportion test.
void weigh(SharedTrait& t, const Counts& c, double tried) {
    t.inside_share = c.in_known > 0 ? c.in / c.in_known : 0;
    t.outside_share = c.out_known > 0 ? c.out / c.out_known : 0;
    t.lift = ((c.in + 0.5) / (c.in_known + 1)) / ((c.out + 0.5) / (c.out_known + 1));
    t.precision = c.in + c.out > 0 ? c.in / (c.in + c.out) : 0;
    const double pooled = (c.in + c.out + 1) / (c.in_known + c.out_known + 2);
    const double deviation = std::sqrt(pooled * (1 - pooled) * (1 / std::max(c.in_known, 1.0) + 1 / std::max(c.out_known, 1.0)));
    const double z = deviation > 0 ? std::abs(t.inside_share - t.outside_share) / deviation : 0;
    t.p_value = std::min(1.0, normal_two_sided(z) * tried);
}

std::uint64_t mix(std::uint64_t hash, std::string_view text) {  // FNV-1a
    for (const char ch : text) hash = (hash ^ static_cast<unsigned char>(ch)) * 0x100000001b3U;
    return hash;
}

std::string category_name(const MixedColumn& column, std::int32_t code) {
    const auto at = static_cast<std::size_t>(code);
    return at < column.category_names.size() ? column.category_names[at] : "#" + std::to_string(code);
}

std::string short_number(double v) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.3g", v);
    return text.data();
}

class Describer {
public:
    Describer(const MixedTable& table, std::span<const Label> labels, const ExplanationOptions& options)
        : table_(table), labels_(labels), options_(options) {
        for (const auto& c : table.columns) {
            tried_ += 1;
            if (!c.numeric()) tried_ += static_cast<double>(*std::ranges::max_element(c.categories));
        }
        ranges_ = gower_ranges(table);
    }

    ClusterDescription describe(Label label, const std::vector<std::size_t>& rows) const {
        ClusterDescription out{.label = label, .rows = rows.size(), .medoid = medoid(rows)};
        for (std::size_t c = 0; c < table_.columns.size(); ++c) table_.columns[c].numeric() ? number_trait(out, c, rows) : category_traits(out, c);
        std::ranges::sort(out.traits, [](const auto& a, const auto& b) {
            const auto key = [](const SharedTrait& t) { return std::tuple(-information(t), t.column, t.category.value_or(-1)); };
            return key(a) < key(b);
        });
        out.id = content_id(out);
        if (out.traits.size() > options_.most_traits) out.traits.resize(options_.most_traits);
        return out;
    }

private:
    void keep(ClusterDescription& out, const SharedTrait& t) const {
        if (t.inside_share >= options_.least_share && t.lift >= options_.least_lift && t.p_value <= options_.largest_p) out.traits.push_back(t);
    }

    void category_traits(ClusterDescription& out, std::size_t column) const {
        std::map<std::int32_t, Counts> counts;
        Counts all;
        const auto& codes = table_.columns[column].categories;
        for (std::size_t r = 0; r < codes.size(); ++r) {
            if (codes[r] < 0) continue;
            const bool inside = labels_[r] == out.label;
            (inside ? all.in_known : all.out_known) += 1;
            (inside ? counts[codes[r]].in : counts[codes[r]].out) += 1;
        }
        for (auto& [code, c] : counts) {
            SharedTrait t{.column = column, .category = code};
            weigh(t, {c.in, all.in_known, c.out, all.out_known}, tried_);
            keep(out, t);
        }
    }

    void number_trait(ClusterDescription& out, std::size_t column, const std::vector<std::size_t>& rows) const {
        const auto& numbers = table_.columns[column].numbers;
        std::vector<double> inside, outside;
        for (const std::size_t r : rows) inside.push_back(numbers[r]);
        for (std::size_t r = 0; r < numbers.size(); ++r)
            if (labels_[r] != out.label) outside.push_back(numbers[r]);
        SharedTrait t{
            .column = column, .low = quantile(inside, 0.1), .high = quantile(inside, 0.9), .typical = median(inside), .elsewhere = median(outside)};
        if (!std::isfinite(t.low)) return;
        Counts c;
        const auto count = [&](const std::vector<double>& values, double& known, double& in) {
            for (const double v : values)
                if (std::isfinite(v)) {
                    known += 1;
                    in += v >= t.low && v <= t.high ? 1 : 0;
                }
        };
        count(inside, c.in_known, c.in);
        count(outside, c.out_known, c.out);
        weigh(t, c, tried_);
        keep(out, t);
    }

    [[nodiscard]] std::size_t medoid(const std::vector<std::size_t>& rows) const {
        constexpr std::size_t enough = 256;
        const std::size_t step = (rows.size() + enough - 1) / enough;
        std::size_t best = rows.front();
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t a = 0; a < rows.size(); a += step) {
            double sum = 0;
            for (std::size_t b = 0; b < rows.size() && sum < least; b += step) sum += gower_distance(table_, ranges_, rows[a], rows[b]);
            if (sum < least) {
                least = sum;
                best = rows[a];
            }
        }
        return best;
    }

    // From the names of the columns and categories, and for numbers only on which side of the others they lie, so that it outlives small changes.
    [[nodiscard]] std::string content_id(const ClusterDescription& d) const {
        std::vector<std::string> words;
        for (const auto& t : d.traits) {
            if (t.inside_share < 0.8) continue;
            const auto& c = table_.columns[t.column];
            words.push_back(c.name + (t.category ? "=" + category_name(c, *t.category) : (t.typical > t.elsewhere ? ">" : "<")));
        }
        if (words.empty())
            for (std::size_t i = 0; i < table_.columns.size(); ++i) {  // nothing sets it apart: its medoid
                const auto& c = table_.columns[i];
                if (c.missing(d.medoid)) continue;
                words.push_back(c.name + "~" + (c.numeric() ? short_number(c.numbers[d.medoid]) : category_name(c, c.categories[d.medoid])));
            }
        std::ranges::sort(words);
        std::uint64_t hash = 0xcbf29ce484222325U;
        for (const auto& w : words) hash = mix(mix(hash, w), "\n");
        std::array<char, 17> text{};
        std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(hash));
        return text.data();
    }

    const MixedTable& table_;
    std::span<const Label> labels_;
    const ExplanationOptions& options_;
    double tried_ = 0;
    std::vector<double> ranges_;
};
}  // namespace

Result<std::vector<ClusterDescription>> describe_clusters(const MixedTable& table, std::span<const Label> labels, const ExplanationOptions& options) {
    KN_CHECK(check(table));
    if (labels.size() != table.rows()) return fail(ErrorCode::invalid_argument, "as many labels as rows");
    std::map<Label, std::vector<std::size_t>> members;
    for (std::size_t r = 0; r < labels.size(); ++r)
        if (labels[r] != noise) members[labels[r]].push_back(r);
    const Describer describer(table, labels, options);
    std::vector<ClusterDescription> out;
    for (const auto& [label, rows] : members) out.push_back(describer.describe(label, rows));
    return out;
}

std::string to_text(const MixedTable& table, const ClusterDescription& description) {
    std::string text;
    for (const auto& t : description.traits) {
        const auto& c = table.columns[t.column];
        if (!text.empty()) text += ", ";
        text += c.name + " " +
                (t.category ? category_name(c, *t.category)
                            : (t.low == t.high ? short_number(t.low) : short_number(t.low) + " to " + short_number(t.high)));
    }
    return text;
}

}  // namespace kn::analytics
