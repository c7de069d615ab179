// Watches: a position in the history of a Collection, read whenever the client asks for more. Nothing is queued for a watcher, so a slow one costs nothing
// until it has fallen behind the history, and then it gets the 410 that it deserves.
#include <charconv>

#include "api/core.hpp"
#include "kubernaut/kube/object.hpp"

namespace kn::sim::api {
namespace {

/// What a watcher has been told, waiting to be read, is bounded by this.
constexpr std::size_t batch_bytes = 256U << 10U;

std::string event_line(std::string_view type, std::string_view object) {
    std::string out;
    out.reserve(object.size() + type.size() + 26);
    out += R"({"type":")";
    out += type;
    out += R"(","object":)";
    out += object;
    out += "}\n";
    return out;
}

class RefusedStream final : public kube::Stream {
public:
    explicit RefusedStream(kube::Response response) : body_(std::move(response.body)), head_(std::move(response)) { head_.body.clear(); }
    const kube::Response& head() const override { return head_; }
    async::Task<Result<std::optional<std::string>>> next(Deadline) override {
        if (body_.empty()) co_return std::nullopt;
        co_return std::optional(std::exchange(body_, {}));
    }

private:
    std::string body_;
    kube::Response head_;
};

struct WatchSetup {
    std::shared_ptr<const ServedType> type;
    Selection selection;
    Accepted accepted;
    std::string include_object;
    std::string pending;  ///< initial events
    std::uint64_t position = 0;
    std::uint64_t from_version = 0;  ///< events up to this are not sent: a watch from the future
    bool bookmarks = false;
    bool ends_after_pending = false;  ///< the 410 that begins and ends a stream
    std::optional<Duration> timeout;
    std::string user;
};

class WatchStream final : public kube::Stream {
public:
    WatchStream(const std::shared_ptr<Core>& core, WatchSetup setup)
        : core_(core), clock_(&core->loop.clock()), setup_(std::move(setup)), wake_(std::make_shared<Wake>()) {
        head_.status = 200;
        head_.content_type = "application/json";
        head_.headers.emplace_back("content-type", "application/json");
        if (setup_.ends_after_pending) return;
        core->store.of(setup_.type->storage).add_watcher(wake_);
        ++core->counters.watches;
        const auto now = clock_->steady();
        if (setup_.timeout) ends_at_ = now + *setup_.timeout;
        bookmark_every_ = core->options.bookmark_every;
        next_bookmark_ = now + bookmark_every_;
        listener_ = core->faults.subscribe(
            [wake = std::weak_ptr(wake_), traffic_user = setup_.user, resource = setup_.type->resource.plural_group()](const TrafficFilter* cut) {
                const auto waiting = wake.lock();
                if (!waiting) return;
                if (cut != nullptr) {
                    if (!NetworkFaults::matches(*cut, {traffic_user, "watch", resource})) return;
                    waiting->closed = true;
                }
                waiting->signal.notify();
            });
    }

    const kube::Response& head() const override { return head_; }

    async::Task<Result<std::optional<std::string>>> next(Deadline deadline) override {
        while (true) {
            if (ended_) co_return std::nullopt;
            const auto core = core_.lock();
            if (!core || wake_->closed) {
                ended_ = true;
                co_return std::nullopt;
            }
            const auto now = clock_->steady();
            const auto resource = setup_.type->resource.plural_group();
            const bool frozen = core->faults.frozen({setup_.user, "watch", resource});
            if (!frozen) {
                if (!setup_.pending.empty()) {
                    if (setup_.ends_after_pending) ended_ = true;
                    co_return std::optional(std::exchange(setup_.pending, {}));
                }
                auto text = collect(*core);
                if (!text.empty()) {
                    const auto late = core->faults.stream_delay({setup_.user, "watch", resource});
                    if (late > Duration::zero()) co_await async::sleep_for(*clock_, late);
                    co_return std::optional(std::move(text));
                }
                if (ends_at_ && now >= *ends_at_) {
                    ended_ = true;
                    // One bookmark right before the end (c01).
                    if (setup_.bookmarks) co_return std::optional(bookmark(*core, false));
                    co_return std::nullopt;
                }
                if (setup_.bookmarks && now >= next_bookmark_) {
                    next_bookmark_ = now + bookmark_every_;
                    co_return std::optional(bookmark(*core, false));
                }
            }
            if (deadline.passed(now)) co_return fail(ErrorCode::deadline_exceeded, "no event in time");
            auto until = deadline.at;
            if (!frozen && ends_at_) until = std::min(until, *ends_at_);
            if (!frozen && setup_.bookmarks) until = std::min(until, next_bookmark_);
            // The Wake outlives the wait even when the server goes in the meantime.
            const auto wake = wake_;
            co_await wake->signal.wait(*clock_, Deadline{until});
        }
    }

