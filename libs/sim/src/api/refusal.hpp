#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/request.hpp"
#include "kubernaut/kube/resource.hpp"

namespace kn::sim::api {

using json::Value;

/// An answer that is not what was asked for: the Status object that real servers write, with their reasons and causes.
struct Refusal {
    int code = 500;
    std::string reason;
    std::string message;
    Value details = nullptr;     ///< object or null (left out)
    int retry_after = 0;         ///< seconds; also a header
    std::string continue_token;  ///< metadata.continue of an expired list
    std::string plain_text;      ///< set: answered as text/plain in place of a Status

    [[nodiscard]] Value status() const;
    [[nodiscard]] kube::Response response() const;
};

template <class T = void> using Outcome = std::expected<T, Refusal>;

/// One entry of an Invalid status.
struct Cause {
    std::string reason, message, field;
};
using Causes = std::vector<Cause>;

Cause invalid_value(std::string field, const Value& value, std::string_view why);
Cause required(std::string field, std::string_view why = {});
Cause forbidden_field(std::string field, std::string_view why);
Cause unsupported(std::string field, const Value& value, const std::vector<std::string>& supported);
Cause duplicate(std::string field, const Value& value);

std::unexpected<Refusal> refuse(int code, std::string reason, std::string message, Value details = nullptr);
std::unexpected<Refusal> not_found(const kube::Resource& resource, std::string_view name);
/// 404 of an unknown resource or subresource.
std::unexpected<Refusal> no_such_resource();
std::unexpected<Refusal> page_not_found();
std::unexpected<Refusal> already_exists(const kube::Resource& resource, std::string_view name);
/// 409 with "Operation cannot be fulfilled on ...".
std::unexpected<Refusal> conflict(const kube::Resource& resource, std::string_view name, std::string_view why = {});
std::unexpected<Refusal> forbidden(const kube::Resource& resource, std::string_view name, std::string_view why, std::vector<Cause> causes = {});
std::unexpected<Refusal> invalid(std::string_view group, std::string_view kind, std::string_view name, const Causes& causes);
std::unexpected<Refusal> bad_request(std::string message);
std::unexpected<Refusal> method_not_allowed();

kube::Response json_response(int code, std::string body);
kube::Response json_response(int code, const Value& body);
kube::Response text_response(int code, std::string body);

}  // namespace kn::sim::api
