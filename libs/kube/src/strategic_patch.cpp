// Strategic merge patch: JSON merge patch plus the knowledge of which lists are maps by key or sets.
// Behaviour: Kubernetes API conventions, "Strategic Merge Patch", and what a server was seen to do.
#include <algorithm>
#include <optional>

#include "json_equal.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::kube {
namespace {

constexpr std::string_view directive_key = "$patch";
constexpr std::string_view retain_keys = "$retainKeys";
constexpr std::string_view order_prefix = "$setElementOrder/";
constexpr std::string_view delete_prefix = "$deleteFromPrimitiveList/";

struct MergeRule {
    std::string_view parent;
    std::string_view field;
    std::string_view key;  ///< "" = a set of primitives
};

// The x-kubernetes-patch-merge-key of the built-in types. Lists that are not here are atomic (tolerations, taints, args, rules, ...).
constexpr MergeRule merge_rules[] = {
    {"metadata", "ownerReferences", "uid"},
    {"metadata", "finalizers", ""},
    {"spec", "containers", "name"},
    {"spec", "initContainers", "name"},
    {"spec", "ephemeralContainers", "name"},
    {"spec", "volumes", "name"},
    {"spec", "imagePullSecrets", "name"},
    {"spec", "hostAliases", "ip"},
    {"spec", "topologySpreadConstraints", "topologyKey"},
    {"spec", "resourceClaims", "name"},
    {"spec", "schedulingGates", "name"},
    {"containers", "env", "name"},
    {"containers", "ports", "containerPort"},
    {"containers", "volumeMounts", "mountPath"},
    {"containers", "volumeDevices", "devicePath"},
    {"initContainers", "env", "name"},
    {"initContainers", "ports", "containerPort"},
    {"initContainers", "volumeMounts", "mountPath"},
    {"initContainers", "volumeDevices", "devicePath"},
    {"ephemeralContainers", "env", "name"},
    {"ephemeralContainers", "ports", "containerPort"},
    {"ephemeralContainers", "volumeMounts", "mountPath"},
    {"ephemeralContainers", "volumeDevices", "devicePath"},
    {"spec", "ports", "port"},
    {"spec", "podCIDRs", ""},
    {"spec", "drivers", "name"},
    {"status", "conditions", "type"},
    {"status", "addresses", "type"},
    {"status", "podIPs", "ip"},
    {"status", "hostIPs", "ip"},
    {"status", "resourceClaimStatuses", "name"},
    {"", "secrets", "name"},
    {"", "webhooks", "name"},
    {"webhooks", "matchConditions", "name"},
    {"spec", "matchConditions", "name"},
};

const MergeRule* rule_for(std::string_view parent, std::string_view field) {
    for (const auto& rule : merge_rules) {
        if (rule.field == field && rule.parent == parent) return &rule;
    }
    return nullptr;
}

std::unexpected<Error> malformed(std::string message, std::string_view field) {
    return fail(ErrorCode::invalid_argument, std::move(message), std::string(field));
}

/// What is left of a patch value that has nothing to merge with: no nulls in objects, no directives; nullopt when it deletes itself.
std::optional<json::Value> settled(const json::Value& value) {
    if (const auto* object = value.if_object()) {
        if (json::string_at(value, directive_key) == "delete") return std::nullopt;
        json::Object out;
        for (const auto& [key, member] : *object) {
            const std::string_view name{key.data(), key.size()};
            if (name == directive_key || name == retain_keys || name.starts_with(order_prefix) || name.starts_with(delete_prefix)) continue;
            if (member.is_null()) continue;
            if (auto kept = settled(member)) out[key] = *std::move(kept);
        }
        return out;
    }
    if (const auto* array = value.if_array()) {
        json::Array out;
        for (const auto& item : *array) {
            // {"$patch": "replace"} alone is an instruction, not an element.
            if (item.is_object() && item.get_object().size() == 1 && json::at(item, directive_key) != nullptr) continue;
            if (auto kept = settled(item)) out.push_back(*std::move(kept));
        }
        return out;
    }
    return value;
}

template <class Predicate> void remove_where(json::Array& list, Predicate predicate) {
    const auto kept = std::remove_if(list.begin(), list.end(), predicate);
    list.erase(kept, list.end());
}

/// One list that merges: identity of its elements, and the order of the result.
class ListMerge {
public:
    ListMerge(std::string_view field, std::string_view key) : field_(field), key_(key) {}

