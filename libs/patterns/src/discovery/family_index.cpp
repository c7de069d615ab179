#include "kubernaut/patterns/discovery/family_index.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "discovery/common.hpp"

namespace kn::patterns {
namespace {

constexpr std::size_t most_words = 12;   // a trait with more values is a name
constexpr std::size_t most_columns = 8;  // that count: the heaviest
constexpr double least_gain = 6.0;       // times its standard deviation under chance, so that of a hundred idle traits hardly one counts
constexpr double least_likeness = 0.5;   // of the weight; less alike is no neighbour
constexpr std::size_t most_told = 3;

struct Cell {
    double n = 0, good = 0;
};

/// How much squared error the groups of a column take away, in standard deviations beyond its expectation under chance: for each workflow the sum over
/// groups of n (p_group - p)^2 is p (1 - p) times about a chi-square with groups - 1 degrees of freedom.
double gain_of(const std::vector<std::string>& words, const std::vector<std::size_t>& workflow, const std::vector<char>& good,
               std::size_t workflows) {
    std::vector<std::map<std::string, Cell>> groups(workflows);
    std::vector<Cell> totals(workflows);
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i].empty()) continue;
        auto& cell = groups[workflow[i]][words[i]];
        cell.n += 1, cell.good += good[i];
        totals[workflow[i]].n += 1, totals[workflow[i]].good += good[i];
    }
    double gained = 0, freedom = 0;
    for (std::size_t w = 0; w < workflows; ++w) {
        if (totals[w].n < 8 || groups[w].size() < 2) continue;
        const double p = totals[w].good / totals[w].n, variance = p * (1 - p);
        if (variance <= 0) continue;
        double between = 0;
        for (const auto& [word, cell] : groups[w]) between += cell.n * (cell.good / cell.n - p) * (cell.good / cell.n - p);
        gained += between / variance;
        freedom += static_cast<double>(groups[w].size() - 1);
    }
    return freedom > 0 ? (gained - freedom) / std::sqrt(2 * freedom) : 0;
}

}  // namespace

std::string FamilyIndex::word_of(const ExecutionRow& row, const Column& column) {
    if (!column.number) {
        for (const auto& [name, value] : row.traits)
            if (name == column.name) return value;
        return {};
    }
    for (const auto& [name, value] : row.numbers) {
        if (name != column.name || !std::isfinite(value)) continue;
        const auto quarter = std::upper_bound(column.cuts.begin(), column.cuts.end(), value) - column.cuts.begin();
        // Words for people: "below 0.42", "0.42 to 0.8", "from 0.8".
        if (quarter == 0) return worded("below %.3g", column.cuts.front());
        if (static_cast<std::size_t>(quarter) == column.cuts.size()) return worded("from %.3g", column.cuts.back());
        return worded("%.3g to %.3g", column.cuts[static_cast<std::size_t>(quarter) - 1], column.cuts[static_cast<std::size_t>(quarter)]);
    }
    return {};
}

