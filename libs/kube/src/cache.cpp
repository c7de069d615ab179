#include "kubernaut/kube/cache.hpp"

#include <set>

#include "kubernaut/kube/object.hpp"

namespace kn::kube {
namespace {

/// Indexes an object under every owner that it names.
template <class Index, class Key> void index_owners(Index& index, const json::Value& object, const Key& key) {
    for (const auto& owner : json::array_at(object, "metadata", "ownerReferences")) {
        index.emplace(std::string(json::string_at(owner, "uid")), key);
    }
}

template <class Index, class Key> void unindex_owners(Index& index, const json::Value& object, const Key& key) {
    for (const auto& owner : json::array_at(object, "metadata", "ownerReferences")) {
        auto [at, end] = index.equal_range(json::string_at(owner, "uid"));
        while (at != end) at = at->second == key ? index.erase(at) : std::next(at);
    }
}

}  // namespace

ObjectPtr ObjectCache::find(std::string_view ns, std::string_view name) const {
    const auto found = objects_.find(Key(ns, name));
    return found == objects_.end() ? nullptr : found->second;
}

std::vector<ObjectPtr> ObjectCache::list(std::string_view ns) const {
    std::vector<ObjectPtr> out;
    if (ns.empty()) {
        out.reserve(objects_.size());
        for (const auto& [key, object] : objects_) out.push_back(object);
        return out;
    }
    for (auto at = objects_.lower_bound(Key(ns, "")); at != objects_.end() && at->first.first == ns; ++at) out.push_back(at->second);
    return out;
}

std::vector<ObjectPtr> ObjectCache::owned_by(std::string_view uid) const {
    std::vector<ObjectPtr> out;
    const auto [first, last] = by_owner_.equal_range(uid);
    for (auto at = first; at != last; ++at) {
        if (const auto found = objects_.find(at->second); found != objects_.end()) out.push_back(found->second);
    }
    return out;
}

void ObjectCache::emit(WatchEventType type, const ObjectPtr& object, const ObjectPtr& before) {
    // By index: a listener may subscribe another.
    for (std::size_t i = 0; i < listeners_.size(); ++i) listeners_[i](type, object, before);
}

namespace {

struct Change {
    WatchEventType type;
    ObjectPtr object, before;
};

/// What listeners hear when `object` comes after `before`: a new uid is another object under the same name.
void note_change(std::vector<Change>& changes, const ObjectPtr& object, const ObjectPtr& before) {
    if (before == nullptr) {
        changes.push_back({WatchEventType::added, object, nullptr});
    } else if (uid_of(*before) != uid_of(*object)) {
        changes.push_back({WatchEventType::deleted, before, before});
        changes.push_back({WatchEventType::added, object, nullptr});
    } else if (resource_version_of(*before) != resource_version_of(*object) || resource_version_of(*object).empty()) {
        changes.push_back({WatchEventType::modified, object, before});
    }
}

}  // namespace

void ObjectCache::replace_all(std::vector<json::Value> objects, Instant now) {
    std::map<Key, ObjectPtr, std::less<>> fresh;
    for (auto& object : objects) {
        Key key(namespace_of(object), name_of(object));
        fresh.insert_or_assign(std::move(key), std::make_shared<const json::Value>(std::move(object)));
    }
    std::vector<Change> changes;
    for (const auto& [key, before] : objects_) {
        if (!fresh.contains(key)) changes.push_back({WatchEventType::deleted, before, before});
    }
    for (auto& [key, object] : fresh) {
        const auto found = objects_.find(key);
        const ObjectPtr before = found == objects_.end() ? nullptr : found->second;
        note_change(changes, object, before);
    }
    objects_ = std::move(fresh);
    by_owner_.clear();
    for (const auto& [key, object] : objects_) index_owners(by_owner_, *object, key);
    synced_ = true;
    last_heard_ = now;
    for (const auto& change : changes) emit(change.type, change.object, change.before);
}

void ObjectCache::apply(WatchEvent event, Instant now) {
    last_heard_ = now;
    if (event.type == WatchEventType::bookmark || event.type == WatchEventType::error) return;
    const Key key(namespace_of(event.object), name_of(event.object));
    const auto found = objects_.find(key);
    const ObjectPtr before = found == objects_.end() ? nullptr : found->second;
    const auto object = std::make_shared<const json::Value>(std::move(event.object));
    if (before != nullptr) unindex_owners(by_owner_, *before, key);
    std::vector<Change> changes;
    if (event.type == WatchEventType::deleted) {
        if (before == nullptr) return;
        objects_.erase(found);
        changes.push_back({WatchEventType::deleted, object, before});
    } else {
        objects_.insert_or_assign(key, object);
        index_owners(by_owner_, *object, key);
        note_change(changes, object, before);
    }
    for (const auto& change : changes) emit(change.type, change.object, change.before);
}

}  // namespace kn::kube