    /// Same element: by key for objects, by value for primitives.
    [[nodiscard]] bool same(const json::Value& a, const json::Value& b) const {
        if (key_.empty()) return json_equal(a, b);
        const auto* left = json::at(a, key_);
        const auto* right = json::at(b, key_);
        return left != nullptr && right != nullptr && json_equal(*left, *right);
    }
    [[nodiscard]] std::ptrdiff_t index_in(const json::Array& list, const json::Value& item) const {
        const auto found = std::ranges::find_if(list, [&](const json::Value& other) { return same(other, item); });
        return found == list.end() ? -1 : found - list.begin();
    }

    /// Sorts `merged` so that the elements named in `wanted` come in that order, and the others keep their `live` order between them: an element
    /// that only the server has goes before the first named one that the live list has behind it.
    [[nodiscard]] json::Array ordered(const json::Array& merged, const json::Array& wanted, const json::Array& live) const {
        json::Array named, others;
        for (const auto& item : wanted) {
            if (const auto at = index_in(merged, item); at >= 0 && index_in(named, item) < 0) named.push_back(merged[static_cast<std::size_t>(at)]);
        }
        for (const auto& item : merged) {
            if (index_in(wanted, item) < 0) others.push_back(item);
        }
        json::Array out;
        std::size_t other = 0;
        for (const auto& item : named) {
            while (other < others.size()) {
                const auto mine = index_in(live, others[other]);
                const auto its = index_in(live, item);
                if (mine < 0 || its < 0 || mine > its) break;
                out.push_back(others[other++]);
            }
            out.push_back(item);
        }
        for (; other < others.size(); ++other) out.push_back(others[other]);
        return out;
    }

    /// Elements of an order or patch list must be of the right form.
    [[nodiscard]] Result<> check(const json::Array& list) const {
        for (const auto& item : list) KN_CHECK(check_item(item));
        return {};
    }
    [[nodiscard]] Result<> check_item(const json::Value& item) const {
        if (key_.empty() && item.is_structured()) return malformed("the elements of this list are plain values", field_);
        if (!key_.empty() && json::at(item, key_) == nullptr) {
            return malformed("an element of this list must have the field '" + std::string(key_) + "'", field_);
        }
        return {};
    }

private:
    std::string_view field_, key_;
};

Result<json::Value> merge_object(json::Object target, const json::Object& patch, std::string_view parent);

Result<json::Array> merge_keyed(json::Array target, const json::Array& patch, const ListMerge& merge, std::string_view field) {
    const json::Array live = target;
    json::Array changes;
    bool replace = false;
    for (const auto& item : patch) {
        if (!item.is_object()) return malformed("the elements of this list are objects", field);
        const auto* directive = json::at(item, directive_key);
        if (directive == nullptr) {
            changes.push_back(item);
            continue;
        }
        const auto word = directive->is_string() ? json::view(directive->get_string()) : std::string_view{};
        if (word == "replace") {
            replace = true;
        } else if (word == "delete") {
            KN_CHECK(merge.check_item(item));
            remove_where(target, [&](const json::Value& other) { return merge.same(other, item); });
        } else {
            return malformed("$patch in a list is delete or replace", field);
        }
    }
    KN_CHECK(merge.check(changes));
    if (replace) {
        json::Array out;
        for (const auto& item : changes) {
            if (auto kept = settled(item)) out.push_back(*std::move(kept));
        }
        return out;
    }
    for (const auto& change : changes) {
        const auto at = merge.index_in(target, change);
        if (at < 0) {
            if (auto kept = settled(change)) target.push_back(*std::move(kept));
            continue;
        }
        auto& place = target[static_cast<std::size_t>(at)];
        if (!place.is_object()) return malformed("the list in the object is not one of objects", field);
        KN_TRY(place, merge_object(std::move(place.get_object()), change.get_object(), field));
    }
    return merge.ordered(target, changes, live);
}

Result<json::Array> merge_set(json::Array target, const json::Array& patch, const ListMerge& merge) {
    KN_CHECK(merge.check(patch));
    const json::Array live = target;
    for (const auto& item : patch) {
        if (merge.index_in(target, item) < 0) target.push_back(item);
    }
    return merge.ordered(target, patch, live);
}

/// `$setElementOrder/x` must name every element that the patch has, in the patch's order.
Result<> check_order(const json::Array& order, const json::Array& patch, const ListMerge& merge, std::string_view field) {
    std::ptrdiff_t last = -1;
    for (const auto& item : patch) {
        if (json::at(item, directive_key) != nullptr) continue;
        const auto at = merge.index_in(order, item);
        if (at < 0 || at < last) return malformed("the patch's list does not agree with its $setElementOrder", field);
        last = at;
    }
    return {};
}

class ObjectMerge {
public:
    ObjectMerge(json::Object target, const json::Object& patch, std::string_view parent)
        : target_(std::move(target)), patch_(patch), parent_(parent) {}

