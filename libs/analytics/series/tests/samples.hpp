#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <numbers>
#include <vector>

#include "kubernaut/analytics/numerics/random.hpp"

namespace kn::analytics::series {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

inline std::vector<double> wave(std::size_t n, double period, double size, double noise, double slope = 0, std::uint64_t seed = 1) {
    Rng rng(seed);
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n; ++i) {
        const auto t = static_cast<double>(i);
        out[i] = 10 + size * std::sin(2 * std::numbers::pi * t / period) + slope * t + noise * rng.normal();
    }
    return out;
}

inline std::vector<double> autoregressive(std::size_t n, double phi, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<double> out(n);
    double x = 0;
    for (double& v : out) v = x = phi * x + rng.normal();
    return out;
}

inline std::vector<double> places(std::size_t n, double step = 60, double start = 1.7e9) {
    std::vector<double> out(n);
    for (std::size_t i = 0; i < n; ++i) out[i] = start + step * static_cast<double>(i);
    return out;
}

inline std::vector<double> scaled(std::vector<double> v, double factor, double shift) {
    for (double& x : v) x = x * factor + shift;
    return v;
}

}  // namespace kn::analytics::series
