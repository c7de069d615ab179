#pragma once

#include <cstddef>
#include <functional>

namespace kn::analytics {

/// Calls `work(begin, end)` for blocks of at most `block` items that together cover [0, count), on up to `threads` threads (the caller's
/// is one of them), and returns when all are done. The blocks do not depend on the number of threads: who sums per block and then over
/// blocks in order gets the same bits for any number. `work` must not throw.
void parallel_blocks(std::size_t count, std::size_t block, unsigned threads, const std::function<void(std::size_t begin, std::size_t end)>& work);

}  // namespace kn::analytics
