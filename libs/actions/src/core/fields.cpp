#include "core/fields.hpp"

#include <optional>

#include "kubernaut/kube/object.hpp"

namespace kn::actions {
namespace {

struct Element {
    std::string_view key, value;
};

std::optional<Element> element_token(std::string_view token) {
    if (token.size() < 4 || token.front() != '[' || token.back() != ']') return std::nullopt;
    const auto inner = token.substr(1, token.size() - 2);
    const auto equal = inner.find('=');
    if (equal == std::string_view::npos) return std::nullopt;
    return Element{inner.substr(0, equal), inner.substr(equal + 1)};
}

std::optional<std::size_t> index_of(const json::Value& list, const Element& element) {
    const auto* array = list.if_array();
    if (array == nullptr) return std::nullopt;
    for (std::size_t i = 0; i < array->size(); ++i) {
        if (json::string_at((*array)[i], std::string(element.key)) == element.value) return i;
    }
    return std::nullopt;
}

/// The place of `path` in a merge patch; list elements are made with their merge key.
json::Value& place_in(json::Value& patch, const FieldPath& path) {
    json::Value* at = &patch;
    for (const auto& token : path) {
        if (const auto element = element_token(token)) {
            if (!at->is_array()) at->emplace_array();
            auto index = index_of(*at, *element);
            if (!index) {
                json::Object made;
                made[element->key] = element->value;
                at->get_array().emplace_back(std::move(made));
                index = at->get_array().size() - 1;
            }
            at = &at->get_array()[*index];
        } else {
            if (!at->is_object()) at->emplace_object();
            at = &at->get_object()[token];
        }
    }
    return *at;
}

Result<std::string> pointer_of(const json::Value& live, const FieldPath& path) {
    std::string pointer;
    const json::Value* at = &live;
    for (const auto& token : path) {
        if (const auto element = element_token(token)) {
            const auto index = at == nullptr ? std::nullopt : index_of(*at, *element);
            if (!index) return fail(ErrorCode::failed_precondition, "no element " + token + " in " + path_text(path));
            pointer += "/" + std::to_string(*index);
            at = &at->get_array()[*index];
        } else {
            pointer += "/" + json::escape_pointer_token(token);
            at = at == nullptr ? nullptr : json::at(*at, token);
        }
    }
    return pointer;
}

json::Object operation(std::string_view op, std::string_view path) {
    json::Object made;
    made["op"] = op;
    made["path"] = path;
    return made;
}

Result<json::Value> build_json_patch(const json::Value& live, std::span<const FieldChange> changes, Direction direction) {
    json::Array operations;
    auto test = operation("test", "/metadata/resourceVersion");
    test["value"] = kube::resource_version_of(live);
    operations.emplace_back(std::move(test));
    for (const auto& change : changes) {
        const json::Value& wanted = direction == Direction::apply ? change.after : change.before;
        KN_TRY(const auto pointer, pointer_of(live, change.path));
        const json::Value* present = field_at(live, change.path);
        auto op = operation(wanted.is_null() ? "remove" : present == nullptr ? "add" : "replace", pointer);
        if (!wanted.is_null()) op["value"] = wanted;
        operations.emplace_back(std::move(op));
    }
    return json::Value(std::move(operations));
}

}  // namespace

std::string path_text(const FieldPath& path) {
    std::string text;
    for (const auto& token : path) {
        if (!text.empty() && !element_token(token)) text += '.';
        text += token;
    }
    return text;
}

const json::Value* field_at(const json::Value& object, const FieldPath& path) {
    const json::Value* at = &object;
    for (const auto& token : path) {
        if (const auto element = element_token(token)) {
            const auto index = index_of(*at, *element);
            if (!index) return nullptr;
            at = &at->get_array()[*index];
        } else {
            at = json::at(*at, token);
        }
        if (at == nullptr) return nullptr;
    }
    return at->is_null() ? nullptr : at;
}

json::Value without_nulls(const json::Value& value) {
    if (const auto* object = value.if_object()) {
        json::Object kept;
        for (const auto& [key, each] : *object) {
            if (!each.is_null()) kept[key] = without_nulls(each);
        }
        return json::Value(std::move(kept));
    }
    if (const auto* array = value.if_array()) {
        json::Array kept;
        for (const auto& each : *array) kept.push_back(without_nulls(each));
        return json::Value(std::move(kept));
    }
    return value;
}

bool same_value(const json::Value* a, const json::Value* b, bool quantity) {
    const bool no_a = a == nullptr || a->is_null();
    const bool no_b = b == nullptr || b->is_null();
    if (no_a || no_b) return no_a == no_b;
    if (quantity) {
        const auto x = kube::quantity_at(a);
        const auto y = kube::quantity_at(b);
        if (x && y) return *x == *y;
    }
    return json::canonical(without_nulls(*a)) == json::canonical(without_nulls(*b));
}

std::vector<FieldChange> with_before(const json::Value& live, std::vector<FieldChange> changes) {
    std::vector<FieldChange> kept;
    for (auto& change : changes) {
        const auto* present = field_at(live, change.path);
        if (same_value(present, &change.after, change.quantity)) continue;
        change.before = present == nullptr ? json::Value(nullptr) : *present;
        kept.push_back(std::move(change));
    }
    return kept;
}

FieldState state_of(const json::Value& live, std::span<const FieldChange> changes) {
    bool all_before = true, all_after = true;
    for (const auto& change : changes) {
        const auto* present = field_at(live, change.path);
        all_before = all_before && same_value(present, &change.before, change.quantity);
        all_after = all_after && same_value(present, &change.after, change.quantity);
    }
    return all_after ? FieldState::after : all_before ? FieldState::before : FieldState::other;
}

Result<json::Value> build_patch(kube::PatchType type, const json::Value& live, std::span<const FieldChange> changes, Direction direction) {
    if (type == kube::PatchType::json) return build_json_patch(live, changes, direction);
    json::Value patch = json::Object{};
    json::make_at(patch, "metadata", "resourceVersion") = kube::resource_version_of(live);
    for (const auto& change : changes) {
        const json::Value& wanted = direction == Direction::apply ? change.after : change.before;
        const json::Value* present = field_at(live, change.path);
        json::Value& place = place_in(patch, change.path);
        if (change.replace && wanted.is_object() && type == kube::PatchType::strategic) {
            place = wanted;
            place.get_object()["$patch"] = "replace";
        } else if (present != nullptr && present->is_object() && wanted.is_object()) {
            place = kube::diff_merge_patch(*present, wanted);
        } else {
            place = wanted;
        }
    }
    return patch;
}

json::Array fields_to_json(std::span<const FieldChange> changes) {
    json::Array array;
    for (const auto& change : changes) {
        json::Object field;
        json::Array path;
        for (const auto& token : change.path) path.emplace_back(token);
        field["path"] = std::move(path);
        field["before"] = change.before;
        field["after"] = change.after;
        if (change.quantity) field["quantity"] = true;
        if (change.replace) field["replace"] = true;
        array.emplace_back(std::move(field));
    }
    return array;
}

Result<std::vector<FieldChange>> fields_from_json(const json::Array& array) {
    std::vector<FieldChange> changes;
    for (const auto& field : array) {
        FieldChange change;
        for (const auto& token : json::array_at(field, "path")) {
            if (!token.is_string()) return fail(ErrorCode::internal, "stored pre-image: a path is not of strings");
            change.path.emplace_back(json::view(token.get_string()));
        }
        if (change.path.empty()) return fail(ErrorCode::internal, "stored pre-image: a field without a path");
        if (const auto* before = json::at(field, "before")) change.before = *before;
        if (const auto* after = json::at(field, "after")) change.after = *after;
        change.quantity = json::bool_at(field, "quantity").value_or(false);
        change.replace = json::bool_at(field, "replace").value_or(false);
        changes.push_back(std::move(change));
    }
    return changes;
}

}  // namespace kn::actions
