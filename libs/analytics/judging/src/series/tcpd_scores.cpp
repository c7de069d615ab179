#include "kubernaut/analytics/judging/series/tcpd_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kubernaut/analytics/judging/data_files.hpp"
#include "kubernaut/analytics/series/change_points.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::analytics::judging {
namespace {
using Indexes = std::vector<std::size_t>;

Indexes with_zero(std::span<const std::size_t> found) {
    Indexes out(found.begin(), found.end());
    out.push_back(0);
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

/// How many of `truth` have an unused one of `found` within the margin, the nearest taken first.
double matches(const Indexes& truth, Indexes found, std::size_t margin) {
    double count = 0;
    for (const std::size_t t : truth) {
        auto best = found.end();
        std::size_t nearest = margin + 1;
        for (auto x = found.begin(); x != found.end(); ++x) {
            const std::size_t distance = *x > t ? *x - t : t - *x;
            if (distance < nearest) {
                nearest = distance;
                best = x;
            }
        }
        if (best == found.end()) continue;
        found.erase(best);
        ++count;
    }
    return count;
}

std::vector<std::pair<std::size_t, std::size_t>> segments(std::span<const std::size_t> changes, std::size_t n) {
    Indexes cuts = with_zero(changes);
    std::erase_if(cuts, [&](std::size_t c) { return c >= n; });
    std::vector<std::pair<std::size_t, std::size_t>> out;
    for (std::size_t i = 0; i < cuts.size(); ++i) out.emplace_back(cuts[i], i + 1 < cuts.size() ? cuts[i + 1] : n);
    return out;
}
}  // namespace

double change_f1(const std::vector<std::vector<std::size_t>>& annotators, std::span<const std::size_t> found, std::size_t margin) {
    const Indexes ours = with_zero(found);
    Indexes all{0};
    double recall = 0;
    for (const auto& annotator : annotators) {
        const Indexes truth = with_zero(annotator);
        all.insert(all.end(), truth.begin(), truth.end());
        recall += matches(truth, ours, margin) / static_cast<double>(truth.size());
    }
    recall /= static_cast<double>(std::max<std::size_t>(annotators.size(), 1));
    const double precision = matches(with_zero(all), ours, margin) / static_cast<double>(ours.size());
    return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

double change_cover(const std::vector<std::vector<std::size_t>>& annotators, std::span<const std::size_t> found, std::size_t n) {
    const auto ours = segments(found, n);
    double sum = 0;
    for (const auto& annotator : annotators) {
        for (const auto& [a, b] : segments(annotator, n)) {
            double best = 0;
            for (const auto& [c, d] : ours) {
                const auto low = std::max(a, c), high = std::min(b, d);
                if (high <= low) continue;
                best = std::max(best, static_cast<double>(high - low) / static_cast<double>(std::max(b, d) - std::min(a, c)));
            }
            sum += best * static_cast<double>(b - a) / static_cast<double>(n);
        }
    }
    return sum / static_cast<double>(std::max<std::size_t>(annotators.size(), 1));
}

Result<std::vector<ChangeCase>> tcpd_cases(const std::filesystem::path& data) {
    const auto folder = data / "TCPD";
    KN_TRY(const std::string annotation_text, read_text(folder / "annotations.json"));
    KN_TRY(const json::Value annotations, json::parse(annotation_text));
    std::vector<ChangeCase> out;
    for (const auto& [key, by_annotator] : annotations.is_object() ? annotations.get_object() : json::Object{}) {
        ChangeCase one{.name = std::string(key)};
        const auto file = folder / "datasets" / (one.name + ".json");
        if (!std::filesystem::exists(file)) continue;  // not all series may be copied
        KN_TRY(const std::string text, read_text(file));
        KN_TRY(const json::Value series, json::parse(text));
        const auto& columns = json::array_at(series, "series");
        if (columns.size() != 1) continue;
        for (const json::Value& v : json::array_at(columns[0], "raw"))
            one.values.push_back(json::to_double(&v).value_or(std::numeric_limits<double>::quiet_NaN()));
        for (const auto& [who, marks] : by_annotator.is_object() ? by_annotator.get_object() : json::Object{}) {
            auto& list = one.annotators.emplace_back();
            for (const json::Value& mark : marks.is_array() ? marks.get_array() : json::Array{})
                if (const auto at = json::to_int(&mark); at && *at >= 0) list.push_back(static_cast<std::size_t>(*at));
        }
        for (const auto& change : series::find_changes(one.values).changes) one.found.push_back(change.index);
        out.push_back(std::move(one));
    }
    std::ranges::sort(out, {}, &ChangeCase::name);
    return out;
}

Result<std::vector<Row>> tcpd_rows(const std::filesystem::path& data) {
    KN_TRY(const auto cases, tcpd_cases(data));
    if (cases.empty()) return fail(ErrorCode::not_found, "no TCPD series");
    Row f1{.set = "TCPD", .metric = "F1"}, cover{.set = "TCPD", .metric = "cover"};
    for (const auto& one : cases) {
        f1.value += change_f1(one.annotators, one.found) / static_cast<double>(cases.size());
        cover.value += change_cover(one.annotators, one.found, one.values.size()) / static_cast<double>(cases.size());
    }
    f1.best_known = 0.748;
    f1.goal = 0.80;
    cover.best_known = 0.734;
    cover.goal = 0.76;
    return std::vector{f1, cover};
}

}  // namespace kn::analytics::judging
