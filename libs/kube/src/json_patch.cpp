// JSON patch (RFC 6902), JSON merge patch (RFC 7386) and the difference of two objects as a merge patch.
#include <algorithm>
#include <charconv>

#include "json_equal.hpp"
#include "kubernaut/kube/patch.hpp"

namespace kn::kube {

std::string_view content_type(PatchType type) {
    switch (type) {
        case PatchType::json: return "application/json-patch+json";
        case PatchType::merge: return "application/merge-patch+json";
        case PatchType::strategic: return "application/strategic-merge-patch+json";
        case PatchType::apply: return "application/apply-patch+yaml";
    }
    return "application/json-patch+json";
}

bool json_equal(const json::Value& a, const json::Value& b) {
    if (a.is_number() && b.is_number()) {
        if (a.is_double() || b.is_double()) return json::to_double(&a) == json::to_double(&b);
        return a == b;
    }
    if (const auto* left = a.if_object()) {
        const auto* right = b.if_object();
        if (right == nullptr || left->size() != right->size()) return false;
        return std::ranges::all_of(*left, [right](const auto& member) {
            const auto* other = right->if_contains(member.key());
            return other != nullptr && json_equal(member.value(), *other);
        });
    }
    if (const auto* left = a.if_array()) {
        const auto* right = b.if_array();
        return right != nullptr && std::ranges::equal(*left, *right, json_equal);
    }
    return a == b;
}

namespace {

// The server's own limits, so that a patch cannot make it work without bound: operations in a patch, and bytes that `copy` may add.
constexpr std::size_t max_operations = 10'000;
constexpr std::size_t max_copied_bytes = 3U << 20U;

using Tokens = std::vector<std::string>;

std::unexpected<Error> missing(std::string_view pointer) {
    return fail(ErrorCode::invalid_argument, "there is nothing at this path", std::string(pointer));
}

/// The index that a token names in an array of `size`; `end_allowed` lets it be size or "-".
Result<std::size_t> array_index(std::string_view token, std::size_t size, bool end_allowed, std::string_view pointer) {
    if (token == "-" && end_allowed) return size;
    std::size_t index = 0;
    const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), index);
    const bool number = !token.empty() && ec == std::errc{} && end == token.data() + token.size() && (token == "0" || token.front() != '0');
    if (!number) return fail(ErrorCode::invalid_argument, "'" + std::string(token) + "' is not an index", std::string(pointer));
    if (index > size || (index == size && !end_allowed)) return missing(pointer);
    return index;
}

/// The value at all but the last `skip` tokens.
Result<json::Value*> walk(json::Value& root, const Tokens& tokens, std::size_t skip, std::string_view pointer) {
    json::Value* found = &root;
    for (std::size_t i = 0; i + skip < tokens.size(); ++i) {
        if (auto* object = found->if_object()) {
            found = object->if_contains(tokens[i]);
            if (found == nullptr) return missing(pointer);
        } else if (auto* array = found->if_array()) {
            KN_TRY(const auto index, array_index(tokens[i], array->size(), false, pointer));
            found = &(*array)[index];
        } else {
            return missing(pointer);
        }
    }
    return found;
}

Result<> add_at(json::Value& root, const Tokens& tokens, std::string_view pointer, json::Value value) {
    if (tokens.empty()) {
        root = std::move(value);
        return {};
    }
    KN_TRY(json::Value * parent, walk(root, tokens, 1, pointer));
    if (auto* object = parent->if_object()) {
        (*object)[tokens.back()] = std::move(value);
        return {};
    }
    auto* array = parent->if_array();
    if (array == nullptr) return missing(pointer);
    KN_TRY(const auto index, array_index(tokens.back(), array->size(), true, pointer));
    array->insert(array->begin() + static_cast<std::ptrdiff_t>(index), std::move(value));
    return {};
}

/// Takes the value out.
Result<json::Value> remove_at(json::Value& root, const Tokens& tokens, std::string_view pointer) {
    if (tokens.empty()) return std::exchange(root, nullptr);
    KN_TRY(json::Value * parent, walk(root, tokens, 1, pointer));
    if (auto* object = parent->if_object()) {
        const auto found = object->find(tokens.back());
        if (found == object->end()) return missing(pointer);
        json::Value value = std::move(found->value());
        object->erase(found);
        return value;
    }
    auto* array = parent->if_array();
    if (array == nullptr) return missing(pointer);
    KN_TRY(const auto index, array_index(tokens.back(), array->size(), false, pointer));
    json::Value value = std::move((*array)[index]);
    array->erase(array->begin() + static_cast<std::ptrdiff_t>(index));
    return value;
}

class JsonPatch {
public:
    explicit JsonPatch(json::Value& target) : target_(target) {}

