#include "kubernaut/kube/cache.hpp"

#include <utility>

#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/packed.hpp"

namespace kn::kube {
namespace {

std::vector<std::string> owners_of(const json::Value& object) {
    std::vector<std::string> owners;
    for (const auto& owner : json::array_at(object, "metadata", "ownerReferences")) owners.emplace_back(json::string_at(owner, "uid"));
    return owners;
}

template <class Index, class Key> void unindex_owners(Index& index, const json::Value& object, const Key& key) {
    for (const auto& owner : json::array_at(object, "metadata", "ownerReferences")) {
        auto [at, end] = index.equal_range(json::string_at(owner, "uid"));
        while (at != end) at = at->second == key ? index.erase(at) : std::next(at);
    }
}

}  // namespace

/// The object of an entry, made anew if nobody holds it.
ObjectPtr ObjectCache::lend(const Entry& entry) const {
    if (memory_ == Memory::plain) return entry.object;
    if (auto held = entry.lent.lock()) return held;
    auto made = std::make_shared<const json::Value>(unpack(entry.packed));
    entry.lent = made;
    return made;
}

ObjectPtr ObjectCache::find(std::string_view ns, std::string_view name) const {
    const auto found = objects_.find(Key(ns, name));
    return found == objects_.end() ? nullptr : lend(found->second);
}

std::vector<ObjectPtr> ObjectCache::list(std::string_view ns) const {
    std::vector<ObjectPtr> out;
    if (ns.empty()) {
        out.reserve(objects_.size());
        for (const auto& [key, entry] : objects_) out.push_back(lend(entry));
        return out;
    }
    for (auto at = objects_.lower_bound(Key(ns, "")); at != objects_.end() && at->first.first == ns; ++at) out.push_back(lend(at->second));
    return out;
}

std::vector<ObjectPtr> ObjectCache::owned_by(std::string_view uid) const {
    std::vector<ObjectPtr> out;
    const auto [first, last] = by_owner_.equal_range(uid);
    for (auto at = first; at != last; ++at) {
        if (const auto found = objects_.find(at->second); found != objects_.end()) out.push_back(lend(found->second));
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

void ObjectCache::Replacement::add(json::Value item) {
    Item out{.key = Key(namespace_of(item), name_of(item)), .entry = {}, .owners = owners_of(item)};
    if (cache_.memory_ == Memory::packed)
        out.entry.packed = pack(item);
    else
        out.entry.object = std::make_shared<const json::Value>(std::move(item));
    items_.push_back(std::move(out));
}

void ObjectCache::Replacement::add(PackedItem item) {
    Item out{.key = Key(std::move(item.ns), std::move(item.name)), .entry = {}, .owners = std::move(item.owners)};
    if (cache_.memory_ == Memory::packed)
        out.entry.packed = std::move(item.bytes);
    else
        out.entry.object = std::make_shared<const json::Value>(unpack(item.bytes));
    items_.push_back(std::move(out));
}

bool ObjectCache::same(const Entry& a, const Entry& b) const { return memory_ == Memory::packed && a.packed == b.packed; }

void ObjectCache::Replacement::finish(Instant now) {
    auto& cache = cache_;
    Objects fresh;
    std::multimap<std::string, Key, std::less<>> by_owner;
    for (auto& item : items_) {
        for (auto& owner : item.owners) by_owner.emplace(std::move(owner), item.key);
        fresh.insert_or_assign(std::move(item.key), std::move(item.entry));
    }
    items_ = {};
    const Objects old = std::exchange(cache.objects_, std::move(fresh));
    cache.by_owner_ = std::move(by_owner);
    cache.synced_ = true;
    cache.last_heard_ = now;
    if (cache.listeners_.empty()) return;
    // Told one after the other, so that of many changed objects only one is unpacked at a time.
    for (const auto& [key, before] : old) {
        if (cache.objects_.contains(key)) continue;
        const auto object = cache.lend(before);
        cache.emit(WatchEventType::deleted, object, object);
    }
    for (const auto& [key, entry] : cache.objects_) {
        const auto found = old.find(key);
        if (found != old.end() && cache.same(found->second, entry)) continue;
        std::vector<Change> changes;
        note_change(changes, cache.lend(entry), found == old.end() ? nullptr : cache.lend(found->second));
        for (const auto& change : changes) cache.emit(change.type, change.object, change.before);
    }
}

void ObjectCache::replace_all(std::vector<json::Value> objects, Instant now) {
    Replacement replacement(*this);
    for (auto& object : objects) replacement.add(std::move(object));
    replacement.finish(now);
}

void ObjectCache::apply(WatchEvent event, Instant now) {
    last_heard_ = now;
    if (event.type == WatchEventType::bookmark || event.type == WatchEventType::error) return;
    Key key(namespace_of(event.object), name_of(event.object));
    const auto found = objects_.find(key);
    const ObjectPtr before = found == objects_.end() ? nullptr : lend(found->second);
    const auto object = std::make_shared<const json::Value>(std::move(event.object));
    if (before != nullptr) unindex_owners(by_owner_, *before, key);
    std::vector<Change> changes;
    if (event.type == WatchEventType::deleted) {
        if (before == nullptr) return;
        objects_.erase(found);
        changes.push_back({WatchEventType::deleted, object, before});
    } else {
        for (auto& owner : owners_of(*object)) by_owner_.emplace(std::move(owner), key);
        Entry entry;
        if (memory_ == Memory::packed)
            entry.packed = pack(*object), entry.lent = object;
        else
            entry.object = object;
        objects_.insert_or_assign(std::move(key), std::move(entry));
        note_change(changes, object, before);
    }
    for (const auto& change : changes) emit(change.type, change.object, change.before);
}

}  // namespace kn::kube
