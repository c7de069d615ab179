#include "kubernaut/analytics/numerics/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace kn::analytics {

void parallel_blocks(std::size_t count, std::size_t block, unsigned threads, const std::function<void(std::size_t, std::size_t)>& work) {
    if (count == 0) return;
    block = std::max<std::size_t>(block, 1);
    const std::size_t blocks = (count + block - 1) / block;
    std::atomic<std::size_t> next{0};
    const auto take = [&] {
        for (std::size_t b = next.fetch_add(1); b < blocks; b = next.fetch_add(1)) work(b * block, std::min(count, (b + 1) * block));
    };
    std::vector<std::jthread> helpers;
    const std::size_t wanted = std::min<std::size_t>(std::max(threads, 1U), blocks);
    for (std::size_t t = 1; t < wanted; ++t) helpers.emplace_back(take);
    take();
}

}  // namespace kn::analytics
