#include "kubernaut/kube/status.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace kn::kube {
namespace {

/// Causes that say more than the Status reason does.
constexpr std::string_view telling_causes[] = {"DisruptionBudget", "FieldManagerConflict", "NamespaceTerminating", "ResourceVersionTooLarge"};

constexpr std::size_t max_message = 2048;

std::string_view telling_cause(const json::Value& status) {
    for (const auto& cause : json::array_at(status, "details", "causes")) {
        const auto reason = json::string_at(cause, "reason");
        if (std::ranges::find(telling_causes, reason) != std::end(telling_causes)) return reason;
    }
    return {};
}

std::string_view first_field(const json::Value& status) {
    for (const auto& cause : json::array_at(status, "details", "causes")) {
        if (const auto field = json::string_at(cause, "field"); !field.empty()) return field;
    }
    return {};
}

ErrorCode code_for(int http, std::string_view reason) {
    // Decided by number first: several failures of a real server carry no reason at all.
    if (reason == "NamespaceTerminating" || reason == "FieldManagerConflict") return ErrorCode::failed_precondition;
    if (reason == "ResourceVersionTooLarge") return ErrorCode::unavailable;
    switch (http) {
        case 400: return ErrorCode::invalid_argument;
        case 401: return ErrorCode::unauthenticated;
        case 403: return ErrorCode::permission_denied;
        case 404: return ErrorCode::not_found;
        case 405:
        case 406:
        case 415: return ErrorCode::unimplemented;
        case 408: return ErrorCode::unavailable;
        case 409: return reason == "AlreadyExists" ? ErrorCode::already_exists : ErrorCode::aborted;
        case 410: return ErrorCode::failed_precondition;
        case 413:
        case 422: return ErrorCode::invalid_argument;
        case 429: return ErrorCode::resource_exhausted;
        case 501: return ErrorCode::unimplemented;
        case 504: return ErrorCode::deadline_exceeded;
        default: break;
    }
    if (http >= 500) return ErrorCode::unavailable;
    if (http >= 400) return ErrorCode::invalid_argument;
    return ErrorCode::internal;
}

std::optional<std::chrono::milliseconds> seconds_in(std::string_view text) {
    int seconds = 0;
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || seconds < 0) return std::nullopt;
    return std::chrono::seconds(std::min(seconds, 3600));
}

Error from_parts(int http, const json::Value& status) {
    Error error;
    const auto cause = telling_cause(status);
    error.reason = std::string(cause.empty() ? json::string_at(status, "reason") : cause);
    if (error.reason.empty() && http == 410) error.reason = "Expired";
    error.code = code_for(http, error.reason);
    error.message = std::string(json::string_at(status, "message").substr(0, max_message));
    error.field = std::string(first_field(status));
    if (const auto seconds = json::int_at(status, "details", "retryAfterSeconds"); seconds && *seconds > 0) {
        error.retry_after = std::chrono::seconds(std::min<std::int64_t>(*seconds, 3600));
    }
    return error;
}

std::string plain_message(const Response& response) {
    auto text = response.body.substr(0, max_message);
    std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
    while (text.ends_with(' ')) text.pop_back();
    return text;
}

}  // namespace

Error error_from(const Response& response, Method method) {
    // By content, not by Content-Type: a timeout's Status comes as text/plain.
    json::Value status;
    if (const auto parsed = json::parse(response.body); parsed && parsed->is_object()) status = *parsed;
    Error error = from_parts(response.status, status);
    if (error.message.empty() && !status.is_object()) error.message = plain_message(response);
    const std::string number = "HTTP " + std::to_string(response.status);
    error.message = error.message.empty() ? number : error.message + " (" + number + ")";
    const auto retry_after = seconds_in(response.header("retry-after"));
    if (retry_after) error.retry_after = retry_after;
    const bool untouched = response.status == 501 || (response.status == 503 && retry_after);
    const bool unclear = response.status >= 500 || response.status < 200 || response.status == 408;
    if (method != Method::get && unclear && !untouched) error.applied = Applied::maybe;
    return error;
}

Error error_from_status(const json::Value& status) {
    const auto code = static_cast<int>(json::int_at(status, "code").value_or(500));
    Error error = from_parts(code, status);
    if (error.message.empty()) error.message = "the server reported an error, code " + std::to_string(code);
    return error;
}

json::Value make_status(int code, std::string_view reason, std::string_view message, json::Value details) {
    json::Object status;
    status["kind"] = "Status";
    status["apiVersion"] = "v1";
    status["metadata"] = json::Object{};
    status["status"] = code < 400 ? "Success" : "Failure";
    if (!message.empty()) status["message"] = message;
    if (!reason.empty()) status["reason"] = reason;
    if (!details.is_null()) status["details"] = std::move(details);
    status["code"] = code;
    return status;
}

}  // namespace kn::kube
