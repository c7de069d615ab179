#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "kubernaut/expr/expr.hpp"

namespace kn::expr {

std::optional<double> parse_quantity(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, double>, 15> suffixes{{
        {"Ki", 0x1p10},
        {"Mi", 0x1p20},
        {"Gi", 0x1p30},
        {"Ti", 0x1p40},
        {"Pi", 0x1p50},
        {"Ei", 0x1p60},
        {"n", 1e-9},
        {"u", 1e-6},
        {"m", 1e-3},
        {"k", 1e3},
        {"M", 1e6},
        {"G", 1e9},
        {"T", 1e12},
        {"P", 1e15},
        {"E", 1e18},
    }};
    if (!text.empty() && text.front() == '+') text.remove_prefix(1);
    double value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{} || !std::isfinite(value)) return std::nullopt;
    const std::string_view rest(parsed.ptr, static_cast<std::size_t>(text.data() + text.size() - parsed.ptr));
    if (rest.empty()) return value;
    for (const auto& [suffix, factor] : suffixes) {
        if (rest == suffix) return value * factor;
    }
    return std::nullopt;
}

}  // namespace kn::expr