    /// {"type":"BOOKMARK",...}: the version up to which everything has been told.
    std::string bookmark(const Core& core, bool initial_end) const {
        json::Object metadata{{"resourceVersion", std::to_string(core.store.version())}};
        if (initial_end) metadata["annotations"] = json::Object{{"k8s.io/initial-events-end", "true"}};
        const auto& r = setup_.type->resource;
        json::Object object{{"kind", r.kind}, {"apiVersion", r.api_version()}, {"metadata", std::move(metadata)}};
        if (setup_.accepted.form == Form::metadata) {
            object["kind"] = "PartialObjectMetadata";
            object["apiVersion"] = "meta.k8s.io/v1";
        }
        if (setup_.accepted.form == Form::table) {
            auto table = table_of(*setup_.type, {}, object["metadata"], "None", core.now(), false);
            return event_line("BOOKMARK", json::dump(table));
        }
        return event_line("BOOKMARK", json::dump(Value(std::move(object))));
    }

    std::string line(const Core& core, std::string_view type, const StoredObject& object) {
        switch (setup_.accepted.form) {
            case Form::object: return event_line(type, served_text(*setup_.type, object));
            case Form::metadata: return event_line(type, json::dump(partial_metadata(object.value())));
            case Form::table: break;
        }
        const auto shared = std::make_shared<const StoredObject>(object);
        const auto table = table_of(*setup_.type, {shared}, json::Object{{"resourceVersion", kube::resource_version_of(object.value())}},
                                    setup_.include_object, core.now(), !std::exchange(columns_sent_, true));
        return event_line(type, json::dump(table));
    }

private:
    /// Lines of all events since the last read, up to a batch.
    std::string collect(Core& core) {
        const auto& collection = core.store.of(setup_.type->storage);
        std::string out;
        if (setup_.position < collection.first_position()) {
            ended_ = true;
            const Refusal gone{
                .code = 410, .reason = "Expired", .message = "too old resource version (" + std::to_string(collection.oldest_version()) + ")"};
            return event_line("ERROR", json::dump(gone.status()));
        }
        while (setup_.position < collection.end_position() && out.size() < batch_bytes) {
            const auto& change = collection.change(setup_.position++);
            if (change.version <= setup_.from_version) continue;
            const bool now = change.type != ChangeType::deleted && setup_.selection.matches(change.object->value());
            const bool before = change.previous && setup_.selection.matches(change.previous->value());
            if (!now && !before) continue;
            ++core.counters.watch_events;
            if (now) {
                out += line(core, before ? "MODIFIED" : "ADDED", *change.object);
            } else if (change.type == ChangeType::deleted) {
                out += line(core, "DELETED", *change.object);
            } else {
                // It left the selection: the last state that was in it, under the version of the change.
                Value last = change.previous->value();
                json::make_at(last, "metadata", "resourceVersion") = std::to_string(change.version);
                out += line(core, "DELETED", StoredObject(std::move(last), change.version));
            }
        }
        return out;
    }

