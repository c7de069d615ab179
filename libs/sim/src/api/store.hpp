#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::sim::api {

using json::Value;

/// One state of one object. Never changes; watchers, lists and the history share it. `value` begins with kind and apiVersion, so that its text can be
/// cut into a list item (which carries neither) without encoding it again.
class StoredObject {
public:
    StoredObject(Value value, std::uint64_t version) : value_(std::move(value)), version_(version) {}
    [[nodiscard]] const Value& value() const { return value_; }
    [[nodiscard]] std::uint64_t version() const { return version_; }
    /// JSON, encoded once.
    [[nodiscard]] const std::string& text() const;
    /// The text behind `{"kind":...,"apiVersion":...,`
    [[nodiscard]] std::string_view text_after_type() const;

private:
    Value value_;
    std::uint64_t version_;
    mutable std::string text_;
};
using ObjectPtr = std::shared_ptr<const StoredObject>;

/// (namespace, name): the order of lists.
using Key = std::pair<std::string, std::string>;
struct KeyView {
    std::string_view ns, name;
};
struct KeyLess {
    using is_transparent = void;
    template <class A, class B> bool operator()(const A& a, const B& b) const {
        const auto [an, am] = parts(a);
        const auto [bn, bm] = parts(b);
        return an != bn ? an < bn : am < bm;
    }
    static std::pair<std::string_view, std::string_view> parts(const Key& k) { return {k.first, k.second}; }
    static std::pair<std::string_view, std::string_view> parts(const KeyView& k) { return {k.ns, k.name}; }
};

enum class ChangeType : std::uint8_t { added, modified, deleted };

struct Change {
    std::uint64_t version;
    Instant time;
    ChangeType type;
    Key key;
    ObjectPtr object;    ///< the new state; for deleted the last one, with the version of the deletion
    ObjectPtr previous;  ///< null for added
};

/// What a watcher waits on. Closed: the server ends the stream.
struct Wake {
    async::Signal signal;
    bool closed = false;
};

/// All objects of one kind, and what happened to them lately.
class Collection {
public:
    using Objects = std::map<Key, ObjectPtr, KeyLess>;

    [[nodiscard]] const Objects& objects() const { return objects_; }
    [[nodiscard]] ObjectPtr find(std::string_view ns, std::string_view name) const;
    /// The state at an earlier version; nullopt when the history does not reach back so far.
    [[nodiscard]] std::optional<Objects> at_version(std::uint64_t version) const;

    // History is numbered, so that a watcher holds a position and no queue.
    [[nodiscard]] std::uint64_t first_position() const { return first_position_; }
    [[nodiscard]] std::uint64_t end_position() const { return first_position_ + history_.size(); }
    [[nodiscard]] const Change& change(std::uint64_t position) const { return history_[position - first_position_]; }
    /// Where a watch from this version begins; nullopt: too old.
    [[nodiscard]] std::optional<std::uint64_t> position_after(std::uint64_t version) const;
    /// Versions below this cannot be watched from any more.
    [[nodiscard]] std::uint64_t oldest_version() const { return oldest_version_; }

    void add_watcher(const std::shared_ptr<Wake>& wake) { watchers_.push_back(wake); }
    [[nodiscard]] std::size_t watcher_count() const;

private:
    friend class Store;
    void record(Change change, std::size_t limit, Duration age);
    void forget(std::uint64_t version);
    void wake_all();

    Objects objects_;
    std::deque<Change> history_;
    std::uint64_t first_position_ = 0;
    std::uint64_t oldest_version_ = 0;
    std::vector<std::weak_ptr<Wake>> watchers_;
};

/// Versioned storage of all kinds: the job that etcd and the watch cache do together.
class Store {
public:
    Store(std::size_t history, Duration history_age) : history_(history), history_age_(history_age) {}

    [[nodiscard]] std::uint64_t version() const { return version_; }
    Collection& of(std::string_view storage);
    [[nodiscard]] const Collection* find(std::string_view storage) const;
    [[nodiscard]] const std::map<std::string, Collection, std::less<>>& all() const { return collections_; }

    /// Stores under a new version, which is written into metadata.resourceVersion.
    ObjectPtr put(std::string_view storage, const Key& key, Value value, Instant now);
    /// The last state, with the version of its deletion.
    ObjectPtr erase(std::string_view storage, const Key& key, Instant now);
    /// History of before is gone.
    void compact();
    /// Ends all watches.
    void close_watches();
    void drop(std::string_view storage, Instant now);
    [[nodiscard]] std::size_t object_count() const;
    [[nodiscard]] std::size_t watcher_count() const;
    std::uint64_t events = 0;

private:
    std::size_t history_;
    Duration history_age_;
    std::uint64_t version_ = 0;
    std::map<std::string, Collection, std::less<>> collections_;
};

}  // namespace kn::sim::api
