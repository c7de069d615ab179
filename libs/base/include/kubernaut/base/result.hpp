#pragma once

#include <expected>
#include <string>
#include <utility>

#include "kubernaut/base/error.hpp"

namespace kn {

template <class T = void> using Result = std::expected<T, Error>;

/// Shorthand for `return fail(ErrorCode::not_found, "no such incident")`.
inline std::unexpected<Error> fail(ErrorCode code, std::string message, std::string field = {}) {
    return std::unexpected(Error{.code = code, .message = std::move(message), .field = std::move(field)});
}
inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

}  // namespace kn

#define KN_CAT2(a, b) a##b
#define KN_CAT(a, b) KN_CAT2(a, b)

// KN_TRY(auto pod, read_pod());    declares pod, or returns the error from a function that returns Result.
// KN_CO_TRY(auto pod, co_await read_pod());   the same in a coroutine.
// KN_CHECK(write()); KN_CO_CHECK(co_await write());   for Result<void>.
#define KN_TRY_IMPL(tmp, ret, decl, ...)                   \
    auto tmp = (__VA_ARGS__);                              \
    if (!tmp) ret std::unexpected(std::move(tmp).error()); \
    decl = *std::move(tmp)
#define KN_CHECK_IMPL(tmp, ret, ...)                                                     \
    do {                                                                                 \
        if (auto tmp = (__VA_ARGS__); !tmp) ret std::unexpected(std::move(tmp).error()); \
    } while (false)
#define KN_TRY(decl, ...) KN_TRY_IMPL(KN_CAT(kn_try_, __COUNTER__), return, decl, __VA_ARGS__)
#define KN_CO_TRY(decl, ...) KN_TRY_IMPL(KN_CAT(kn_try_, __COUNTER__), co_return, decl, __VA_ARGS__)
#define KN_CHECK(...) KN_CHECK_IMPL(KN_CAT(kn_check_, __COUNTER__), return, __VA_ARGS__)
#define KN_CO_CHECK(...) KN_CHECK_IMPL(KN_CAT(kn_check_, __COUNTER__), co_return, __VA_ARGS__)
