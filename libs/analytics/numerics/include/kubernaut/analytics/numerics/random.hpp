#pragma once

#include <array>
#include <cstdint>

namespace kn::analytics {

/// xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64: the same numbers on every machine for the same seed, unlike the
/// distributions of <random>. A UniformRandomBitGenerator.
class Rng {
public:
    using result_type = std::uint64_t;
    explicit Rng(std::uint64_t seed);
    static constexpr result_type min() { return 0; }
    static constexpr result_type max() { return ~result_type{0}; }

    result_type operator()();
    double uniform();                          ///< [0, 1)
    std::uint64_t below(std::uint64_t bound);  ///< [0, bound), unbiased; bound > 0
    double normal();                           ///< mean 0, deviation 1 (polar method)
    /// An independent generator for part `stream` of the work, so that the answer does not depend on how many threads share it.
    [[nodiscard]] Rng split(std::uint64_t stream) const;

private:
    std::array<std::uint64_t, 4> state_{};
    double spare_ = 0;
    bool has_spare_ = false;
};

}  // namespace kn::analytics
