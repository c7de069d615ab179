#pragma once

#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

#include "kubernaut/domain/codec.hpp"

namespace kn::testing {

/// A new seed every run, printed so that a failure can be repeated with KN_SEED.
inline std::uint64_t seed(const char* test) {
    const char* fixed = std::getenv("KN_SEED");
    const std::uint64_t value = fixed != nullptr ? std::strtoull(fixed, nullptr, 10) : std::random_device{}();
    std::cout << test << ": KN_SEED=" << value << '\n';
    return value;
}

/// Random domain values, with what labels and messages may hold: quotes, slashes, control characters, other alphabets.
class Generator {
public:
    explicit Generator(std::uint64_t seed) : random_(seed) {}

    std::uint64_t below(std::uint64_t n) { return std::uniform_int_distribution<std::uint64_t>(0, n - 1)(random_); }
    bool flip() { return below(2) == 0; }
    double number() { return flip() ? std::uniform_real_distribution<double>(0, 1)(random_) : static_cast<double>(below(100)); }
    Instant time() { return from_millis(static_cast<std::int64_t>(1 + below(4'000'000'000'000))); }
    std::string word() {
        std::string out;
        for (std::uint64_t i = 1 + below(10); i > 0; --i) out += static_cast<char>('a' + below(26));
        return out;
    }
    std::string hostile(std::uint64_t least) {
        static const std::string pieces[] = {"a", "Z", "/", "%", "%2F", ".", "_", " ", "\"", "\\", "\n", "\x01", "ü", "名", "'", ";--", "{}"};
        std::string out;
        for (std::uint64_t i = least + below(6); i > 0; --i) out += pieces[below(std::size(pieces))];
        return out;
    }
    ObjectKey key() { return {ClusterId(word()), flip() ? word() : "", "Deployment", flip() ? "apps" : "", hostile(1)}; }
    ObjectRef ref() { return {key(), word(), word(), time()}; }
    template <class E> E one() { return EnumNames<E>::entries[below(EnumNames<E>::entries.size())].first; }
    template <class Make> auto maybe(Make make) -> std::optional<decltype(make())> { return flip() ? std::optional(make()) : std::nullopt; }
    json::Value value(int depth = 0) {
        switch (below(depth > 2 ? 4 : 6)) {
            case 0: return static_cast<std::int64_t>(below(1'000'000));
            case 1: return json::Value(hostile(0));
            case 2: return flip();
            case 3: return static_cast<double>(below(1000)) / 8;
            case 4: {
                json::Array out;
                for (auto i = below(3); i > 0; --i) out.push_back(value(depth + 1));
                return out;
            }
            default: return object(depth + 1);
        }
    }
    json::Object object(int depth = 0) {
        json::Object out;
        for (auto i = below(4); i > 0; --i) out[word()] = value(depth + 1);
        return out;
    }

private:
    std::mt19937_64 random_;
};

}  // namespace kn::testing
