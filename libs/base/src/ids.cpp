#include "kubernaut/base/ids.hpp"

#include <sys/random.h>

#include <array>
#include <cstdlib>

#include "kubernaut/base/hash.hpp"

namespace kn {
namespace {

constexpr std::string_view alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

std::string encode(std::string_view prefix, Instant time, const std::array<std::uint8_t, 10>& tail) {
    std::array<char, 26> text{};
    auto ms = static_cast<std::uint64_t>(to_millis(time)) & 0xffff'ffff'ffffULL;
    for (int i = 9; i >= 0; --i) {
        text[static_cast<std::size_t>(i)] = alphabet[ms & 31];
        ms >>= 5;
    }
    for (std::size_t half = 0; half < 2; ++half) {
        std::uint64_t bits = 0;
        for (std::size_t i = 0; i < 5; ++i) bits = bits << 8 | tail[half * 5 + i];
        for (std::size_t i = 8; i-- > 0;) {
            text[10 + half * 8 + i] = alphabet[bits & 31];
            bits >>= 5;
        }
    }
    return std::string(prefix) + std::string(text.data(), text.size());
}

}  // namespace

std::uint64_t SystemRandom::next() {
    std::uint64_t value = 0;
    if (getrandom(&value, sizeof value, 0) != static_cast<ssize_t>(sizeof value)) std::abort();
    return value;
}

std::uint64_t SeededRandom::next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

std::string make_id(std::string_view prefix, Instant now, RandomSource& random) {
    std::array<std::uint8_t, 10> tail{};
    const std::uint64_t a = random.next(), b = random.next();
    for (std::size_t i = 0; i < 5; ++i) {
        tail[i] = static_cast<std::uint8_t>(a >> (8 * i));
        tail[5 + i] = static_cast<std::uint8_t>(b >> (8 * i));
    }
    return encode(prefix, now, tail);
}

std::string derive_id(std::string_view prefix, Instant parent_time, std::initializer_list<std::string_view> parts) {
    const Digest digest = sha256_parts(parts);
    std::array<std::uint8_t, 10> tail{};
    for (std::size_t i = 0; i < tail.size(); ++i) tail[i] = digest[i];
    return encode(prefix, parent_time, tail);
}

Instant id_time(std::string_view id) {
    const auto underscore = id.find('_');
    if (underscore == std::string_view::npos || id.size() != underscore + 27) return Instant{};
    std::int64_t ms = 0;
    for (const char c : id.substr(underscore + 1, 10)) {
        const auto digit = alphabet.find(c);
        if (digit == std::string_view::npos) return Instant{};
        ms = ms << 5 | static_cast<std::int64_t>(digit);
    }
    return from_millis(ms);
}

}  // namespace kn