    std::weak_ptr<Core> core_;
    async::Clock* clock_;
    WatchSetup setup_;
    std::shared_ptr<Wake> wake_;
    std::shared_ptr<void> listener_;
    kube::Response head_;
    std::optional<SteadyTime> ends_at_;
    SteadyTime next_bookmark_{};
    Duration bookmark_every_{};
    bool ended_ = false;
    bool columns_sent_ = false;

    friend std::unique_ptr<kube::Stream> make_watch(const std::shared_ptr<Core>&, WatchSetup, bool initial, bool initial_bookmark);
};

/// Synthetic ADDED events of what stands now, and the bookmark that ends them.
std::unique_ptr<kube::Stream> make_watch(const std::shared_ptr<Core>& core, WatchSetup setup, bool initial, bool initial_bookmark) {
    auto stream = std::make_unique<WatchStream>(core, std::move(setup));
    if (!initial) return stream;
    auto& collection = core->store.of(stream->setup_.type->storage);
    stream->setup_.position = collection.end_position();
    std::string pending;
    for (const auto& [key, object] : collection.objects()) {
        if (!stream->setup_.selection.matches(object->value())) continue;
        ++core->counters.watch_events;
        pending += stream->line(*core, "ADDED", *object);
    }
    if (initial_bookmark) pending += stream->bookmark(*core, true);
    stream->setup_.pending = std::move(pending);
    return stream;
}

