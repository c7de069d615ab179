#include "kubernaut/analytics/judging/tabular/clustering_scores.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace kn::analytics::judging {
namespace {
std::vector<std::size_t> dense(std::span<const std::int32_t> labels, std::size_t& count) {
    std::map<std::int32_t, std::size_t> names;
    for (const auto l : labels) names.try_emplace(l, 0);
    for (auto& [label, name] : names) name = count++;
    std::vector<std::size_t> out;
    out.reserve(labels.size());
    for (const auto l : labels) out.push_back(names[l]);
    return out;
}

std::vector<std::vector<double>> contingency(std::span<const std::int32_t> truth, std::span<const std::int32_t> found) {
    std::size_t rows = 0, cols = 0;
    const auto a = dense(truth, rows), b = dense(found, cols);
    std::vector<std::vector<double>> table(rows, std::vector<double>(cols, 0));
    for (std::size_t i = 0; i < a.size(); ++i) table[a[i]][b[i]] += 1;
    return table;
}

double pairs(double n) { return n * (n - 1) / 2; }
}  // namespace

double adjusted_rand_index(std::span<const std::int32_t> truth, std::span<const std::int32_t> found) {
    const auto table = contingency(truth, found);
    if (table.empty()) return 1;
    std::vector<double> columns(table.front().size(), 0);
    double together = 0, in_truth = 0, in_found = 0, total = 0;
    for (const auto& row : table) {
        double sum = 0;
        for (std::size_t c = 0; c < row.size(); ++c) {
            together += pairs(row[c]);
            sum += row[c];
            columns[c] += row[c];
        }
        in_truth += pairs(sum);
        total += sum;
    }
    for (const double c : columns) in_found += pairs(c);
    const double expected = total > 1 ? in_truth * in_found / pairs(total) : 0;
    const double largest = (in_truth + in_found) / 2;
    return largest == expected ? 1 : (together - expected) / (largest - expected);
}

double best_matching_total(const std::vector<std::vector<double>>& values) {
    // Shortest augmenting paths with potentials (Jonker, Volgenant's form of the Hungarian method); indices from 1.
    const std::size_t n = values.size();
    if (n == 0) return 0;
    const std::size_t m = values.front().size();
    constexpr double infinite = std::numeric_limits<double>::infinity();
    std::vector<double> u(n + 1, 0), v(m + 1, 0);
    std::vector<std::size_t> row_of(m + 1, 0), way(m + 1, 0);
    for (std::size_t i = 1; i <= n; ++i) {
        row_of[0] = i;
        std::size_t column = 0;
        std::vector<double> least(m + 1, infinite);
        std::vector<char> used(m + 1, 0);
        do {
            used[column] = 1;
            const std::size_t row = row_of[column];
            double delta = infinite;
            std::size_t next = 0;
            for (std::size_t j = 1; j <= m; ++j) {
                if (used[j] != 0) continue;
                const double reduced = -values[row - 1][j - 1] - u[row] - v[j];
                if (reduced < least[j]) {
                    least[j] = reduced;
                    way[j] = column;
                }
                if (least[j] < delta) {
                    delta = least[j];
                    next = j;
                }
            }
            for (std::size_t j = 0; j <= m; ++j) {
                if (used[j] != 0) {
                    u[row_of[j]] += delta;
                    v[j] -= delta;
                } else {
                    least[j] -= delta;
                }
            }
            column = next;
        } while (row_of[column] != 0);
        while (column != 0) {
            row_of[column] = row_of[way[column]];
            column = way[column];
        }
    }
    double total = 0;
    for (std::size_t j = 1; j <= m; ++j)
        if (row_of[j] != 0) total += values[row_of[j] - 1][j - 1];
    return total;
}

double normalized_clustering_accuracy(std::span<const std::int32_t> truth, std::span<const std::int32_t> found) {
    auto table = contingency(truth, found);
    if (table.size() < 2) return 1;
    const auto k = static_cast<double>(table.size());
    for (auto& row : table) {
        double sum = 0;
        for (const double c : row) sum += c;
        for (double& c : row) c /= sum;
        row.resize(std::max(row.size(), table.size()), 0);
    }
    return (best_matching_total(table) / k - 1 / k) / (1 - 1 / k);
}

}  // namespace kn::analytics::judging
