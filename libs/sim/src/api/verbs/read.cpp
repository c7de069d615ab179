// get and list: selectors, consistent pages, the three ways in which a version can be too old.
#include <algorithm>
#include <charconv>

#include "api/core.hpp"
#include "kubernaut/base/hash.hpp"
#include "kubernaut/json/yaml.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

std::optional<std::uint64_t> parse_version(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string base64_url(std::string_view bytes) {
    auto text = base64_encode(bytes);
    while (!text.empty() && text.back() == '=') text.pop_back();
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    return text;
}

struct ContinueToken {
    std::int64_t version = 0;  ///< -1: whatever is current
    Key after;
};

std::string encode_token(std::int64_t version, const Key& after) {
    return base64_url(
        json::dump(json::Object{{"v", "meta.k8s.io/v1"}, {"rv", version}, {"start", after.first + "/" + after.second + std::string(1, '\0')}}));
}

Outcome<ContinueToken> decode_token(std::string_view text) {
    std::string plain(text);
    std::ranges::replace(plain, '-', '+');
    std::ranges::replace(plain, '_', '/');
    const auto bytes = base64_decode(plain);
    const auto broken = [] { return bad_request("invalid continue token: continue key is not valid"); };
    if (!bytes.ok) return broken();
    const auto value = json::parse(bytes.bytes);
    if (!value || json::string_at(*value, "v") != "meta.k8s.io/v1") return broken();
    ContinueToken token;
    token.version = json::int_at(*value, "rv").value_or(0);
    auto start = json::string_at(*value, "start");
    if (start.ends_with('\0')) start.remove_suffix(1);
    const auto slash = start.find('/');
    if (slash == std::string_view::npos || token.version == 0) return broken();
    token.after = {std::string(start.substr(0, slash)), std::string(start.substr(slash + 1))};
    return token;
}

std::unexpected<Refusal> expired_token(const ContinueToken& token) {
    auto refused =
        refuse(410, "Expired",
               "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
               "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token "
               "results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and "
               "now may show up in the list.");
    refused.error().continue_token = encode_token(-1, token.after);
    return refused;
}

/// Field labels that a kind can be selected by, beside metadata.name and metadata.namespace.
const std::vector<std::string>& selectable_fields(const ServedType& type) {
    static const std::map<std::string, std::vector<std::string>, std::less<>> table{
        {"pods",
         {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP",
          "status.nominatedNodeName"}},
        {"events",
         {"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid", "involvedObject.apiVersion",
          "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type"}},
        {"secrets", {"type"}},
        {"nodes", {"spec.unschedulable"}},
        {"namespaces", {"status.phase", "name"}},
        {"replicasets.apps", {"status.replicas"}},
        {"replicationcontrollers", {"status.replicas"}},
        {"jobs.batch", {"status.successful"}},
        {"services", {"spec.clusterIP", "spec.type"}},
    };
    static const std::vector<std::string> none;
    if (type.custom) return type.custom->selectable;
    const auto found = table.find(type.storage);
    return found == table.end() ? none : found->second;
}

/// regarding.name of events.k8s.io → involvedObject.name of what is stored.
std::string stored_label(const ServedType& type, std::string label) {
    if (type.resource.group == "events.k8s.io") {
        if (label.starts_with("regarding.")) return "involvedObject." + label.substr(10);
        if (label == "reportingController") return "reportingComponent";
        if (label == "note") return "message";
    }
    if (type.storage == "events" && label == "source") return "source.component";
    return label;
}

}  // namespace

