#include "kubernaut/base/error.hpp"

#include <array>
#include <utility>

namespace kn {
namespace {
constexpr std::array<std::pair<ErrorCode, std::string_view>, 13> names{{
    {ErrorCode::invalid_argument, "invalid_argument"},
    {ErrorCode::not_found, "not_found"},
    {ErrorCode::already_exists, "already_exists"},
    {ErrorCode::permission_denied, "permission_denied"},
    {ErrorCode::unauthenticated, "unauthenticated"},
    {ErrorCode::failed_precondition, "failed_precondition"},
    {ErrorCode::aborted, "aborted"},
    {ErrorCode::resource_exhausted, "resource_exhausted"},
    {ErrorCode::unavailable, "unavailable"},
    {ErrorCode::deadline_exceeded, "deadline_exceeded"},
    {ErrorCode::cancelled, "cancelled"},
    {ErrorCode::unimplemented, "unimplemented"},
    {ErrorCode::internal, "internal"},
}};
}  // namespace

std::string_view to_string(ErrorCode code) {
    for (const auto& [value, name] : names) {
        if (value == code) return name;
    }
    return "internal";
}

std::optional<ErrorCode> error_code_from(std::string_view text) {
    for (const auto& [value, name] : names) {
        if (name == text) return value;
    }
    return std::nullopt;
}

bool is_retryable(ErrorCode code) {
    return code == ErrorCode::unavailable || code == ErrorCode::deadline_exceeded || code == ErrorCode::resource_exhausted ||
           code == ErrorCode::aborted;
}

Error Error::with_context(std::string_view context) const {
    Error copy = *this;
    copy.message = std::string(context) + ": " + message;
    return copy;
}

std::string Error::describe() const {
    std::string text{to_string(code)};
    text += ": ";
    if (!field.empty()) text += field + ": ";
    return text + message;
}

}  // namespace kn
