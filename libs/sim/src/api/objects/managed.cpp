#include "api/objects/managed.hpp"

#include <algorithm>

namespace kn::sim::api {
namespace {

using json::string_at;

bool is_entry_of(const Value& entry, const Manager& manager) {
    if (string_at(entry, "manager") != manager.name || string_at(entry, "operation") != manager.operation) return false;
    if (string_at(entry, "subresource") != manager.subresource) return false;
    return string_at(entry, "apiVersion") == manager.api_version;
}

FieldSet fields_of(const Value& entry) {
    const auto* fields = json::at(entry, "fieldsV1");
    // An empty object is an empty set here, where within a set it would be a leaf.
    if (fields == nullptr || !fields->is_object() || fields->get_object().empty()) return {};
    return FieldSet::from_fields_v1(*fields);
}

std::string seconds(Instant now) { return format_rfc3339(std::chrono::floor<std::chrono::seconds>(now)); }

Value make_entry(const Manager& manager, const FieldSet& fields, Instant now) {
    json::Object out{{"manager", manager.name}, {"operation", manager.operation}, {"apiVersion", manager.api_version},
                     {"time", seconds(now)},    {"fieldsType", "FieldsV1"},       {"fieldsV1", fields.to_fields_v1()}};
    if (!manager.subresource.empty()) out["subresource"] = manager.subresource;
    return out;
}

std::string describe_manager(const Value& entry) {
    auto out = json::dump(Value(string_at(entry, "manager")));
    if (const auto sub = string_at(entry, "subresource"); !sub.empty()) out += " with subresource " + json::dump(Value(sub));
    if (string_at(entry, "operation") == "Update") out += " using " + std::string(string_at(entry, "apiVersion"));
    return out;
}

}  // namespace

json::Array managed_for_create(const Manager& manager, const FieldSet& fields, Instant now) {
    json::Array out;
    if (!fields.empty()) out.push_back(make_entry(manager, fields, now));
    return out;
}

json::Array managed_after(const json::Array& before, const Manager& manager, const FieldChanges& changes, const FieldSet* applied, Instant now) {
    json::Array out;
    bool mine_seen = false;
    for (const Value& entry : before) {
        auto fields = fields_of(entry);
        const auto original = fields;
        const bool mine = is_entry_of(entry, manager);
        mine_seen = mine_seen || mine;
        if (mine && applied != nullptr) {
            fields = *applied;
        } else {
            fields.remove(changes.removed);
            if (mine)
                fields.add(changes.changed);
            else
                fields.remove(changes.changed);
        }
        if (fields.empty()) continue;
        if (fields == original) {
            out.push_back(entry);
            // The time of the writer's own entry is the time of its last change of these fields.
            if (mine && !changes.changed.empty()) json::make_at(out.back(), "time") = seconds(now);
        } else {
            auto updated = make_entry(manager, fields, now);
            if (!mine) {
                updated = entry;
                json::make_at(updated, "fieldsV1") = fields.to_fields_v1();
            }
            out.push_back(std::move(updated));
        }
    }
    const FieldSet& own = applied != nullptr ? *applied : changes.changed;
    if (!mine_seen && !own.empty()) {
        auto entry = make_entry(manager, own, now);
        // Appliers come before updaters.
        auto place = out.end();
        if (manager.operation == "Apply") {
            place = std::ranges::find_if(out, [](const Value& e) { return string_at(e, "operation") != "Apply"; });
        }
        out.insert(place, std::move(entry));
    }
    return out;
}

FieldSet applied_before(const json::Array& managed, const Manager& manager) {
    for (const Value& entry : managed) {
        if (is_entry_of(entry, manager)) return fields_of(entry);
    }
    return {};
}

FieldSet owned_by_others(const json::Array& managed, const Manager& manager) {
    FieldSet out;
    for (const Value& entry : managed) {
        if (!is_entry_of(entry, manager)) out.add(fields_of(entry));
    }
    return out;
}

std::vector<FieldConflict> find_conflicts(const json::Array& managed, const Manager& manager, const Value& live, const Value& config,
                                          const FieldSet& fields) {
    std::vector<FieldConflict> out;
    const auto paths = fields.paths();
    for (const Value& entry : managed) {
        if (is_entry_of(entry, manager)) continue;
        const auto theirs = fields_of(entry);
        for (const auto& path : paths) {
            // An item of a list by its key is not a value of its own: its fields are looked at one by one.
            if (path.back().starts_with("k:") || path.back().starts_with("v:")) continue;
            if (!theirs.contains(path)) continue;
            const auto* now = value_at(live, path);
            const auto* wanted = value_at(config, path);
            if (now != nullptr && wanted != nullptr && *now == *wanted) continue;
            out.push_back({describe_manager(entry), path});
        }
    }
    return out;
}

}  // namespace kn::sim::api
