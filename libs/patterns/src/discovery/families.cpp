#include <cmath>
#include <limits>
#include <set>

#include "discovery/common.hpp"
#include "kubernaut/analytics/clustering/explanation.hpp"
#include "kubernaut/analytics/clustering/mixed.hpp"
#include "kubernaut/analytics/clustering/partition.hpp"
#include "kubernaut/analytics/numerics/distributions.hpp"
#include "kubernaut/analytics/numerics/robust.hpp"
#include "kubernaut/patterns/discovery/calibration.hpp"

namespace kn::patterns {
namespace {

constexpr std::size_t least_rows = 40;

/// What is known before a workflow is chosen; the workflow and its outcome must not shape the families that judge them.
analytics::MixedTable table_of(const std::vector<const ExecutionRow*>& rows) {
    std::set<std::string> traits, numbers;
    for (const auto* row : rows) {
        for (const auto& [name, value] : row->traits) traits.insert(name);
        for (const auto& [name, value] : row->numbers) numbers.insert(name);
    }
    analytics::MixedTable table;
    const auto add_words = [&](const std::string& name, const auto& word_of) {
        std::map<std::string, std::int32_t> codes;
        analytics::MixedColumn column{.name = name};
        for (const auto* row : rows) {
            const std::string word = word_of(*row);
            if (word.empty()) {
                column.categories.push_back(-1);
                continue;
            }
            const auto [place, fresh] = codes.try_emplace(word, static_cast<std::int32_t>(codes.size()));
            if (fresh) column.category_names.push_back(word);
            column.categories.push_back(place->second);
        }
        if (codes.size() >= 2 && codes.size() * 4 <= rows.size()) table.columns.push_back(std::move(column));
    };
    add_words("fault", [](const ExecutionRow& row) { return row.fault_class; });
    for (const auto& name : traits)
        add_words(name, [&](const ExecutionRow& row) {
            for (const auto& [key, value] : row.traits)
                if (key == name) return value;
            return std::string{};
        });
    for (const auto& name : numbers) {
        analytics::MixedColumn column{.name = name};
        std::set<double> seen;
        for (const auto* row : rows) {
            double value = std::numeric_limits<double>::quiet_NaN();
            for (const auto& [key, number] : row->numbers)
                if (key == name) value = number;
            column.numbers.push_back(value);
            if (std::isfinite(value)) seen.insert(value);
        }
        if (seen.size() >= 2) table.columns.push_back(std::move(column));
    }
    return table;
}

struct Record {
    std::size_t good = 0, all = 0;
};

/// The workflow that worked best among the rows, when it is better than the others by more than chance.
std::pair<std::string, double> best_workflow(const std::vector<const ExecutionRow*>& rows, json::Array& ranking) {
    std::map<std::string, Record> records;
    Record total;
    for (const auto* row : rows) {
        auto& one = records[row->workflow];
        one.good += row->succeeded ? 1 : 0;
        ++one.all;
        total.good += row->succeeded ? 1 : 0;
        ++total.all;
    }
    std::string best;
    double most = 0;
    for (const auto& [name, one] : records) {
        const double low = wilson_lower(one.good, one.all);
        ranking.push_back(json::Object{{"workflow", name}, {"runs", one.all}, {"succeeded", one.good}, {"at_least", low}});
        if (one.all >= 5 && low > most) best = name, most = low;
    }
    if (best.empty() || records.size() < 2) return {best, best.empty() ? 1 : 0};
    const Record one = records[best], other{.good = total.good - one.good, .all = total.all - one.all};
    const double share = static_cast<double>(total.good) / static_cast<double>(total.all);
    const double error = std::sqrt(share * (1 - share) * (1 / static_cast<double>(one.all) + 1 / static_cast<double>(other.all)));
    const double difference =
        static_cast<double>(one.good) / static_cast<double>(one.all) - static_cast<double>(other.good) / static_cast<double>(other.all);
    return {best, error > 0 ? analytics::normal_two_sided(difference / error) : 1};
}

}  // namespace

Found find_families(const Question& q) {
    std::vector<const ExecutionRow*> rows;
    for (const auto& one : q.history.executions) rows.push_back(&one);
    std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return std::tie(a->started, a->id) < std::tie(b->started, b->id); });
    constexpr std::size_t most = 20'000;  // the latest
    if (rows.size() > most) rows.erase(rows.begin(), rows.end() - most);
    if (rows.size() < least_rows) return std::vector<Pattern>{};
    const auto table = table_of(rows);
    if (table.columns.empty()) return std::vector<Pattern>{};
    KN_CHECK(in_time(q));
    const auto embedded = analytics::embed(table);
    KN_TRY(const auto parts, analytics::partition(embedded.values, {}));
    if (parts.clusters < 2 || parts.confidence < 0.3) return std::vector<Pattern>{};
    KN_CHECK(in_time(q));
    KN_TRY(const auto described, analytics::describe_clusters(table, parts.labels, {.largest_p = 0.001}));
    std::vector<Pattern> found;
    for (const auto& one : described) {
        if (one.label < 0 || one.traits.empty() || one.rows < 10) continue;
        std::vector<const ExecutionRow*> members;
        std::vector<std::string> ids;
        for (std::size_t r = 0; r < rows.size(); ++r)
            if (parts.labels[r] == one.label) members.push_back(rows[r]), ids.push_back(rows[r]->id);
        json::Array ranking;
        const auto [workflow, p] = best_workflow(members, ranking);
        const std::string shared = analytics::to_text(table, one);
        Record record;
        for (const auto* row : members)
            if (row->workflow == workflow) record.good += row->succeeded ? 1 : 0, ++record.all;
        std::string claim = worded("%zu executions share: %.200s", members.size(), shared.c_str());
        if (!workflow.empty())
            claim += worded("; %.60s worked in %zu of %zu%s", workflow.c_str(), record.good, record.all, p < 0.05 ? ", better than the others" : "");
        auto pattern = make_pattern(PatternKind::family, "family", "", "executions", one.id, claim);
        pattern.raw = workflow.empty() ? parts.confidence : wilson_lower(record.good, record.all);
        pattern.support = members.size();
        pattern.first_seen = members.front()->started;
        pattern.last_seen = members.back()->started;
        pattern.evidence = evidence_of(ids);
        pattern.detail =
            json::Object{{"shared", shared},          {"best_workflow", workflow},     {"better_p_value", p}, {"workflows", std::move(ranking)},
                         {"apart", parts.confidence}, {"medoid", rows[one.medoid]->id}};
        found.push_back(std::move(pattern));
    }
    return found;
}

