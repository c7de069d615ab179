#include "kubernaut/analytics/numerics/random.hpp"

#include <bit>
#include <cmath>

namespace kn::analytics {
namespace {
std::uint64_t splitmix(std::uint64_t& x) {
    std::uint64_t z = (x += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}
}  // namespace

Rng::Rng(std::uint64_t seed) {
    for (auto& word : state_) word = splitmix(seed);
}

Rng::result_type Rng::operator()() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17U;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
}

double Rng::uniform() { return static_cast<double>((*this)() >> 11U) * 0x1.0p-53; }

std::uint64_t Rng::below(std::uint64_t bound) {
    // Rejects the few values that would make the remainder uneven.
    const std::uint64_t uneven = (max() - bound + 1) % bound;
    for (;;)
        if (const std::uint64_t x = (*this)(); x >= uneven) return x % bound;
}

double Rng::normal() {
    if (has_spare_) {
        has_spare_ = false;
        return spare_;
    }
    for (;;) {
        const double u = 2 * uniform() - 1, v = 2 * uniform() - 1, s = u * u + v * v;
        if (s >= 1 || s == 0) continue;
        const double scale = std::sqrt(-2 * std::log(s) / s);
        spare_ = v * scale;
        has_spare_ = true;
        return u * scale;
    }
}

Rng Rng::split(std::uint64_t stream) const {
    std::uint64_t mixed = state_[0] ^ std::rotl(state_[2], 29) ^ (stream * 0xd1342543de82ef95U + 1);
    return Rng(splitmix(mixed));
}

}  // namespace kn::analytics
