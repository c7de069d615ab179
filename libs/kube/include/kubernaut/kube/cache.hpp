#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"
#include "kubernaut/kube/client.hpp"
#include "kubernaut/kube/list_decoder.hpp"
#include "kubernaut/kube/watch.hpp"

namespace kn::kube {

using ObjectPtr = std::shared_ptr<const json::Value>;

/// The objects of one resource in one cluster as a watch sees them. Loop thread only. A snapshot handed out never changes.
class ObjectCache {
public:
    using Listener = std::function<void(WatchEventType, const ObjectPtr& object, const ObjectPtr& before)>;
    /// `packed`: objects are kept as bytes (packed.hpp) and made anew when they are asked for, unless somebody still holds them: an eighth of the memory,
    /// for caches that are large and rarely read. `plain`: for those that are read all the time.
    enum class Memory : std::uint8_t { plain, packed };

    explicit ObjectCache(Resource resource, Memory memory = Memory::plain) : resource_(std::move(resource)), memory_(memory) {}
    [[nodiscard]] const Resource& resource() const { return resource_; }
    [[nodiscard]] ObjectPtr find(std::string_view ns, std::string_view name) const;
    [[nodiscard]] std::vector<ObjectPtr> list(std::string_view ns = {}) const;
    [[nodiscard]] std::vector<ObjectPtr> owned_by(std::string_view uid) const;
    [[nodiscard]] std::size_t size() const { return objects_.size(); }

    /// False until the first list is in.
    [[nodiscard]] bool synced() const { return synced_; }
    /// When the server last spoke on this watch (event, bookmark or list). Facts taken from here are as old as this.
    [[nodiscard]] Instant last_heard() const { return last_heard_; }

    /// Called for every change after it is applied: added, modified, deleted (with the last state).
    void subscribe(Listener listener) { listeners_.push_back(std::move(listener)); }

    // The reflector's side.
    void apply(WatchEvent event, Instant now);
    void heard(Instant now) { last_heard_ = now; }

private:
    using Key = std::pair<std::string, std::string>;  // namespace, name
    struct Entry {
        ObjectPtr object;    ///< plain
        std::string packed;  ///< packed
        mutable std::weak_ptr<const json::Value> lent{};
    };
    using Objects = std::map<Key, Entry, std::less<>>;

public:
    /// The next content, item by item as a list brings it; the cache shows it from finish() on.
    class Replacement final : public ItemSink {
    public:
        explicit Replacement(ObjectCache& cache) : cache_(cache) {}
        [[nodiscard]] bool wants_packed() const override { return cache_.memory_ == Memory::packed; }
        void add(json::Value item) override;
        void add(PackedItem item) override;
        void rewind(std::size_t count) override { items_.resize(count); }
        void finish(Instant now);

    private:
        struct Item {
            Key key;
            Entry entry;
            std::vector<std::string> owners;
        };
        ObjectCache& cache_;
        std::vector<Item> items_;
    };
    void replace_all(std::vector<json::Value> objects, Instant now);

private:
    [[nodiscard]] ObjectPtr lend(const Entry& entry) const;
    [[nodiscard]] bool same(const Entry& a, const Entry& b) const;
    void emit(WatchEventType type, const ObjectPtr& object, const ObjectPtr& before);

    Resource resource_;
    Memory memory_;
    Objects objects_;
    std::multimap<std::string, Key, std::less<>> by_owner_;
    std::vector<Listener> listeners_;
    Instant last_heard_{};
    bool synced_ = false;
};

struct ReflectorOptions {
    std::string ns{};
    ListOptions list{};
    int watch_timeout_seconds = 220;  ///< below the 240 s of common load balancers
    /// Silence after which the watch is asked for again from the version that is known. That a server lives the transport finds out (its dead-peer
    /// detection); this limit is for a stream that was forgotten by a living one, and quiet watches are healthy: servers need not send bookmarks.
    Duration idle_limit = 75s;
    Duration request_timeout = 30s;  ///< for the list, and for a watch to be accepted
    Duration backoff_base = 500ms, backoff_cap = 30s;
    bool streaming_list =
        false;  ///< WatchList: the server need not hold the whole list in memory. Refused by older servers, then never asked for again
};

/// Keeps one ObjectCache true: list → watch → (410, cut, silence) → list again. run() ends only by cancellation.
class Reflector {
public:
    Reflector(std::shared_ptr<Client> client, std::shared_ptr<ObjectCache> cache, ReflectorOptions options, RandomSource& random);
    Task<> run();
    [[nodiscard]] std::uint64_t restarts() const { return restarts_; }
    [[nodiscard]] const std::string& last_error() const { return last_error_; }

private:
    Task<Result<>> list_and_watch();
    Task<Result<>> list_once(std::string& resource_version);
    Task<Result<>> watch_on(std::string& resource_version);
    Task<Result<>> watch_from(std::string& resource_version);
    Task<Result<>> ask_for_version(std::string version);
    /// The objects that a streaming list has told so far, until its bookmark says that they are all.
    using Initial = std::map<std::pair<std::string, std::string>, json::Value>;
    Task<Result<>> stream_list(std::string& resource_version);
    Task<Result<>> consume(Stream& stream, std::string& resource_version, std::optional<Initial> initial);
    void note(WatchEvent event, std::string& resource_version, std::optional<Initial>& initial);
    Duration backoff();
    std::shared_ptr<Client> client_;
    std::shared_ptr<ObjectCache> cache_;
    ReflectorOptions options_;
    RandomSource& random_;
    std::uint64_t restarts_ = 0;
    bool streaming_refused_ = false;
    int failures_ = 0;  ///< in a row; the server's word resets it
    std::string last_error_;
};

/// What a fresh list says otherwise than the cache: "missing ns/name", "unexpected ns/name", "version ns/name". A cache that still follows differs for a
/// moment: ask when nothing changes. `cache` must outlive the call.
Task<Result<std::vector<std::string>>> differences(std::shared_ptr<Client> client, const ObjectCache& cache, ReflectorOptions scope,
                                                   Deadline deadline);

}  // namespace kn::kube