    Result<> apply(const json::Value& operation) {
        if (!operation.is_object()) return fail(ErrorCode::invalid_argument, "a patch operation must be an object");
        const auto op = json::string_at(operation, "op");
        KN_TRY(const auto path_text, member(operation, "path"));
        KN_TRY(const Tokens path, json::split_pointer(path_text));
        if (op == "remove") {
            KN_CHECK(remove_at(target_, path, path_text));
            return {};
        }
        if (op == "add") {
            KN_TRY(json::Value value, value_of(operation));
            return add_at(target_, path, path_text, std::move(value));
        }
        if (op == "replace") {
            KN_TRY(json::Value value, value_of(operation));
            KN_TRY(json::Value * found, walk(target_, path, 0, path_text));
            *found = std::move(value);
            return {};
        }
        if (op == "test") return test(operation, path, path_text);
        if (op == "move" || op == "copy") return move_or_copy(op, operation, path, path_text);
        return fail(ErrorCode::invalid_argument, "unknown operation '" + std::string(op) + "'", "op");
    }

private:
    static Result<std::string> member(const json::Value& operation, std::string_view key) {
        const auto* value = json::at(operation, key);
        if (value == nullptr || !value->is_string()) return fail(ErrorCode::invalid_argument, "the operation needs a string", std::string(key));
        return std::string(json::view(value->get_string()));
    }
    static Result<json::Value> value_of(const json::Value& operation) {
        const auto* value = json::at(operation, "value");
        if (value == nullptr) return fail(ErrorCode::invalid_argument, "the operation needs a value", "value");
        return *value;
    }
    Result<> test(const json::Value& operation, const Tokens& path, std::string_view path_text) {
        const auto* wanted = json::at(operation, "value");
        auto found = walk(target_, path, 0, path_text);
        // An absent value passes a test for null, as the server has it.
        const json::Value null;
        const json::Value& have = found ? **found : null;
        if (json_equal(have, wanted == nullptr ? null : *wanted)) return {};
        return fail(Error{.code = ErrorCode::failed_precondition,
                          .message = "the value is not what the patch tests for",
                          .field = std::string(path_text),
                          .reason = "test"});
    }
    Result<> move_or_copy(std::string_view op, const json::Value& operation, const Tokens& path, std::string_view path_text) {
        KN_TRY(const auto from_text, member(operation, "from"));
        KN_TRY(const Tokens from, json::split_pointer(from_text));
        if (op == "copy") {
            KN_TRY(json::Value * found, walk(target_, from, 0, from_text));
            copied_ += json::dump(*found).size();
            if (copied_ > max_copied_bytes) return fail(ErrorCode::invalid_argument, "the patch copies too much", std::string(from_text));
            return add_at(target_, path, path_text, json::Value(*found));
        }
        if (from == path) {
            KN_CHECK(walk(target_, from, 0, from_text));
            return {};
        }
        if (path.size() > from.size() && std::equal(from.begin(), from.end(), path.begin())) {
            return fail(ErrorCode::invalid_argument, "a value cannot be moved into itself", std::string(path_text));
        }
        KN_TRY(json::Value value, remove_at(target_, from, from_text));
        return add_at(target_, path, path_text, std::move(value));
    }

    json::Value& target_;
    std::size_t copied_ = 0;
};

}  // namespace

Result<json::Value> apply_json_patch(json::Value target, const json::Value& patch) {
    const auto* operations = patch.if_array();
    if (operations == nullptr) return fail(ErrorCode::invalid_argument, "a JSON patch is a list of operations");
    if (operations->size() > max_operations) return fail(ErrorCode::invalid_argument, "the patch has too many operations");
    JsonPatch state(target);
    for (std::size_t i = 0; i < operations->size(); ++i) {
        if (auto done = state.apply((*operations)[i]); !done) {
            return std::unexpected(std::move(done).error().with_context("operation " + std::to_string(i)));
        }
    }
    return target;
}

json::Value apply_merge_patch(json::Value target, const json::Value& patch) {
    const auto* members = patch.if_object();
    if (members == nullptr) return patch;
    if (!target.is_object()) target.emplace_object();
    auto& object = target.get_object();
    for (const auto& [key, change] : *members) {
        if (change.is_null()) {
            object.erase(key);
        } else {
            auto& place = object[key];
            place = apply_merge_patch(std::move(place), change);
        }
    }
    return target;
}

json::Value diff_merge_patch(const json::Value& from, const json::Value& to) {
    const auto* before = from.if_object();
    const auto* after = to.if_object();
    if (before == nullptr || after == nullptr) return to;
    json::Object patch;
    for (const auto& [key, value] : *before) {
        const auto* other = after->if_contains(key);
        // A merge patch cannot write null: absent and null are one.
        if ((other == nullptr || other->is_null()) && !value.is_null()) patch[key] = nullptr;
    }
    for (const auto& [key, value] : *after) {
        const auto* old = before->if_contains(key);
        if (value.is_null()) continue;
        if (old == nullptr) {
            patch[key] = value;
        } else if (!json_equal(*old, value)) {
            auto change = diff_merge_patch(*old, value);
            // Two objects that differ only in nulls need no change.
            if (!change.is_object() || !change.get_object().empty() || !old->is_object()) patch[key] = std::move(change);
        }
    }
    return patch;
}

}  // namespace kn::kube
