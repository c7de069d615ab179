#include "evidence/hints.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace kn::decision {

std::string hint_of(std::string_view message) {
    struct Token {
        std::string_view text, hint;
    };
    // First match wins, most specific first. Lower case.
    static constexpr std::array tokens{
        Token{"unauthorized", "unauthorized"},
        Token{"authentication required", "unauthorized"},
        Token{"pull access denied", "unauthorized"},
        Token{"manifest unknown", "not_found"},
        Token{"not found", "not_found"},
        Token{"no such host", "unavailable"},
        Token{"connection refused", "unavailable"},
        Token{"i/o timeout", "unavailable"},
        Token{"tls handshake timeout", "unavailable"},
        Token{"toomanyrequests", "unavailable"},
        Token{"insufficient cpu", "insufficient_cpu"},
        Token{"insufficient memory", "insufficient_memory"},
        Token{"too many pods", "too_many_pods"},
        Token{"untolerated taint", "untolerated_taint"},
        Token{"exceeded quota", "exceeded_quota"},
        Token{"violates podsecurity", "pod_security"},
    };
    if (message.empty()) return {};
    std::string lower(message.substr(0, 2048));
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const auto& token : tokens) {
        if (lower.find(token.text) != std::string::npos) return std::string{token.hint};
    }
    return {};
}

}  // namespace kn::decision
