#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kn {

/// What went wrong, in gRPC's words. Whether to retry is a function of the code alone: see is_retryable().
enum class ErrorCode : std::uint8_t {
    invalid_argument,  ///< the request can never succeed as it is
    not_found,
    already_exists,
    permission_denied,
    unauthenticated,
    failed_precondition,  ///< the world is not as the request needs it
    aborted,              ///< a concurrent change won; read again and try again
    resource_exhausted,   ///< a limit; `retry_after` says when it may be lifted
    unavailable,          ///< the other side cannot be reached or is not ready
    deadline_exceeded,
    cancelled,
    unimplemented,
    internal,  ///< a bug, ours or theirs
};

std::string_view to_string(ErrorCode code);
std::optional<ErrorCode> error_code_from(std::string_view text);

/// Did the failed request reach the point where it may have taken effect?
enum class Applied : std::uint8_t {
    no,     ///< provably not applied
    maybe,  ///< the request left and no answer came: read back before doing anything else
};

struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;   ///< for a person; never parsed
    std::string field{};   ///< place of the trouble: `spec.steps[2].with.name`, or a line
    std::string reason{};  ///< machine-readable detail: an API reason or cause such as `DisruptionBudget`
    std::optional<std::chrono::milliseconds> retry_after{};
    Applied applied = Applied::no;

    /// The same error with context put before its message: "reading pod web-1: ...".
    [[nodiscard]] Error with_context(std::string_view context) const;
    /// "unavailable: reading pod web-1: connection refused", with the field when there is one.
    [[nodiscard]] std::string describe() const;
};

/// True for codes where the same request may succeed later: unavailable, deadline_exceeded, resource_exhausted, aborted.
bool is_retryable(ErrorCode code);

}  // namespace kn