    Result<json::Value> run() {
        if (const auto* directive = patch_.if_contains(directive_key)) {
            const auto word = directive->is_string() ? json::view(directive->get_string()) : std::string_view{};
            if (word == "delete") return json::Object{};
            if (word == "replace") {
                json::Value rest = patch_;
                rest.get_object().erase(directive_key);
                return settled(rest).value_or(json::Object{});
            }
            if (word != "merge") return malformed("$patch is replace, delete or merge", parent_);
        }
        KN_CHECK(retain());
        for (const auto& [key, change] : patch_) {
            const std::string_view name{key.data(), key.size()};
            if (name == directive_key || name == retain_keys || name.starts_with(order_prefix)) continue;
            if (name.starts_with(delete_prefix)) KN_CHECK(remove_from_set(name.substr(delete_prefix.size()), change));
        }
        for (const auto& [key, change] : patch_) {
            const std::string_view name{key.data(), key.size()};
            if (!name.starts_with('$'))
                KN_CHECK(member(name, change));
            else if (!is_directive(name))
                return malformed("unknown directive", name);
        }
        for (const auto& [key, order] : patch_) {
            const std::string_view name{key.data(), key.size()};
            if (name.starts_with(order_prefix)) KN_CHECK(set_order(name.substr(order_prefix.size()), order));
        }
        return std::move(target_);
    }

private:
    static bool is_directive(std::string_view name) {
        return name == directive_key || name == retain_keys || name.starts_with(order_prefix) || name.starts_with(delete_prefix);
    }

    Result<> retain() {
        const auto* list = patch_.if_contains(retain_keys);
        if (list == nullptr) return {};
        if (!list->is_array()) return malformed("$retainKeys is a list of field names", parent_);
        const auto listed = [&](std::string_view name) {
            return std::ranges::any_of(list->get_array(), [&](const json::Value& v) { return v.is_string() && json::view(v.get_string()) == name; });
        };
        for (const auto& [key, value] : patch_) {
            const std::string_view name{key.data(), key.size()};
            if (!is_directive(name) && !value.is_null() && !listed(name)) return malformed("$retainKeys must name every field of the patch", name);
        }
        std::vector<std::string> gone;
        for (const auto& [key, value] : target_) {
            if (!listed({key.data(), key.size()})) gone.emplace_back(key);
        }
        for (const auto& key : gone) target_.erase(key);
        return {};
    }

