#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/json/json.hpp"

namespace kn::sim::api {

using json::Value;

/// A set of fields of an object, as in managedFields (KEP-555): a tree whose edges are "f:name", "k:{\"name\":\"x\"}" (list item by key) or
/// "v:\"x\"" (item of a set). A leaf, or a node marked with ".", is a member.
class FieldSet {
public:
    /// Every leaf of the object except those that nobody can own (name, uid, resourceVersion, ...). Lists that merge by key are entered, others are leaves.
    static FieldSet of(const Value& object, bool keyed_lists);
    static FieldSet from_fields_v1(const Value& fields);
    [[nodiscard]] Value to_fields_v1() const;

    [[nodiscard]] bool empty() const { return children_.empty() && !member_; }
    [[nodiscard]] bool contains(const std::vector<std::string>& path) const;
    void insert(const std::vector<std::string>& path);
    void remove(const FieldSet& other);
    void add(const FieldSet& other);
    [[nodiscard]] FieldSet intersect(const FieldSet& other) const;
    /// All members as paths.
    [[nodiscard]] std::vector<std::vector<std::string>> paths() const;
    bool operator==(const FieldSet&) const = default;

    /// ".spec.containers[name=\"app\"].image": the form of conflict messages.
    static std::string describe(const std::vector<std::string>& path);

private:
    void collect(std::vector<std::string>& prefix, std::vector<std::vector<std::string>>& out) const;
    bool prune();
    bool member_ = false;
    std::map<std::string, FieldSet> children_;
    friend struct FieldWalk;
};

/// Fields of `after` that are new or differ from `before`; and fields of `before` that are gone.
struct FieldChanges {
    FieldSet changed, removed;
};
FieldChanges compare_fields(const Value& before, const Value& after, bool keyed_lists);

/// The value at a path of a field set, or null pointer.
const Value* value_at(const Value& object, const std::vector<std::string>& path);

/// `live` with every field that `config` states; lists that merge by key are merged item by item.
Value merge_config(const Value& live, const Value& config, bool keyed_lists);
/// Takes these fields out of the object; list items go when they were members.
void remove_fields(Value& object, const FieldSet& fields);

/// The keys by which a list merges under server-side apply; empty for atomic lists. {"="} for sets of scalars.
std::vector<std::string> list_keys(std::string_view parent, std::string_view field);
/// Maps that are replaced as a whole.
bool atomic_map(std::string_view field);

}  // namespace kn::sim::api
