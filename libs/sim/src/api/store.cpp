#include "api/store.hpp"

#include <algorithm>

namespace kn::sim::api {

const std::string& StoredObject::text() const {
    if (text_.empty()) text_ = json::dump(value_);
    return text_;
}

std::string_view StoredObject::text_after_type() const {
    const std::string_view all = text();
    // {"kind":"Pod","apiVersion":"v1","metadata":... : the third key is the first one whose name is metadata.
    const auto at = all.find("\"metadata\":");
    return at == std::string_view::npos ? all.substr(1) : all.substr(at);
}

ObjectPtr Collection::find(std::string_view ns, std::string_view name) const {
    const auto found = objects_.find(KeyView{ns, name});
    return found == objects_.end() ? nullptr : found->second;
}

std::optional<Collection::Objects> Collection::at_version(std::uint64_t version) const {
    if (version < oldest_version_) return std::nullopt;
    auto state = objects_;
    for (auto change = history_.rbegin(); change != history_.rend() && change->version > version; ++change) {
        if (change->previous)
            state[change->key] = change->previous;
        else
            state.erase(change->key);
    }
    return state;
}

std::optional<std::uint64_t> Collection::position_after(std::uint64_t version) const {
    if (version < oldest_version_) return std::nullopt;
    const auto at = std::ranges::upper_bound(history_, version, {}, &Change::version);
    return first_position_ + static_cast<std::uint64_t>(at - history_.begin());
}

std::size_t Collection::watcher_count() const {
    return static_cast<std::size_t>(std::ranges::count_if(watchers_, [](const auto& w) { return !w.expired(); }));
}

void Collection::record(Change change, std::size_t limit, Duration age) {
    const auto now = change.time;
    history_.push_back(std::move(change));
    while (history_.size() > limit || (history_.size() > 1 && history_.front().time + age < now)) {
        oldest_version_ = history_.front().version;
        history_.pop_front();
        ++first_position_;
    }
    wake_all();
}

void Collection::forget(std::uint64_t version) {
    first_position_ += history_.size();
    history_.clear();
    oldest_version_ = version;
}

void Collection::wake_all() {
    std::erase_if(watchers_, [](const std::weak_ptr<Wake>& weak) {
        const auto wake = weak.lock();
        if (wake) wake->signal.notify();
        return !wake;
    });
}

Collection& Store::of(std::string_view storage) {
    const auto found = collections_.find(storage);
    return found != collections_.end() ? found->second : collections_[std::string(storage)];
}

const Collection* Store::find(std::string_view storage) const {
    const auto found = collections_.find(storage);
    return found == collections_.end() ? nullptr : &found->second;
}

ObjectPtr Store::put(std::string_view storage, const Key& key, Value value, Instant now) {
    auto& collection = of(storage);
    json::make_at(value, "metadata", "resourceVersion") = std::to_string(++version_);
    auto object = std::make_shared<const StoredObject>(std::move(value), version_);
    auto& slot = collection.objects_[key];
    auto previous = std::exchange(slot, object);
    ++events;
    const auto type = previous ? ChangeType::modified : ChangeType::added;
    collection.record({version_, now, type, key, object, std::move(previous)}, history_, history_age_);
    return object;
}

ObjectPtr Store::erase(std::string_view storage, const Key& key, Instant now) {
    auto& collection = of(storage);
    const auto found = collection.objects_.find(key);
    if (found == collection.objects_.end()) return nullptr;
    auto previous = std::move(found->second);
    collection.objects_.erase(found);
    Value last = previous->value();
    json::make_at(last, "metadata", "resourceVersion") = std::to_string(++version_);
    auto object = std::make_shared<const StoredObject>(std::move(last), version_);
    ++events;
    collection.record({version_, now, ChangeType::deleted, key, object, std::move(previous)}, history_, history_age_);
    return object;
}

void Store::compact() {
    for (auto& [name, collection] : collections_) collection.forget(version_);
}

void Store::close_watches() {
    for (auto& [name, collection] : collections_) {
        for (const auto& weak : collection.watchers_) {
            if (const auto wake = weak.lock()) {
                wake->closed = true;
                wake->signal.notify();
            }
        }
        collection.watchers_.clear();
    }
}

void Store::drop(std::string_view storage, Instant now) {
    const auto found = collections_.find(storage);
    if (found == collections_.end()) return;
    std::vector<Key> keys;
    for (const auto& [key, object] : found->second.objects_) keys.push_back(key);
    for (const auto& key : keys) erase(storage, key, now);
}

std::size_t Store::object_count() const {
    std::size_t count = 0;
    for (const auto& [name, collection] : collections_) count += collection.objects().size();
    return count;
}

std::size_t Store::watcher_count() const {
    std::size_t count = 0;
    for (const auto& [name, collection] : collections_) count += collection.watcher_count();
    return count;
}

}  // namespace kn::sim::api
