#include "core/redact.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

constexpr std::string_view hidden = "[redacted]";
constexpr std::array telling{std::string_view{"password"},      std::string_view{"passwd"},     std::string_view{"secret"},
                             std::string_view{"token"},         std::string_view{"apikey"},     std::string_view{"api_key"},
                             std::string_view{"api-key"},       std::string_view{"access_key"}, std::string_view{"private_key"},
                             std::string_view{"authorization"}, std::string_view{"credential"}, std::string_view{"_key"}};

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '.'; }
bool is_base64url(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; }

bool is_telling(std::string_view name) {
    std::string small(name);
    std::ranges::transform(small, small.begin(), lower);
    return std::ranges::any_of(telling, [&small](std::string_view word) { return small.contains(word); });
}

/// The end of a JWT that begins at `at` ("eyJ....x.y"), or `at`.
std::size_t jwt_end(std::string_view text, std::size_t at) {
    if (!text.substr(at).starts_with("eyJ")) return at;
    std::size_t end = at, dots = 0;
    while (end < text.size() && (is_base64url(text[end]) || text[end] == '.')) dots += text[end++] == '.' ? 1U : 0U;
    return dots >= 2 && end - at > 20 ? end : at;
}

/// The end of the value that follows a telling name: `password=x`, `"token": "x"`, `Authorization: Bearer x`; `at` when no value follows.
std::size_t value_start(std::string_view line, std::size_t at) {
    std::size_t i = at;
    if (i < line.size() && (line[i] == '"' || line[i] == '\'')) ++i;
    while (i < line.size() && line[i] == ' ') ++i;
    if (i >= line.size() || (line[i] != '=' && line[i] != ':')) return at;
    ++i;
    while (i < line.size() && (line[i] == ' ' || line[i] == '"' || line[i] == '\'')) ++i;
    return i;
}

std::string redact_line(std::string_view line) {
    std::string out;
    for (std::size_t i = 0; i < line.size();) {
        const bool starts_word = is_word(line[i]) && (i == 0 || !is_word(line[i - 1]));
        if (!starts_word) {
            out += line[i++];
            continue;
        }
        if (const auto end = jwt_end(line, i); end > i) {
            out += hidden;
            i = end;
            continue;
        }
        auto end = i;
        while (end < line.size() && is_word(line[end])) ++end;
        const auto word = line.substr(i, end - i);
        out += word;
        i = end;
        if (!is_telling(word)) continue;
        const auto value = value_start(line, i);
        if (value == i || value >= line.size()) continue;
        out.append(line.substr(i, value - i));
        i = value;
        // An Authorization value is two words; anything else ends at white space, a quote or a separator.
        const bool header = line.substr(i).starts_with("Bearer ") || line.substr(i).starts_with("Basic ");
        if (header) i = line.find(' ', i) + 1;
        while (i < line.size() && line[i] != ' ' && line[i] != '"' && line[i] != '\'' && line[i] != ',' && line[i] != ';' && line[i] != '&') ++i;
        out += hidden;
    }
    return out;
}

void redact_env(json::Value& pod_spec) {
    for (const auto* list : {"containers", "initContainers", "ephemeralContainers"}) {
        auto* containers = pod_spec.is_object() ? pod_spec.get_object().if_contains(list) : nullptr;
        if (containers == nullptr || !containers->is_array()) continue;
        for (auto& container : containers->get_array()) {
            auto* env = container.is_object() ? container.get_object().if_contains("env") : nullptr;
            if (env == nullptr || !env->is_array()) continue;
            for (auto& each : env->get_array()) {
                if (each.is_object() && each.get_object().contains("value") && is_telling(json::string_at(each, "name")))
                    each.get_object()["value"] = hidden;
            }
        }
    }
}

}  // namespace

std::string redact_text(std::string_view text) {
    std::string out;
    bool in_pem = false;
    for (std::size_t at = 0; at < text.size();) {
        auto end = text.find('\n', at);
        if (end == std::string_view::npos) end = text.size();
        const auto line = text.substr(at, end - at);
        if (line.contains("-----BEGIN ")) {
            in_pem = true;
            out += hidden;
            out += '\n';
        } else if (!in_pem) {
            out += redact_line(line);
            out += '\n';
        }
        if (line.contains("-----END ")) in_pem = false;
        at = end + 1;
    }
    return out;
}

json::Value redact_object(const json::Value& object) {
    json::Value safe = object;
    if (!safe.is_object()) return safe;
    if (auto* metadata = safe.get_object().if_contains("metadata"); metadata != nullptr && metadata->is_object()) {
        metadata->get_object().erase("managedFields");
        if (auto* notes = metadata->get_object().if_contains("annotations"); notes != nullptr && notes->is_object()) {
            notes->get_object().erase("kubectl.kubernetes.io/last-applied-configuration");
            for (auto& note : notes->get_object()) {
                if (is_telling({note.key().data(), note.key().size()})) note.value() = hidden;
            }
        }
    }
    const auto kind = kube::kind_of(safe);
    if (kind == "Secret" || kind == "ConfigMap") {
        for (const auto* part : {"data", "stringData", "binaryData"}) {
            auto* data = safe.get_object().if_contains(part);
            if (data == nullptr || !data->is_object()) continue;
            for (auto& each : data->get_object()) each.value() = hidden;
        }
    }
    for (const auto& path :
         {std::vector<std::string_view>{"spec"}, {"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}}) {
        json::Value* at = &safe;
        for (const auto key : path) {
            at = at != nullptr && at->is_object() ? at->get_object().if_contains(key) : nullptr;
        }
        if (at != nullptr) redact_env(*at);
    }
    return safe;
}

}  // namespace kn::actions