Outcome<Selection> Selection::read(const RequestInfo& info, const ServedType& type) {
    Selection out;
    if (type.resource.namespaced) out.ns_ = info.ns;
    if (const auto text = info.query("labelSelector"); !text.empty()) {
        auto parsed = kube::LabelSelector::parse(text);
        if (!parsed) return bad_request("unable to parse requirement: " + parsed.error().message);
        out.labels_ = std::move(*parsed);
        out.by_labels_ = !out.labels_.empty();
        out.empty_ = !out.by_labels_;
    }
    if (const auto text = info.query("fieldSelector"); !text.empty()) {
        auto parsed = kube::FieldSelector::parse(text);
        if (!parsed) return bad_request(parsed.error().message);
        std::string rewritten;
        for (const auto& term : parsed->terms()) {
            const auto label = stored_label(type, term.path);
            const auto& known = selectable_fields(type);
            const auto base = label == "source.component" ? std::string("source") : label;
            const bool fine = label == "metadata.name" || (label == "metadata.namespace" && type.resource.namespaced) ||
                              std::ranges::find(known, base) != known.end();
            if (!fine) return bad_request("field label not supported: " + term.path);
            rewritten += (rewritten.empty() ? "" : ",") + label + (term.equal ? "=" : "!=") + term.value;
        }
        auto again = kube::FieldSelector::parse(rewritten);
        if (!again) return bad_request(again.error().message);
        out.fields_ = std::move(*again);
        if (!out.fields_.terms().empty()) out.empty_ = false;
    }
    return out;
}

bool Selection::matches(const Value& object) const {
    if (!ns_.empty() && kube::namespace_of(object) != ns_) return false;
    if (by_labels_ && !labels_.matches(json::object_at(object, "metadata", "labels"))) return false;
    for (const auto& term : fields_.terms()) {
        // Flags and numbers compare by their text, and a flag that is absent is "false".
        if (term.path == "spec.unschedulable" || term.path == "spec.hostNetwork") {
            const bool value = json::bool_at(object, "spec", std::string_view(term.path).substr(5)).value_or(false);
            if ((value ? term.value == "true" : term.value == "false") != term.equal) return false;
        } else if (term.path.starts_with("status.") && term.path.ends_with("replicas")) {
            const auto value = std::to_string(json::int_at(object, "status", "replicas").value_or(0));
            if ((value == term.value) != term.equal) return false;
        }
    }
    // The rest is compared by kube::FieldSelector; flags of above have been judged, and match there only when they are stored as text.
    for (const auto& term : fields_.terms()) {
        if (term.path == "spec.unschedulable" || term.path == "spec.hostNetwork" || term.path.ends_with("replicas")) continue;
        const Value* value = &object;
        std::string_view path = term.path;
        while (value != nullptr && !path.empty()) {
            const auto dot = path.find('.');
            value = json::at(*value, path.substr(0, dot));
            path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
        }
        const auto* text = value == nullptr ? nullptr : value->if_string();
        const std::string actual = text != nullptr                        ? std::string(json::view(*text))
                                   : value == nullptr || value->is_null() ? std::string{}
                                                                          : json::dump(*value);
        if ((actual == term.value) != term.equal) return false;
    }
    return true;
}

Outcome<kube::Response> Core::get(const RequestInfo& info, const ServedType& type) {
    if (const auto accepted = negotiate(info.request->accept, &type); !accepted) return std::unexpected(accepted.error());
    const auto object = find(type.storage, type.resource.namespaced ? info.ns : std::string{}, info.name);
    if (!object) return not_found(type.resource, info.name);
    return render(200, type, *object, info);
}