Outcome<std::unique_ptr<kube::Stream>> start_watch(const std::shared_ptr<Core>& core, const RequestInfo& info, const ServedType& type,
                                                   const Identity& identity) {
    WatchSetup setup;
    for (const auto& shared : core->types.all()) {
        if (shared.get() == &type) setup.type = shared;
    }
    KN_TRY(setup.accepted, negotiate(info.request->accept, &type));
    KN_TRY(setup.selection, Selection::read(info, type));
    // A watch of one object by its path.
    setup.include_object = info.query("includeObject");
    setup.bookmarks = info.flag("allowWatchBookmarks");
    setup.user = identity.user;
    if (const auto text = info.query("timeoutSeconds"); !text.empty()) {
        std::int64_t seconds = 0;
        std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (seconds > 0) setup.timeout = std::chrono::seconds(seconds);
    }
    // Without a timeout real servers choose one between 30 and 60 minutes.
    if (!setup.timeout) setup.timeout = std::chrono::seconds(1800 + static_cast<std::int64_t>(core->random.next() % 1800));
    const bool wants_initial = info.flag("sendInitialEvents");
    const auto match = info.query("resourceVersionMatch");
    const auto refuse_options = [](std::string field, std::string_view why) {
        return invalid("meta.k8s.io", "ListOptions", "", {forbidden_field(std::move(field), why)});
    };
    if (!info.query("sendInitialEvents").empty() && match != "NotOlderThan") {
        return refuse_options("resourceVersionMatch", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if (info.query("sendInitialEvents").empty() && !match.empty()) {
        return refuse_options("resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    }
    const auto text = info.query("resourceVersion");
    std::uint64_t version = 0;
    if (!text.empty()) {
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
        if (error != std::errc{} || end != text.data() + text.size()) {
            return refuse(500, "",
                          "resourceVersion: Invalid value: " + json::dump(Value(text)) + ": strconv.ParseUint: parsing " + json::dump(Value(text)) +
                              ": invalid syntax");
        }
    }
    if (wants_initial || version == 0) return make_watch(core, std::move(setup), true, setup.bookmarks);
    const auto& collection = core->store.of(type.storage);
    const auto position = collection.position_after(version);
    if (!position) {
        const Refusal gone{
            .code = 410,
            .reason = "Expired",
            .message = "too old resource version: " + std::to_string(version) + " (" + std::to_string(collection.oldest_version()) + ")"};
        setup.pending = event_line("ERROR", json::dump(gone.status()));
        setup.ends_after_pending = true;
    } else {
        setup.position = *position;
        setup.from_version = version;
    }
    return make_watch(core, std::move(setup), false, false);
}

/// A followed log: the source is asked again every second for what is new.
class LogStream final : public kube::Stream {
public:
    LogStream(const std::shared_ptr<Core>& core, kube::Request request, std::string first)
        : core_(core), clock_(&core->loop.clock()), request_(std::move(request)), pending_(std::move(first)) {
        head_.status = 200;
        head_.content_type = "text/plain";
        head_.headers.emplace_back("content-type", "text/plain");
        std::erase_if(request_.query, [](const auto& pair) { return pair.first == "tailLines" || pair.first == "limitBytes"; });
        if (const auto all = core->read_log(read_request(request_, {}))) seen_ = all->size();
    }
    const kube::Response& head() const override { return head_; }
    async::Task<Result<std::optional<std::string>>> next(Deadline deadline) override {
        if (!pending_.empty()) co_return std::optional(std::exchange(pending_, {}));
        while (true) {
            const auto core = core_.lock();
            if (!core) co_return std::nullopt;
            const auto info = read_request(request_, {});
            const auto all = core->read_log(info);
            if (!all) co_return std::nullopt;  // the pod or its container is gone
            if (all->size() > seen_) {
                auto text = all->substr(seen_);
                seen_ = all->size();
                co_return std::optional(std::move(text));
            }
            seen_ = all->size();
            const auto pod = core->find("pods", info.ns, info.name);
            const auto phase = pod ? json::string_at(pod->value(), "status", "phase") : std::string_view{};
            if (!pod || phase == "Succeeded" || phase == "Failed") co_return std::nullopt;
            const auto now = clock_->steady();
            if (deadline.passed(now)) co_return fail(ErrorCode::deadline_exceeded, "no line in time");
            co_await async::sleep_until(*clock_, std::min(deadline.at, now + std::chrono::seconds(1)));
        }
    }

private:
    std::weak_ptr<Core> core_;
    async::Clock* clock_;
    kube::Request request_;
    std::string pending_;
    std::size_t seen_ = 0;
    kube::Response head_;
};

}  // namespace

std::unique_ptr<kube::Stream> refused_stream(kube::Response response) { return std::make_unique<RefusedStream>(std::move(response)); }

std::unique_ptr<kube::Stream> open_watch(const std::shared_ptr<Core>& core, const RequestInfo& info, const ServedType& type,
                                         const Identity& identity) {
    auto stream = start_watch(core, info, type, identity);
    if (stream) return std::move(*stream);
    return refused_stream(stream.error().response());
}

std::unique_ptr<kube::Stream> open_log(const std::shared_ptr<Core>& core, const kube::Request& request, const Identity& identity) {
    (void)identity;
    auto text = core->read_log(read_request(request, {}));
    if (!text) return refused_stream(text.error().response());
    return std::make_unique<LogStream>(core, request, std::move(*text));
}

std::unique_ptr<kube::Stream> Core::open(const kube::Request& request, const Identity& identity) {
    const auto info = read_request(request, {});
    expire_events();
    const auto refused = [](const Refusal& refusal) { return refused_stream(refusal.response()); };
    const auto caller = effective_identity(request, identity);
    if (!caller) return refused(caller.error());
    if (const auto allowed = authorize(info, *caller); !allowed) return refused(allowed.error());
    if (info.subresource == "log" && info.plural == "pods") return open_log(shared_from_this(), request, *caller);
    const auto* type = types.find(info.group, info.version, info.plural);
    if (type == nullptr || type->storage.empty()) {
        return refused(types.has_group_version(info.group, info.version) ? no_such_resource().error() : page_not_found().error());
    }
    if (!info.name.empty() && info.plural != "namespaces") {
        // GET of one object with watch=true: a watch of that name.
        kube::Request narrowed = request;
        narrowed.path = type->resource.path(type->resource.namespaced ? info.ns : std::string{}, {});
        narrowed.query.emplace_back("fieldSelector", "metadata.name=" + info.name);
        return open_watch(shared_from_this(), read_request(narrowed, {}), *type, *caller);
    }
    return open_watch(shared_from_this(), info, *type, *caller);
}

}  // namespace kn::sim::api
