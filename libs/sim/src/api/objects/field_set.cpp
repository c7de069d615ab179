#include "api/objects/field_set.hpp"

#include <algorithm>

namespace kn::sim::api {
namespace {

struct ListRule {
    std::string_view parent, field;  // parent "" = any
    std::vector<std::string> keys;
};

// x-kubernetes-list-type and -map-keys of the built-in kinds, as far as lists are not atomic.
const std::vector<ListRule>& list_rules() {
    static const std::vector<ListRule> rules{
        {"", "containers", {"name"}},
        {"", "initContainers", {"name"}},
        {"", "ephemeralContainers", {"name"}},
        {"", "volumes", {"name"}},
        {"", "imagePullSecrets", {"name"}},
        {"", "env", {"name"}},
        {"", "volumeMounts", {"mountPath"}},
        {"", "volumeDevices", {"devicePath"}},
        {"containers", "ports", {"containerPort", "protocol"}},
        {"initContainers", "ports", {"containerPort", "protocol"}},
        {"spec", "ports", {"port", "protocol"}},
        {"", "conditions", {"type"}},
        {"", "ownerReferences", {"uid"}},
        {"", "finalizers", {"="}},
        {"", "hostAliases", {"ip"}},
        {"", "topologySpreadConstraints", {"topologyKey", "whenUnsatisfiable"}},
        {"", "podIPs", {"ip"}},
        {"", "hostIPs", {"ip"}},
        {"status", "addresses", {"type"}},
        {"", "secrets", {"name"}},
        {"", "webhooks", {"name"}},
        {"", "loadBalancerSourceRanges", {}},
    };
    return rules;
}

std::string item_key(const Value& item, const std::vector<std::string>& keys) {
    if (keys.size() == 1 && keys[0] == "=") return "v:" + json::dump(item);
    json::Object selector;
    for (const auto& key : keys) {
        if (const auto* value = json::at(item, key)) selector[key] = *value;
        // The one key with a default that a patch may leave out.
        else if (key == "protocol")
            selector[key] = "TCP";
    }
    return "k:" + json::dump(Value(std::move(selector)));
}

bool keyed(const json::Array& list, const std::vector<std::string>& keys) {
    if (keys.empty()) return false;
    if (keys[0] == "=") return std::ranges::all_of(list, [](const Value& v) { return v.is_string(); });
    return std::ranges::all_of(list, [](const Value& v) { return v.is_object(); });
}

// metadata that belongs to the server.
bool unowned(std::string_view parent, std::string_view field) {
    if (parent.empty()) return field == "apiVersion" || field == "kind";
    static constexpr std::string_view names[]{
        "name",          "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        "managedFields", "selfLink"};
    return parent == "metadata" && std::ranges::find(names, field) != std::end(names);
}

}  // namespace

std::vector<std::string> list_keys(std::string_view parent, std::string_view field) {
    for (const auto& rule : list_rules()) {
        if (rule.field == field && (rule.parent.empty() || rule.parent == parent)) return rule.keys;
    }
    return {};
}

bool atomic_map(std::string_view field) {
    static constexpr std::string_view names[]{"selector",       "nodeSelector",      "labelSelector",
                                              "fieldRef",       "resourceFieldRef",  "configMapKeyRef",
                                              "secretKeyRef",   "nodeSelectorTerms", "requiredDuringSchedulingIgnoredDuringExecution",
                                              "involvedObject", "regarding",         "related",
                                              "scaleTargetRef", "claimRef",          "targetRef",
                                              "roleRef",        "podSelector",       "namespaceSelector",
                                              "openAPIV3Schema"};
    return std::ranges::find(names, field) != std::end(names);
}

/// The walks share the rule of where a field ends.
struct FieldWalk {
    bool keyed_lists;

    /// `depth` 0 is the object itself; `parent` and `field` name the value that is looked at.
    void all(const Value& value, std::string_view parent, std::string_view field, int depth, FieldSet& out) const {
        if (const auto* object = value.if_object(); object != nullptr && !object->empty() && !(keyed_lists && atomic_map(field))) {
            for (const auto& [key, child] : *object) {
                if (depth == 0 ? unowned({}, key) : depth == 1 && unowned(field, key)) continue;
                all(child, field, key, depth + 1, out.children_["f:" + std::string(key)]);
            }
            out.prune();
            return;
        }
        if (const auto* list = value.if_array(); list != nullptr && keyed_lists) {
            const auto keys = list_keys(parent, field);
            if (keyed(*list, keys) && !list->empty()) {
                for (const Value& item : *list) {
                    auto& node = out.children_[item_key(item, keys)];
                    node.member_ = true;
                    if (item.is_object()) all(item, field, field, 2, node);
                }
                return;
            }
        }
        out.member_ = true;
    }