Outcome<kube::Response> Core::list(const RequestInfo& info, const ServedType& type) {
    KN_TRY(const auto accepted, negotiate(info.request->accept, &type));
    KN_TRY(const auto selection, Selection::read(info, type));
    const auto version_text = info.query("resourceVersion");
    const auto match = info.query("resourceVersionMatch");
    const auto token_text = info.query("continue");
    std::int64_t limit = 0;
    if (const auto text = info.query("limit"); !text.empty()) {
        const auto parsed = parse_version(text);
        if (!parsed) return bad_request("limit: Invalid value: \"" + std::string(text) + "\"");
        limit = static_cast<std::int64_t>(*parsed);
    }
    const auto& collection = store.of(type.storage);
    std::uint64_t version = store.version();
    Key after;
    bool resumed = false;
    std::optional<Collection::Objects> past;

    if (!token_text.empty()) {
        if (!version_text.empty() && version_text != "0") return bad_request("specifying resource version is not allowed when using continue");
        KN_TRY(const auto token, decode_token(token_text));
        after = token.after;
        resumed = true;
        if (token.version > 0) {
            version = static_cast<std::uint64_t>(token.version);
            if (version != store.version()) {
                past = collection.at_version(version);
                if (!past) return expired_token(token);
            }
        }
    } else if (!version_text.empty() && version_text != "0") {
        const auto wanted = parse_version(version_text);
        if (!wanted) {
            return invalid("meta.k8s.io", "ListOptions", "", {invalid_value("resourceVersion", Value(version_text), "must be an unsigned integer")});
        }
        if (*wanted > store.version()) {
            auto refused = refuse(
                504, "Timeout", "Timeout: Too large resource version: " + std::to_string(*wanted) + ", current: " + std::to_string(store.version()),
                json::Object{
                    {"causes", json::Array{json::Object{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}}}});
            refused.error().retry_after = 1;
            return refused;
        }
        if (match == "Exact") {
            version = *wanted;
            past = collection.at_version(version);
            if (!past) return refuse(410, "Expired", "The resourceVersion for the provided list is too old.");
        }
    }
    if (!match.empty() && version_text.empty()) {
        return invalid("meta.k8s.io", "ListOptions", "",
                       {forbidden_field("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")});
    }

    const auto& objects = past ? *past : collection.objects();
    const auto ns = type.resource.namespaced ? std::string_view(info.ns) : std::string_view{};
    auto it = resumed ? objects.upper_bound(after) : objects.lower_bound(KeyView{ns, {}});
    std::vector<ObjectPtr> page;
    std::string next;
    std::int64_t remaining = 0;
    for (; it != objects.end(); ++it) {
        if (!ns.empty() && it->first.first != ns) break;
        if (!selection.matches(it->second->value())) continue;
        if (limit > 0 && static_cast<std::int64_t>(page.size()) == limit) {
            if (next.empty()) next = encode_token(static_cast<std::int64_t>(version), after);
            ++remaining;
            if (!selection.empty()) break;  // how many remain is not told, so they need not be counted
            continue;
        }
        after = it->first;
        page.push_back(it->second);
    }

    json::Object metadata;
    metadata["resourceVersion"] = std::to_string(version);
    if (!next.empty()) {
        metadata["continue"] = next;
        if (selection.empty()) metadata["remainingItemCount"] = remaining;
    }
    if (accepted.form == Form::table) {
        const auto table = table_of(type, page, metadata, info.query("includeObject"), now(), true);
        return json_response(200, table);
    }
    std::string body;
    std::size_t size = 128;
    if (accepted.form == Form::object) {
        for (const auto& object : page) size += object->text().size();
    }
    body.reserve(size);
    if (accepted.form == Form::metadata) {
        body = R"({"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":)";
    } else {
        body = "{\"kind\":\"" + type.resource.kind + "List\",\"apiVersion\":\"" + type.resource.api_version() + "\",\"metadata\":";
    }
    body += json::dump(metadata) + ",\"items\":[";
    bool first = true;
    for (const auto& object : page) {
        if (!std::exchange(first, false)) body += ',';
        if (accepted.form == Form::metadata)
            body += json::dump(partial_metadata(object->value()));
        else if (type.custom)
            body += served_text(type, *object);  // items of custom lists do carry their type
        else
            body += served_item_text(type, *object);
    }
    body += "]}\n";
    auto out = json_response(200, std::move(body));
    if (accepted.yaml) {
        const auto value = json::parse(out.body);
        out.body = value ? json::dump_yaml(*value) : std::string{};
        out.content_type = "application/yaml";
        out.headers.front().second = "application/yaml";
    }
    return out;
}

}  // namespace kn::sim::api
