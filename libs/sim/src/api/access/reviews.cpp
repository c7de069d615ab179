// Requests that ask the server a question and store nothing: access reviews, token reviews, who am I; and tokens of service accounts.
#include <algorithm>

#include "api/core.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

using json::at;
using json::Object;
using json::string_at;

AccessQuestion question_of(const Value& spec) {
    AccessQuestion question;
    if (const auto* attributes = at(spec, "resourceAttributes")) {
        question.verb = string_at(*attributes, "verb");
        question.group = string_at(*attributes, "group");
        question.resource = string_at(*attributes, "resource");
        question.subresource = string_at(*attributes, "subresource");
        question.ns = string_at(*attributes, "namespace");
        question.name = string_at(*attributes, "name");
    } else {
        question.resource_request = false;
        question.verb = string_at(spec, "nonResourceAttributes", "verb");
        question.path = string_at(spec, "nonResourceAttributes", "path");
    }
    return question;
}

Value answer_access(Value body, bool allowed) {
    body.as_object()["status"] = Object{{"allowed", allowed}};
    if (!body.as_object().contains("metadata")) body.as_object()["metadata"] = Object{};
    return body;
}

json::Array texts(const std::vector<std::string>& list) {
    json::Array out;
    for (const auto& text : list) out.emplace_back(text);
    return out;
}

Value user_info(const Identity& identity) { return Object{{"username", identity.user}, {"groups", texts(identity.groups)}}; }

}  // namespace

Outcome<kube::Response> Core::review(const RequestInfo& info, const ServedType& type, const Identity& identity) {
    if (info.verb != "create") return method_not_allowed();
    const auto& kind = type.resource.kind;
    KN_TRY(auto body, read_body(*info.request, kind));
    if (!body.is_object()) return bad_request("the object provided is unrecognized (must be of type " + kind + ")");
    body.as_object()["kind"] = kind;
    body.as_object()["apiVersion"] = type.resource.api_version();
    if (kind == "Binding") {
        // The old form of pods/binding: the pod's name is that of the Binding.
        RequestInfo pods = info;
        pods.plural = "pods";
        pods.subresource = "binding";
        pods.name = kube::name_of(body);
        return bind(pods, *types.by_storage("pods"), identity);
    }
    const Value none = Object{};
    const auto* found = at(body, "spec");
    const Value spec = found == nullptr ? none : *found;
    if (kind == "SelfSubjectAccessReview") {
        if (at(spec, "resourceAttributes") == nullptr && at(spec, "nonResourceAttributes") == nullptr) {
            return invalid(
                "authorization.k8s.io", kind, "",
                {invalid_value("spec.resourceAttributes", nullptr, "exactly one of nonResourceAttributes or resourceAttributes must be specified")});
        }
        return json_response(201, answer_access(std::move(body), rbac.allowed(identity, question_of(spec))));
    }
    if (kind == "SubjectAccessReview" || kind == "LocalSubjectAccessReview") {
        Identity subject{.user = std::string(string_at(spec, "user"))};
        for (const Value& group : json::array_at(spec, "groups")) {
            if (group.is_string()) subject.groups.emplace_back(json::view(group.get_string()));
        }
        if (subject.user.empty() && subject.groups.empty()) {
            return invalid("authorization.k8s.io", kind, "",
                           {invalid_value("spec.user", Value(""), "at least one of user or group must be specified")});
        }
        // The question is about the subject as given; the groups that authentication would add are not implied.
        return json_response(201, answer_access(std::move(body), rbac.allowed(subject, question_of(spec))));
    }
    if (kind == "SelfSubjectRulesReview") {
        json::Array resources, others;
        for (const auto* rule : rbac.rules_for(identity, string_at(spec, "namespace"))) {
            (at(*rule, "nonResourceURLs") != nullptr ? others : resources).push_back(*rule);
        }
        body.as_object()["status"] = Object{{"resourceRules", std::move(resources)}, {"nonResourceRules", std::move(others)}, {"incomplete", false}};
        return json_response(201, body);
    }
    if (kind == "SelfSubjectReview") {
        return json_response(201, Object{{"kind", kind},
                                         {"apiVersion", type.resource.api_version()},
                                         {"metadata", Object{{"creationTimestamp", format_rfc3339(std::chrono::floor<std::chrono::seconds>(now()))}}},
                                         {"status", Object{{"userInfo", user_info(identity)}}}});
    }
    // TokenReview
    Object status;
    if (const auto who = authenticate(string_at(spec, "token"))) {
        status["authenticated"] = true;
        status["user"] = user_info(with_implied_groups(*who));
    } else {
        status["user"] = Object{};
        status["error"] = "[invalid bearer token]";
    }
    body.as_object()["status"] = std::move(status);
    return json_response(201, body);
}

std::optional<Identity> Core::authenticate(std::string_view token) const {
    if (const auto found = options.tokens.find(std::string(token)); found != options.tokens.end()) return found->second;
    if (const auto found = issued_tokens.find(token); found != issued_tokens.end()) return found->second;
    // Secrets of type service-account-token hold tokens that somebody else wrote.
    const auto* secrets = store.find("secrets");
    if (secrets == nullptr) return std::nullopt;
    for (const auto& [key, secret] : secrets->objects()) {
        if (string_at(secret->value(), "type") != "kubernetes.io/service-account-token") continue;
        const auto stored = base64_decode(string_at(secret->value(), "data", "token"));
        if (!stored.ok || stored.bytes.empty() || !equal_constant_time(stored.bytes, token)) continue;
        return Identity{.user = "system:serviceaccount:" + key.first + ":" +
                                std::string(kube::annotation_of(secret->value(), "kubernetes.io/service-account.name"))};
    }
    return std::nullopt;
}

Outcome<kube::Response> Core::service_account_token(const RequestInfo& info) {
    const auto account = find("serviceaccounts", info.ns, info.name);
    if (!account) return not_found(kube::resources::service_accounts, info.name);
    KN_TRY(auto body, read_body(*info.request, "TokenRequest"));
    if (!body.is_object()) body = Object{};
    std::string token = "sim." + make_uid() + make_uid();
    issued_tokens[token] = Identity{.user = "system:serviceaccount:" + info.ns + ":" + info.name};
    const auto lives = std::chrono::seconds(json::int_at(body, "spec", "expirationSeconds").value_or(3600));
    body.as_object()["kind"] = "TokenRequest";
    body.as_object()["apiVersion"] = "authentication.k8s.io/v1";
    body.as_object()["metadata"] = Object{{"name", info.name}, {"namespace", info.ns}};
    body.as_object()["status"] =
        Object{{"token", token}, {"expirationTimestamp", format_rfc3339(std::chrono::floor<std::chrono::seconds>(now() + lives))}};
    return json_response(201, body);
}

}  // namespace kn::sim::api