    /// Leaves of `after` that differ from `before`; the walk of all() on both at once.
    void changed(const Value* before, const Value& after, std::string_view parent, std::string_view field, int depth, FieldSet& out) const {
        if (before != nullptr && *before == after) return;
        const auto* object = after.if_object();
        const auto* old_object = before == nullptr ? nullptr : before->if_object();
        if (object != nullptr && !object->empty() && !(keyed_lists && atomic_map(field))) {
            for (const auto& [key, child] : *object) {
                if (depth == 0 ? unowned({}, key) : depth == 1 && unowned(field, key)) continue;
                FieldSet part;
                changed(old_object == nullptr ? nullptr : old_object->if_contains(key), child, field, key, depth + 1, part);
                if (!part.empty()) out.children_["f:" + std::string(key)] = std::move(part);
            }
            return;
        }
        if (const auto* list = after.if_array(); list != nullptr && keyed_lists && !list->empty()) {
            const auto keys = list_keys(parent, field);
            if (keyed(*list, keys)) {
                std::map<std::string, const Value*> old_items;
                if (const auto* old_list = before == nullptr ? nullptr : before->if_array()) {
                    for (const Value& item : *old_list) old_items[item_key(item, keys)] = &item;
                }
                for (const Value& item : *list) {
                    const auto key = item_key(item, keys);
                    const auto old = old_items.find(key);
                    FieldSet part;
                    if (old == old_items.end()) part.member_ = true;
                    if (item.is_object()) changed(old == old_items.end() ? nullptr : old->second, item, field, field, 2, part);
                    if (!part.empty()) out.children_[key] = std::move(part);
                }
                return;
            }
        }
        out.member_ = true;
    }
};

bool FieldSet::prune() {
    for (auto it = children_.begin(); it != children_.end();) it = it->second.prune() ? children_.erase(it) : std::next(it);
    return empty();
}

FieldSet FieldSet::of(const Value& object, bool keyed_lists) {
    FieldSet out;
    FieldWalk{keyed_lists}.all(object, {}, {}, 0, out);
    out.member_ = false;
    out.prune();
    return out;
}

FieldSet FieldSet::from_fields_v1(const Value& fields) {
    FieldSet out;
    const auto* object = fields.if_object();
    if (object == nullptr || object->empty()) {
        out.member_ = true;
        return out;
    }
    for (const auto& [key, child] : *object) {
        if (key == ".")
            out.member_ = true;
        else
            out.children_[std::string(key)] = from_fields_v1(child);
    }
    return out;
}

Value FieldSet::to_fields_v1() const {
    json::Object out;
    if (member_ && !children_.empty()) out["."] = json::Object{};
    for (const auto& [key, child] : children_) out[key] = child.to_fields_v1();
    return out;
}

bool FieldSet::contains(const std::vector<std::string>& path) const {
    const FieldSet* node = this;
    for (const auto& step : path) {
        const auto found = node->children_.find(step);
        if (found == node->children_.end()) return false;
        node = &found->second;
    }
    return node->member_;
}

void FieldSet::insert(const std::vector<std::string>& path) {
    FieldSet* node = this;
    for (const auto& step : path) node = &node->children_[step];
    node->member_ = true;
}

void FieldSet::remove(const FieldSet& other) {
    if (other.member_) member_ = false;
    for (const auto& [key, child] : other.children_) {
        const auto found = children_.find(key);
        if (found == children_.end()) continue;
        found->second.remove(child);
        if (found->second.empty()) children_.erase(found);
    }
}

void FieldSet::add(const FieldSet& other) {
    member_ = member_ || other.member_;
    for (const auto& [key, child] : other.children_) children_[key].add(child);
}

FieldSet FieldSet::intersect(const FieldSet& other) const {
    FieldSet out;
    out.member_ = member_ && other.member_;
    for (const auto& [key, child] : children_) {
        const auto found = other.children_.find(key);
        if (found == other.children_.end()) continue;
        auto part = child.intersect(found->second);
        if (!part.empty()) out.children_[key] = std::move(part);
    }
    return out;
}

void FieldSet::collect(std::vector<std::string>& prefix, std::vector<std::vector<std::string>>& out) const {
    if (member_ && !prefix.empty()) out.push_back(prefix);
    for (const auto& [key, child] : children_) {
        prefix.push_back(key);
        child.collect(prefix, out);
        prefix.pop_back();
    }
}

std::vector<std::vector<std::string>> FieldSet::paths() const {
    std::vector<std::vector<std::string>> out;
    std::vector<std::string> prefix;
    collect(prefix, out);
    return out;
}

std::string FieldSet::describe(const std::vector<std::string>& path) {
    std::string out;
    for (const auto& step : path) {
        const std::string_view text = std::string_view(step).substr(2);
        if (step.starts_with("f:")) {
            out += "." + std::string(text);
        } else if (step.starts_with("k:")) {
            out += "[";
            bool first = true;
            if (const auto selector = json::parse(text)) {
                for (const auto& [key, value] : selector->as_object()) {
                    out += (first ? "" : ",") + std::string(key) + "=" + json::dump(value);
                    first = false;
                }
            }
            out += "]";
        } else {
            out += "[=" + std::string(text) + "]";
        }
    }
    return out;
}

namespace {

const Value* item_of(const json::Array& list, std::string_view step) {
    const auto selector = json::parse(step.substr(2));
    if (!selector) return nullptr;
    for (const Value& item : list) {
        if (step.starts_with("v:")) {
            if (item == *selector) return &item;
            continue;
        }
        const auto* wanted = selector->if_object();
        if (wanted == nullptr) return nullptr;
        if (std::ranges::all_of(*wanted, [&](const auto& pair) {
                const auto* value = json::at(item, std::string_view(pair.key()));
                if (value == nullptr) return pair.key() == "protocol" && pair.value() == "TCP";
                return *value == pair.value();
            })) {
            return &item;
        }
    }
    return nullptr;
}

void remove_path(Value& value, const std::vector<std::string>& path, std::size_t at) {
    const std::string& step = path[at];
    const bool last = at + 1 == path.size();
    if (step.starts_with("f:")) {
        auto* object = value.if_object();
        if (object == nullptr) return;
        const auto found = object->find(std::string_view(step).substr(2));
        if (found == object->end()) return;
        if (last)
            object->erase(found);
        else
            remove_path(found->value(), path, at + 1);
        return;
    }
    auto* list = value.if_array();
    if (list == nullptr) return;
    const auto* item = item_of(*list, step);
    if (item == nullptr) return;
    const auto index = item - list->data();
    if (last)
        list->erase(list->begin() + index);
    else
        remove_path((*list)[static_cast<std::size_t>(index)], path, at + 1);
}

}  // namespace

const Value* value_at(const Value& object, const std::vector<std::string>& path) {
    const Value* value = &object;
    for (const auto& step : path) {
        if (value == nullptr) return nullptr;
        if (step.starts_with("f:")) {
            value = json::at(*value, std::string_view(step).substr(2));
        } else {
            const auto* list = value->if_array();
            value = list == nullptr ? nullptr : item_of(*list, step);
        }
    }
    return value;
}

FieldChanges compare_fields(const Value& before, const Value& after, bool keyed_lists) {
    FieldChanges out;
    const FieldWalk walk{keyed_lists};
    walk.changed(&before, after, {}, {}, 0, out.changed);
    // The walk the other way round finds what differs or is gone; only the latter is removed.
    FieldSet differs;
    walk.changed(&after, before, {}, {}, 0, differs);
    for (const auto& path : differs.paths()) {
        if (value_at(after, path) == nullptr) out.removed.insert(path);
    }
    return out;
}

namespace {

Value merge_value(const Value* live, const Value& config, std::string_view parent, std::string_view field, bool keyed_lists) {
    if (live == nullptr) return config;
    const auto* stated = config.if_object();
    if (stated != nullptr && live->is_object() && !(keyed_lists && atomic_map(field))) {
        Value out = *live;
        auto& object = out.as_object();
        for (const auto& [key, child] : *stated) {
            const auto* old = object.if_contains(key);
            Value merged = merge_value(old, child, field, key, keyed_lists);
            object[key] = std::move(merged);
        }
        return out;
    }
    const auto* list = config.if_array();
    const auto* old_list = live->if_array();
    const auto keys = list_keys(parent, field);
    if (list == nullptr || old_list == nullptr || !keyed_lists || !keyed(*list, keys) || !keyed(*old_list, keys)) return config;
    json::Array out = *old_list;
    for (const Value& item : *list) {
        const auto key = item_key(item, keys);
        const auto found = std::ranges::find_if(out, [&](const Value& old) { return item_key(old, keys) == key; });
        if (found == out.end())
            out.push_back(item);
        else if (item.is_object())
            *found = merge_value(&*found, item, field, field, keyed_lists);
    }
    return out;
}

}  // namespace

Value merge_config(const Value& live, const Value& config, bool keyed_lists) { return merge_value(&live, config, {}, {}, keyed_lists); }

void remove_fields(Value& object, const FieldSet& fields) {
    auto paths = fields.paths();
    // Deepest first, so that an item's fields go before the item is looked for by key.
    std::ranges::sort(paths, {}, [](const auto& path) { return -static_cast<long>(path.size()); });
    // A key field of an item that stays would make it unfindable: items are removed as wholes when the item itself is a member.
    for (const auto& path : paths) {
        bool inside_removed_item = false;
        for (std::size_t n = 1; n < path.size() && !inside_removed_item; ++n) {
            const std::vector<std::string> head(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(n));
            inside_removed_item = !head.back().starts_with("f:") && fields.contains(head);
        }
        if (!inside_removed_item) remove_path(object, path, 0);
    }
}

}  // namespace kn::sim::api
