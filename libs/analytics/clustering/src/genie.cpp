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

class Joining {
public:
    Joining(const SpanningTree& tree, double gini_threshold)
        : edges_(tree.edges),
          threshold_(gini_threshold),
          clusters_(tree.core.size()),
          sets_(clusters_),
          size_(clusters_, 1),
          spread_(clusters_),
          next_(edges_.size() + 1),
          before_(edges_.size() + 1) {
        const std::size_t ends = edges_.size();
        for (std::size_t e = 0; e <= ends; ++e) {
            next_[e] = e == ends ? 0 : e + 1;
            before_[e] = e == 0 ? ends : e - 1;
        }
        cursor_ = next_[ends];
    }

    void down_to(std::size_t clusters) {
        for (; clusters_ > clusters; --clusters_) join(pick());
    }

    [[nodiscard]] std::vector<Label> labels() {
        std::vector<Label> out(size_.size());
        for (std::size_t r = 0; r < out.size(); ++r) out[r] = static_cast<Label>(sets_.find(static_cast<std::uint32_t>(r)));
        name_by_first_row(out);
        return out;
    }

private:
    std::size_t pick() {
        const std::size_t ends = edges_.size();
        if (spread_.gini() <= threshold_) return next_[ends];
        // Edges passed over join larger clusters only, and go on doing so while the smallest size stays.
        if (spread_.smallest() != cursor_size_) {
            cursor_ = next_[ends];
            cursor_size_ = spread_.smallest();
        }
        while (size_[sets_.find(edges_[cursor_].from)] != cursor_size_ && size_[sets_.find(edges_[cursor_].to)] != cursor_size_)
            cursor_ = next_[cursor_];
        return cursor_;
    }

    void join(std::size_t e) {
        if (e == cursor_) cursor_ = next_[e];
        next_[before_[e]] = next_[e];
        before_[next_[e]] = before_[e];
        const std::uint32_t a = sets_.find(edges_[e].from), b = sets_.find(edges_[e].to);
        spread_.join(size_[a], size_[b]);
        const std::size_t total = size_[a] + size_[b];
        sets_.unite(a, b);
        size_[sets_.find(a)] = total;
    }

    const std::vector<TreeEdge>& edges_;
    double threshold_;
    std::size_t clusters_;
    UnionFind sets_;
    std::vector<std::size_t> size_;
    SizeSpread spread_;
    std::vector<std::size_t> next_, before_;  // a list of the edges left; edges_.size() is both its ends
    std::size_t cursor_ = 0, cursor_size_ = 1;
};
}  // namespace

std::vector<Label> genie(const SpanningTree& tree, std::size_t clusters, double gini_threshold) {
    if (tree.core.empty()) return {};
    Joining joining(tree, gini_threshold);
    joining.down_to(std::max<std::size_t>(clusters, 1));
    return joining.labels();
}

std::vector<std::vector<Label>> genie_levels(const SpanningTree& tree, std::size_t most_clusters, double gini_threshold) {
    std::vector<std::vector<Label>> levels(std::min(most_clusters, tree.core.size()));
    if (levels.empty()) return levels;
    Joining joining(tree, gini_threshold);
    for (std::size_t k = levels.size(); k >= 1; --k) {
        joining.down_to(k);
        levels[k - 1] = joining.labels();
    }
    return levels;
}

}  // namespace kn::analytics
