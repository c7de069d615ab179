#include <algorithm>
#include <map>

#include "kubernaut/analytics/clustering/density.hpp"
#include "labels.hpp"
#include "union_find.hpp"

namespace kn::analytics {
namespace {
// The Gini index of cluster sizes, kept up while clusters join.
class SizeSpread {
public:
    explicit SizeSpread(std::size_t n) : total_(static_cast<double>(n)), clusters_(n) { counts_[1] = n; }

    [[nodiscard]] double gini() const { return clusters_ < 2 ? 0 : differences_ / (total_ * static_cast<double>(clusters_ - 1)); }
    [[nodiscard]] std::size_t smallest() const { return counts_.begin()->first; }

    void join(std::size_t a, std::size_t b) {
        remove(a);
        remove(b);
        differences_ += from(a + b);
        ++counts_[a + b];
        --clusters_;
    }

private:
    [[nodiscard]] double from(std::size_t size) const {
        double sum = 0;
        for (const auto& [other, count] : counts_)
            sum += static_cast<double>(count) * static_cast<double>(other > size ? other - size : size - other);
        return sum;
    }
    void remove(std::size_t size) {
        const auto at = counts_.find(size);
        if (--at->second == 0) counts_.erase(at);
        differences_ -= from(size);
    }

    double total_;
    std::size_t clusters_;
    double differences_ = 0;  // sum of |size_i - size_j| over pairs
    std::map<std::size_t, std::size_t> counts_;
};
}  // namespace

std::vector<Label> genie(const SpanningTree& tree, std::size_t clusters, double gini_threshold) {
    const std::size_t n = tree.core.size(), edges = tree.edges.size();
    std::vector<Label> labels(n, 0);
    if (n == 0) return labels;
    clusters = std::clamp<std::size_t>(clusters, 1, n);
    UnionFind sets(n);
    std::vector<std::size_t> size(n, 1);
    SizeSpread spread(n);
    std::vector<std::size_t> next(edges + 1), before(edges + 1);  // a list of the edges left; `edges` is both its ends
    for (std::size_t e = 0; e <= edges; ++e) {
        next[e] = e == edges ? 0 : e + 1;
        before[e] = e == 0 ? edges : e - 1;
    }
    std::size_t cursor = next[edges], cursor_size = 1;
    for (std::size_t left = n - clusters; left > 0; --left) {
        std::size_t e = next[edges];
        if (spread.gini() > gini_threshold) {
            // Edges passed over join larger clusters only, and go on doing so while the smallest size stays.
            if (spread.smallest() != cursor_size) {
                cursor = next[edges];
                cursor_size = spread.smallest();
            }
            while (size[sets.find(tree.edges[cursor].from)] != cursor_size && size[sets.find(tree.edges[cursor].to)] != cursor_size) cursor = next[cursor];
            e = cursor;
        }
        if (e == cursor) cursor = next[e];
        next[before[e]] = next[e];
        before[next[e]] = before[e];
        const std::uint32_t a = sets.find(tree.edges[e].from), b = sets.find(tree.edges[e].to);
        spread.join(size[a], size[b]);
        const std::size_t total = size[a] + size[b];
        sets.unite(a, b);
        size[sets.find(a)] = total;
    }
    for (std::size_t r = 0; r < n; ++r) labels[r] = static_cast<Label>(sets.find(static_cast<std::uint32_t>(r)));
    name_by_first_row(labels);
    return labels;
}

}  // namespace kn::analytics
