#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/objects/field_set.hpp"
#include "kubernaut/base/time.hpp"

namespace kn::sim::api {

/// One writer as metadata.managedFields names it.
struct Manager {
    std::string name;
    std::string operation;  ///< "Update" or "Apply"
    std::string api_version;
    std::string subresource;
};

/// metadata.managedFields of an object that this manager creates.
json::Array managed_for_create(const Manager& manager, const FieldSet& fields, Instant now);

/// The list after a write: what changed now belongs to the writer alone, what was removed to nobody. For an apply, `applied` is the writer's whole set.
json::Array managed_after(const json::Array& before, const Manager& manager, const FieldChanges& changes, const FieldSet* applied, Instant now);

/// The fields that this manager applied before.
FieldSet applied_before(const json::Array& managed, const Manager& manager);

struct FieldConflict {
    std::string manager;  ///< as messages name it: `"kubectl" using apps/v1`
    std::vector<std::string> path;
};
/// Fields of `config` whose live value differs and belongs to another manager.
std::vector<FieldConflict> find_conflicts(const json::Array& managed, const Manager& manager, const Value& live, const Value& config,
                                          const FieldSet& fields);
/// What others own.
FieldSet owned_by_others(const json::Array& managed, const Manager& manager);

}  // namespace kn::sim::api