    Result<> remove_from_set(std::string_view field, const json::Value& values) {
        if (!values.is_array()) return malformed("$deleteFromPrimitiveList takes a list", field);
        auto* place = target_.if_contains(field);
        if (place == nullptr || !place->is_array()) return {};
        for (const auto& item : values.get_array()) {
            if (item.is_structured()) return malformed("$deleteFromPrimitiveList takes plain values", field);
            remove_where(place->get_array(), [&](const json::Value& other) { return json_equal(other, item); });
        }
        return {};
    }

    Result<> member(std::string_view name, const json::Value& change) {
        if (change.is_null()) {
            target_.erase(name);
            return {};
        }
        auto* place = target_.if_contains(name);
        const bool both_objects = place != nullptr && place->is_object() && change.is_object();
        if (both_objects) {
            KN_TRY(*place, merge_object(std::move(place->get_object()), change.get_object(), name));
            return {};
        }
        const auto* rule = rule_for(parent_, name);
        if (place != nullptr && place->is_array() && change.is_array() && rule != nullptr) {
            const ListMerge merge(name, rule->key);
            before_.emplace_back(name, place->get_array());
            if (rule->key.empty()) {
                KN_TRY(*place, merge_set(std::move(place->get_array()), change.get_array(), merge));
            } else {
                KN_TRY(*place, merge_keyed(std::move(place->get_array()), change.get_array(), merge, name));
            }
            return {};
        }
        if (change.is_array() && rule != nullptr && !rule->key.empty()) KN_CHECK(check_new_list(change.get_array(), ListMerge(name, rule->key)));
        if (auto kept = settled(change))
            target_[name] = *std::move(kept);
        else
            target_.erase(name);
        return {};
    }

    static Result<> check_new_list(const json::Array& list, const ListMerge& merge) {
        json::Array elements;
        for (const auto& item : list) {
            if (json::at(item, directive_key) == nullptr) elements.push_back(item);
        }
        return merge.check(elements);
    }

    Result<> set_order(std::string_view field, const json::Value& order) {
        const auto* rule = rule_for(parent_, field);
        if (rule == nullptr) return malformed("$setElementOrder is for lists that merge", field);
        if (!order.is_array()) return malformed("$setElementOrder takes a list", field);
        const ListMerge merge(field, rule->key);
        KN_CHECK(merge.check(order.get_array()));
        if (const auto* list = patch_.if_contains(field); list != nullptr && list->is_array()) {
            KN_CHECK(check_order(order.get_array(), list->get_array(), merge, field));
        }
        auto* place = target_.if_contains(field);
        if (place == nullptr || !place->is_array()) return {};
        const auto seen = std::ranges::find(before_, field, [](const auto& entry) { return entry.first; });
        const json::Array live = seen == before_.end() ? place->get_array() : seen->second;
        *place = merge.ordered(place->get_array(), order.get_array(), live);
        return {};
    }

    json::Object target_;
    const json::Object& patch_;
    std::string_view parent_;
    std::vector<std::pair<std::string_view, json::Array>> before_;  ///< lists as they were, for their order
};

Result<json::Value> merge_object(json::Object target, const json::Object& patch, std::string_view parent) {
    return ObjectMerge(std::move(target), patch, parent).run();
}

}  // namespace

std::string_view merge_key(std::string_view parent, std::string_view field) {
    const auto* rule = rule_for(parent, field);
    return rule == nullptr ? std::string_view{} : rule->key;
}

Result<json::Value> apply_strategic_merge_patch(json::Value target, const json::Value& patch) {
    if (!patch.is_object()) return fail(ErrorCode::invalid_argument, "a strategic merge patch is an object");
    if (!target.is_object()) target.emplace_object();
    return merge_object(std::move(target.get_object()), patch.get_object(), "");
}

}  // namespace kn::kube
