#pragma once

#include <cstdint>
#include <numeric>
#include <vector>

namespace kn::analytics {

/// Disjoint sets; the lowest member is the root, so that the answer does not depend on the order of unions.
class UnionFind {
public:
    explicit UnionFind(std::size_t n) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0U); }

    std::uint32_t find(std::uint32_t x) {
        while (parent_[x] != x) x = parent_[x] = parent_[parent_[x]];
        return x;
    }
    /// Returns false when they were together already.
    bool unite(std::uint32_t a, std::uint32_t b) {
        a = find(a);
        b = find(b);
        if (a == b) return false;
        if (a > b) std::swap(a, b);
        parent_[b] = a;
        return true;
    }

private:
    std::vector<std::uint32_t> parent_;
};

}  // namespace kn::analytics
