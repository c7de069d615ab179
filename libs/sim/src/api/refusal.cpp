#include "api/refusal.hpp"

namespace kn::sim::api {
namespace {

Value named_details(std::string_view name, std::string_view group, std::string_view kind) {
    json::Object details;
    if (!name.empty()) details["name"] = name;
    if (!group.empty()) details["group"] = group;
    details["kind"] = kind;
    return details;
}

Value causes_value(const Causes& causes) {
    json::Array out;
    for (const auto& cause : causes) {
        json::Object entry;
        if (!cause.reason.empty()) entry["reason"] = cause.reason;
        if (!cause.message.empty()) entry["message"] = cause.message;
        if (!cause.field.empty()) entry["field"] = cause.field;
        out.emplace_back(std::move(entry));
    }
    return out;
}

}  // namespace

Value Refusal::status() const {
    json::Object out;
    out["kind"] = "Status";
    out["apiVersion"] = "v1";
    json::Object metadata;
    if (!continue_token.empty()) metadata["continue"] = continue_token;
    out["metadata"] = std::move(metadata);
    out["status"] = "Failure";
    out["message"] = message;
    if (!reason.empty()) out["reason"] = reason;
    json::Object more = details.is_object() ? details.get_object() : json::Object{};
    if (retry_after > 0) more["retryAfterSeconds"] = retry_after;
    if (details.is_object() || retry_after > 0) out["details"] = std::move(more);
    out["code"] = code;
    return out;
}

kube::Response Refusal::response() const {
    if (!plain_text.empty()) return text_response(code, plain_text);
    auto out = json_response(code, status());
    if (retry_after > 0) out.headers.emplace_back("retry-after", std::to_string(retry_after));
    return out;
}

Cause invalid_value(std::string field, const Value& value, std::string_view why) {
    return {"FieldValueInvalid", "Invalid value: " + json::dump(value) + ": " + std::string(why), std::move(field)};
}
Cause required(std::string field, std::string_view why) {
    return {"FieldValueRequired", why.empty() ? "Required value" : "Required value: " + std::string(why), std::move(field)};
}
Cause forbidden_field(std::string field, std::string_view why) { return {"FieldValueForbidden", "Forbidden: " + std::string(why), std::move(field)}; }
Cause unsupported(std::string field, const Value& value, const std::vector<std::string>& supported) {
    std::string list;
    for (const auto& one : supported) list += (list.empty() ? "\"" : ", \"") + one + "\"";
    return {"FieldValueNotSupported", "Unsupported value: " + json::dump(value) + ": supported values: " + list, std::move(field)};
}
Cause duplicate(std::string field, const Value& value) { return {"FieldValueDuplicate", "Duplicate value: " + json::dump(value), std::move(field)}; }

std::unexpected<Refusal> refuse(int code, std::string reason, std::string message, Value details) {
    return std::unexpected(Refusal{.code = code, .reason = std::move(reason), .message = std::move(message), .details = std::move(details)});
}
std::unexpected<Refusal> not_found(const kube::Resource& resource, std::string_view name) {
    return refuse(404, "NotFound", resource.plural_group() + " \"" + std::string(name) + "\" not found",
                  named_details(name, resource.group, resource.plural));
}
std::unexpected<Refusal> no_such_resource() { return refuse(404, "NotFound", "the server could not find the requested resource", json::Object{}); }
std::unexpected<Refusal> page_not_found() { return std::unexpected(Refusal{.code = 404, .plain_text = "404 page not found\n"}); }
std::unexpected<Refusal> already_exists(const kube::Resource& resource, std::string_view name) {
    return refuse(409, "AlreadyExists", resource.plural_group() + " \"" + std::string(name) + "\" already exists",
                  named_details(name, resource.group, resource.plural));
}
std::unexpected<Refusal> conflict(const kube::Resource& resource, std::string_view name, std::string_view why) {
    if (why.empty()) why = "the object has been modified; please apply your changes to the latest version and try again";
    return refuse(409, "Conflict",
                  "Operation cannot be fulfilled on " + resource.plural_group() + " \"" + std::string(name) + "\": " + std::string(why),
                  named_details(name, resource.group, resource.plural));
}
std::unexpected<Refusal> forbidden(const kube::Resource& resource, std::string_view name, std::string_view why, std::vector<Cause> causes) {
    auto details = named_details(name, resource.group, resource.plural);
    if (!causes.empty()) details.as_object()["causes"] = causes_value(causes);
    auto message = resource.plural_group() + (name.empty() ? std::string{} : " \"" + std::string(name) + "\"") + " is forbidden: " + std::string(why);
    return refuse(403, "Forbidden", std::move(message), std::move(details));
}
std::unexpected<Refusal> invalid(std::string_view group, std::string_view kind, std::string_view name, const Causes& causes) {
    auto details = named_details(name, group, kind);
    details.as_object()["causes"] = causes_value(causes);
    std::string list;
    for (const auto& cause : causes) list += (list.empty() ? "" : ", ") + cause.field + ": " + cause.message;
    if (causes.size() > 1) list = "[" + list + "]";
    auto message = std::string(kind) + (group.empty() ? "" : "." + std::string(group)) + " \"" + std::string(name) + "\" is invalid: " + list;
    return refuse(422, "Invalid", std::move(message), std::move(details));
}
std::unexpected<Refusal> bad_request(std::string message) { return refuse(400, "BadRequest", std::move(message)); }
std::unexpected<Refusal> method_not_allowed() {
    return refuse(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", json::Object{});
}

kube::Response json_response(int code, std::string body) {
    kube::Response out;
    out.status = code;
    out.content_type = "application/json";
    out.headers.emplace_back("content-type", "application/json");
    out.body = std::move(body);
    return out;
}
kube::Response json_response(int code, const Value& body) { return json_response(code, json::dump(body) + "\n"); }
kube::Response text_response(int code, std::string body) {
    kube::Response out;
    out.status = code;
    out.content_type = "text/plain; charset=utf-8";
    out.headers.emplace_back("content-type", out.content_type);
    out.body = std::move(body);
    return out;
}

}  // namespace kn::sim::api