Found find_duration_drifts(const Question& q) {
    std::map<std::pair<std::string, std::string>, std::vector<const ExecutionRow*>> workflows;
    for (const auto& one : q.history.executions)
        if (one.seconds > 0 && one.succeeded) workflows[{one.cluster, one.workflow}].push_back(&one);
    std::vector<Pattern> candidates;
    std::vector<double> p;
    for (auto& [name, rows] : workflows) {
        if (rows.size() < 24) continue;
        KN_CHECK(in_time(q));
        std::sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) { return std::tie(a->started, a->id) < std::tie(b->started, b->id); });
        // Mann-Whitney: the latest quarter against what came before, on ranks, so that one slow run is no drift.
        const std::size_t cut = rows.size() * 3 / 4;
        std::vector<double> before, after;
        for (std::size_t i = 0; i < rows.size(); ++i) (i < cut ? before : after).push_back(rows[i]->seconds);
        double u = 0;
        for (const double b : before)
            for (const double a : after) u += a > b ? 1 : a == b ? 0.5 : 0;
        const auto n = static_cast<double>(before.size()), m = static_cast<double>(after.size());
        const double z = (u - n * m / 2) / std::sqrt(n * m * (n + m + 1) / 12);
        const double was = analytics::median(before), is = analytics::median(after), ratio = was > 0 ? is / was : 1;
        p.push_back(ratio > 1.2 || ratio < 1 / 1.2 ? analytics::normal_two_sided(z) : 1);
        std::vector<std::string> ids;
        for (std::size_t i = cut; i < rows.size(); ++i) ids.push_back(rows[i]->id);
        auto pattern = make_pattern(PatternKind::duration, "duration", name.first, name.second, "drift",
                                    worded("%.80s takes %s than before: %.3g s instead of %.3g s (medians of %zu and %zu runs)", name.second.c_str(),
                                           ratio > 1 ? "longer" : "less long", is, was, after.size(), before.size()));
        pattern.raw = std::abs(u / (n * m) - 0.5) * 2;
        pattern.support = after.size();
        pattern.first_seen = rows[cut]->started;
        pattern.last_seen = rows.back()->started;
        pattern.evidence = evidence_of(ids);
        pattern.detail = json::Object{{"before_seconds", was},
                                      {"now_seconds", is},
                                      {"ratio", ratio},
                                      {"before_p95", analytics::quantile(before, 0.95)},
                                      {"now_p95", analytics::quantile(after, 0.95)}};
        candidates.push_back(std::move(pattern));
    }
    const auto adjusted = analytics::false_discovery_q(p);
    std::vector<Pattern> found;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        if (adjusted[i] >= q.false_discovery_rate) continue;
        candidates[i].detail["q_value"] = adjusted[i];
        found.push_back(std::move(candidates[i]));
    }
    return found;
}

}  // namespace kn::patterns