FamilyIndex::Class FamilyIndex::make_class(std::vector<const ExecutionRow*> rows) {
    std::ranges::sort(rows, [](const auto* a, const auto* b) { return std::tie(a->started, a->id) < std::tie(b->started, b->id); });
    if (rows.size() > most_rows) rows.erase(rows.begin(), rows.end() - most_rows);
    Class out;
    std::map<std::string, std::size_t> numbers_of;
    std::vector<std::size_t> workflow;
    std::vector<char> good;
    std::map<std::string, std::vector<double>> numbers;
    std::set<std::string> traits;
    for (const auto* row : rows) {
        workflow.push_back(numbers_of.try_emplace(row->workflow, numbers_of.size()).first->second);
        good.push_back(row->succeeded ? 1 : 0);
        for (const auto& [name, value] : row->traits) traits.insert(name);
        for (const auto& [name, value] : row->numbers)
            if (std::isfinite(value)) numbers[name].push_back(value);
    }
    std::vector<Column> candidates;
    for (const auto& name : traits) candidates.push_back({.name = name});
    for (auto& [name, values] : numbers) {
        if (values.size() < least_rows / 2) continue;
        std::ranges::sort(values);
        Column column{.name = name, .number = true};
        for (const std::size_t quarter : {1, 2, 3}) {
            const double cut = values[values.size() * quarter / 4];
            if (column.cuts.empty() || cut > column.cuts.back()) column.cuts.push_back(cut);
        }
        candidates.push_back(std::move(column));
    }
    for (Column& column : candidates) {
        std::vector<std::string> words;
        std::set<std::string> distinct;
        for (const auto* row : rows) {
            words.push_back(word_of(*row, column));
            if (distinct.size() <= most_words) distinct.insert(words.back());
        }
        if (distinct.size() > most_words || distinct.size() < 2) continue;
        const double gain = gain_of(words, workflow, good, numbers_of.size());
        if (gain < least_gain) continue;
        column.weight = gain;
        out.columns.push_back(column);
    }
    std::ranges::sort(out.columns, [](const Column& a, const Column& b) { return a.weight != b.weight ? a.weight > b.weight : a.name < b.name; });
    if (out.columns.size() > most_columns) out.columns.resize(most_columns);
    for (const Column& column : out.columns) out.total += column.weight;
    if (out.columns.empty()) return out;
    for (std::size_t i = 0; i < rows.size(); ++i) {
        Case one{.workflow = rows[i]->workflow, .good = good[i] != 0, .words = {}};
        for (const Column& column : out.columns) one.words.push_back(word_of(*rows[i], column));
        out.cases.push_back(std::move(one));
    }
    return out;
}

FamilyIndex::FamilyIndex(const std::vector<ExecutionRow>& rows) {
    std::map<std::string, std::vector<const ExecutionRow*>> by_class;
    for (const auto& row : rows)
        if (!row.fault_class.empty()) by_class[row.fault_class].push_back(&row);
    for (auto& [name, list] : by_class) {
        if (list.size() < least_rows) continue;
        size_ += list.size();
        Class made = make_class(std::move(list));
        if (!made.columns.empty()) classes_.emplace(name, std::move(made));
    }
}

std::vector<NearCases> FamilyIndex::near(const ExecutionRow& one) const {
    const auto found = classes_.find(one.fault_class);
    if (found == classes_.end()) return {};
    const Class& known = found->second;
    std::vector<std::string> words;
    double told = 0;
    for (const Column& column : known.columns) {
        words.push_back(word_of(one, column));
        if (!words.back().empty()) told += column.weight;
    }
    // What is not known of the case cannot make another like it.
    if (told < least_likeness * known.total) return {};
    std::vector<std::pair<double, std::size_t>> likeness;
    for (std::size_t i = 0; i < known.cases.size(); ++i) {
        double alike = 0;
        for (std::size_t c = 0; c < words.size(); ++c)
            if (!words[c].empty() && known.cases[i].words[c] == words[c]) alike += known.columns[c].weight;
        if (alike >= least_likeness * known.total) likeness.emplace_back(alike / known.total, i);
    }
    // The most alike, of those the latest.
    std::ranges::sort(likeness, [](const auto& a, const auto& b) { return a.first != b.first ? a.first > b.first : a.second > b.second; });
    if (likeness.size() > nearest) likeness.resize(nearest);
    std::map<std::string, NearCases> sums;
    for (const auto& [alike, index] : likeness) {
        const Case& past = known.cases[index];
        NearCases& sum = sums[past.workflow];
        sum.workflow = past.workflow;
        const double weight = alike * alike;  // half alike counts a quarter
        (past.good ? sum.good : sum.bad) += weight;
    }
    std::string shared;
    std::size_t told_of = 0;
    for (std::size_t c = 0; c < words.size() && told_of < most_told; ++c) {
        if (words[c].empty()) continue;
        shared += (shared.empty() ? "" : ", ") + known.columns[c].name + " = " + words[c];
        ++told_of;
    }
    std::vector<NearCases> out;
    for (auto& [name, sum] : sums) {
        sum.shared = shared;
        out.push_back(std::move(sum));
    }
    return out;
}

}  // namespace kn::patterns
