#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "kubernaut/base/time.hpp"

namespace kn {

/// Where randomness comes from: the operating system's in production, a seeded generator in tests and virtual-time runs.
class RandomSource {
public:
    virtual ~RandomSource() = default;
    virtual std::uint64_t next() = 0;
    /// Uniform in [0, 1).
    double unit() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
};

/// The operating system's generator; safe to use from any thread.
class SystemRandom final : public RandomSource {
public:
    std::uint64_t next() override;
};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, the same on every platform. Not for secrets; one thread.
class SeededRandom final : public RandomSource {
public:
    explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() override;

private:
    std::uint64_t state_;
};

/// prefix + 26 characters (Crockford base 32): 48 bits of time, 80 random bits. Sorts by time within a prefix.
std::string make_id(std::string_view prefix, Instant now, RandomSource& random);

/// The same form, but the 80 bits are the SHA-256 of `parts`: after a crash the retry derives the same id and finds its own row.
std::string derive_id(std::string_view prefix, Instant parent_time, std::initializer_list<std::string_view> parts);

/// The 48-bit time inside an id; epoch when `id` has not that form.
Instant id_time(std::string_view id);

}  // namespace kn
