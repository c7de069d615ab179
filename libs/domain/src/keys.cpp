#include "kubernaut/domain/keys.hpp"

#include <array>

#include "kubernaut/base/hash.hpp"
#include "kubernaut/domain/incident.hpp"

namespace kn {
namespace {

constexpr std::string_view hex_digits = "0123456789ABCDEF";
constexpr std::size_t max_story = 200;

/// Names come from labels that anyone may write: '/' and what else would change the meaning of the string form is escaped as %XX, so that two keys
/// never share one string.
void append_escaped(std::string& out, std::string_view part, std::string_view special) {
    for (const char c : part) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f || c == '/' || c == '%' || special.find(c) != std::string_view::npos) {
            out += '%';
            out += hex_digits[byte >> 4];
            out += hex_digits[byte & 15];
        } else {
            out += c;
        }
    }
}

int hex_value(char c) {
    const auto digit = hex_digits.find(c);
    return digit == std::string_view::npos ? -1 : static_cast<int>(digit);
}

bool unescape(std::string_view part, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < part.size(); ++i) {
        if (part[i] != '%') {
            out += part[i];
            continue;
        }
        if (i + 2 >= part.size()) return false;
        const int high = hex_value(part[i + 1]), low = hex_value(part[i + 2]);
        if (high < 0 || low < 0) return false;
        out += static_cast<char>(high << 4 | low);
        i += 2;
    }
    return true;
}

std::unexpected<Error> bad_key(std::string_view text) {
    return fail(ErrorCode::invalid_argument, "not an object key (cluster/namespace/Kind.group/name): \"" + std::string(text.substr(0, 200)) + "\"");
}

std::string hex(std::initializer_list<std::string_view> parts) { return to_hex(sha256_parts(parts)); }

bool is_label_char(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

}  // namespace

std::string ObjectKey::str() const {
    if (empty()) return {};
    std::string out;
    out.reserve(cluster.str().size() + ns.size() + kind.size() + group.size() + name.size() + 5);
    append_escaped(out, cluster.str(), {});
    out += '/';
    if (ns.empty())
        out += '_';
    else if (ns == "_")
        out += "%5F";
    else
        append_escaped(out, ns, {});
    out += '/';
    append_escaped(out, kind, ".");
    if (!group.empty()) {
        out += '.';
        append_escaped(out, group, {});
    }
    out += '/';
    append_escaped(out, name, {});
    return out;
}

Result<ObjectKey> ObjectKey::parse(std::string_view text) {
    std::array<std::string_view, 4> parts;
    std::string_view rest = text;
    for (std::size_t i = 0; i < 3; ++i) {
        const auto slash = rest.find('/');
        if (slash == std::string_view::npos) return bad_key(text);
        parts[i] = rest.substr(0, slash);
        rest.remove_prefix(slash + 1);
    }
    parts[3] = rest;
    if (parts[0].empty() || parts[1].empty() || parts[2].empty() || rest.find('/') != std::string_view::npos) return bad_key(text);
    ObjectKey key;
    std::string cluster;
    const auto dot = parts[2].find('.');
    const std::string_view group = dot == std::string_view::npos ? std::string_view{} : parts[2].substr(dot + 1);
    if (!unescape(parts[0], cluster) || !unescape(parts[2].substr(0, dot), key.kind) || !unescape(group, key.group) ||
        !unescape(parts[3], key.name)) {
        return bad_key(text);
    }
    if (parts[1] != "_" && !unescape(parts[1], key.ns)) return bad_key(text);
    if (key.kind.empty()) return bad_key(text);
    key.cluster = ClusterId(std::move(cluster));
    return key;
}

Result<ClusterId> parse_cluster_id(std::string_view text) {
    const bool ok = !text.empty() && text.size() <= 63 && is_label_char(text.front()) && is_label_char(text.back()) &&
                    text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
    if (!ok) {
        return fail(ErrorCode::invalid_argument,
                    "a cluster id is a DNS label (a-z, 0-9, '-', at most 63 characters), not \"" + std::string(text.substr(0, 80)) + "\"");
    }
    return ClusterId(std::string(text));
}

std::string_view fault_family(std::string_view fault_class) { return fault_class.substr(0, fault_class.find('.')); }

std::string make_signal_key(const ClusterId& cluster, std::string_view source, std::string_view alert_fp, Instant starts_at,
                            std::string_view status) {
    return hex({cluster.str(), source, alert_fp, std::to_string(to_millis(starts_at)), status});
}

std::string make_correlation_key(const ObjectKey& target, std::string_view family) { return hex({target.cluster.str(), target.str(), family}); }

std::string make_incident_key(const ObjectKey& target, std::string_view fault_class) {
    return hex({target.cluster.str(), target.str(), fault_class});
}

void tell(Incident& incident, Instant at, std::string kind, std::string text) {
    if (incident.story.size() >= max_story) {
        incident.story.erase(incident.story.begin(), incident.story.begin() + static_cast<std::ptrdiff_t>(incident.story.size() - max_story + 1));
    }
    incident.story.push_back({at, std::move(kind), std::move(text)});
}

}  // namespace kn
