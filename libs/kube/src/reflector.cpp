#include <algorithm>

#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/cache.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/status.hpp"

namespace kn::kube {
namespace {

bool is_expired(const Error& error) { return error.reason == "Expired" || error.reason == "Gone"; }

/// Failures after which the same watch may simply be asked for again: the server was not there or was busy.
bool is_passing(const Error& error) {
    return error.code == ErrorCode::unavailable || error.code == ErrorCode::deadline_exceeded || error.code == ErrorCode::resource_exhausted;
}

/// Of a stream that said nothing for the idle limit.
constexpr std::string_view silent = "Silent";

/// A stream that lived shorter than this counts as a failure, so that a server that ends every watch at once is not asked in a tight loop.
constexpr Duration short_life = 1s;

}  // namespace

Reflector::Reflector(std::shared_ptr<Client> client, std::shared_ptr<ObjectCache> cache, ReflectorOptions options, RandomSource& random)
    : client_(std::move(client)), cache_(std::move(cache)), options_(std::move(options)), random_(random) {}

Duration Reflector::backoff() {
    const auto doublings = std::min(failures_ > 0 ? failures_ - 1 : 0, 20);
    const double full =
        std::min(static_cast<double>(options_.backoff_cap.count()), static_cast<double>(options_.backoff_base.count()) * (1 << doublings));
    return Duration(static_cast<std::int64_t>(full * (0.5 + random_.unit() / 2)));
}

Task<> Reflector::run() {
    while (true) {
        const auto ended = co_await list_and_watch();
        ++restarts_;
        if (ended) continue;
        const Error& error = ended.error();
        last_error_ = error.describe();
        // An expired version is no fault: list at once, but not twice in a row.
        if (is_expired(error) && failures_ == 0) {
            ++failures_;
            continue;
        }
        ++failures_;
        const auto delay = std::max(backoff(), std::min(error.retry_after.value_or(Duration::zero()), options_.backoff_cap));
        log::debug("watch starts anew", {{"resource", cache_->resource().plural_group()}, {"why", last_error_}, {"after_ms", delay.count()}});
        co_await async::sleep_for(client_->clock(), delay);
    }
}

Task<Result<>> Reflector::list_and_watch() {
    std::string version;
    const bool streaming = options_.streaming_list && !streaming_refused_;
    if (streaming) {
        auto ended = co_await stream_list(version);
        if (!ended && !cache_->synced() && ended.error().code == ErrorCode::invalid_argument)
            streaming_refused_ = true;
        else if (!ended && (version.empty() || !is_passing(ended.error())))
            co_return ended;
    }
    if (version.empty()) KN_CO_CHECK(co_await list_once(version));
    co_return co_await watch_on(version);
}

Task<Result<>> Reflector::list_once(std::string& resource_version) {
    auto& clock = client_->clock();
    ObjectCache::Replacement replacement(*cache_);
    KN_CO_TRY(resource_version,
              co_await client_->list_into(cache_->resource(), options_.ns, options_.list, replacement, clock.deadline_in(options_.request_timeout)));
    replacement.finish(clock.now());
    co_return Result<>{};
}

/// Watches again and again from the version that is known, for as long as it is good.
Task<Result<>> Reflector::watch_on(std::string& version) {
    auto& clock = client_->clock();
    // The list worked, yet only a watch that lives clears the count of failures: lists in a tight loop are what hurts a server most.
    while (true) {
        const auto started = clock.steady();
        const auto heard_before = cache_->last_heard();
        auto ended = co_await watch_from(version);
        if (!ended && !is_passing(ended.error())) co_return ended;
        // A quiet watch is healthy: servers need not send bookmarks. If the stream was forgotten, the next one tells what it did not. Only a version that the
        // server has not come to yet (it was restored from a backup) would be silent for ever.
        if (!ended && ended.error().reason == silent) {
            KN_CO_CHECK(co_await ask_for_version(version));
            continue;
        }
        const bool spoke = cache_->last_heard() > heard_before || clock.steady() - started >= short_life;
        if (ended && spoke) {
            failures_ = 0;
            continue;
        }
        // The stream was cut, refused, or ended at once: the version that we have is still good, so no new list.
        if (!ended) last_error_ = ended.error().describe();
        ++failures_;
        co_await async::sleep_for(clock, backoff());
    }
}

/// An error when the server does not know the version: it is ahead of it, or too old. One item of a list, which the server may take from its cache.
Task<Result<>> Reflector::ask_for_version(std::string version) {
    auto& clock = client_->clock();
    Request request;
    request.path = cache_->resource().path(options_.ns);
    request.query = {{"limit", "1"}, {"resourceVersion", version}};
    if (!options_.list.label_selector.empty()) request.query.emplace_back("labelSelector", options_.list.label_selector);
    if (!options_.list.field_selector.empty()) request.query.emplace_back("fieldSelector", options_.list.field_selector);
    const auto answer = co_await client_->transport()->send(std::move(request), clock.deadline_in(options_.request_timeout));
    // No answer, or another refusal: the watch that comes next tells more.
    if (!answer) co_return Result<>{};
    if (answer->status == 200) {
        cache_->heard(clock.now());  // it lives, and what happened since that version follows at once
        co_return Result<>{};
    }
    Error error = error_from(*answer, Method::get);
    if (error.reason == "ResourceVersionTooLarge" || is_expired(error)) co_return std::unexpected(std::move(error));
    co_return Result<>{};
}

Task<Result<>> Reflector::watch_from(std::string& resource_version) {
    auto& clock = client_->clock();
    // Spread by a tenth, so that many watches that began together do not all end together.
    const int timeout = static_cast<int>(options_.watch_timeout_seconds * (0.9 + random_.unit() / 10));
    KN_CO_TRY(const std::unique_ptr<Stream> stream, co_await client_->watch(cache_->resource(), options_.ns, options_.list, resource_version, timeout,
                                                                            clock.deadline_in(options_.request_timeout)));
    co_return co_await consume(*stream, resource_version, std::nullopt);
}

/// List and first watch in one. Ends like a watch; `resource_version` stays empty when the list did not become complete.
Task<Result<>> Reflector::stream_list(std::string& resource_version) {
    auto& clock = client_->clock();
    const int timeout = static_cast<int>(options_.watch_timeout_seconds * (0.9 + random_.unit() / 10));
    KN_CO_TRY(const std::unique_ptr<Stream> stream, co_await client_->watch_from_list(cache_->resource(), options_.ns, options_.list, timeout,
                                                                                      clock.deadline_in(options_.request_timeout)));
    auto ended = co_await consume(*stream, resource_version, Initial{});
    if (ended && resource_version.empty()) co_return fail(ErrorCode::unavailable, "a streaming list ended before it was complete");
    co_return ended;
}

/// Until the clean end; any error says why not.
Task<Result<>> Reflector::consume(Stream& stream, std::string& resource_version, std::optional<Initial> initial) {
    auto& clock = client_->clock();
    WatchDecoder decoder;
    while (true) {
        auto bytes = co_await stream.next(clock.deadline_in(options_.idle_limit));
        if (!bytes) {
            Error error = std::move(bytes).error();
            if (error.code == ErrorCode::deadline_exceeded) {
                error = {.code = ErrorCode::unavailable,
                         .message = "no event and no bookmark in " + format_duration(options_.idle_limit),
                         .reason = std::string(silent)};
            }
            co_return std::unexpected(std::move(error));
        }
        if (!*bytes) {
            if (decoder.pending() > 0) co_return fail(ErrorCode::unavailable, "the watch was cut inside an event");
            co_return Result<>{};
        }
        KN_CO_TRY(auto events, decoder.feed(**bytes));
        if (!initial) cache_->heard(clock.now());
        for (auto& event : events) {
            if (event.type == WatchEventType::error) co_return std::unexpected(error_from_status(event.object));
            note(std::move(event), resource_version, initial);
        }
    }
}

/// One event, into the cache or, while a streaming list is not complete, into what will become its content.
void Reflector::note(WatchEvent event, std::string& resource_version, std::optional<Initial>& initial) {
    const auto now = client_->clock().now();
    const std::string version(resource_version_of(event.object));
    if (!initial) {
        if (!version.empty()) resource_version = version;
        failures_ = 0;
        cache_->apply(std::move(event), now);
        return;
    }
    if (event.type == WatchEventType::bookmark) {
        if (annotation_of(event.object, "k8s.io/initial-events-end") != "true") return;
        std::vector<json::Value> objects;
        objects.reserve(initial->size());
        for (auto& [key, object] : *initial) objects.push_back(std::move(object));
        initial.reset();
        resource_version = version;
        cache_->replace_all(std::move(objects), now);
        return;
    }
    std::pair key(std::string(namespace_of(event.object)), std::string(name_of(event.object)));
    if (event.type == WatchEventType::deleted)
        initial->erase(key);
    else
        initial->insert_or_assign(std::move(key), std::move(event.object));
}

Task<Result<std::vector<std::string>>> differences(std::shared_ptr<Client> client, const ObjectCache& cache, ReflectorOptions scope,
                                                   Deadline deadline) {
    KN_CO_TRY(const ObjectList list, co_await client->list(cache.resource(), scope.ns, scope.list, deadline));
    std::vector<std::string> out;
    std::size_t found = 0;
    for (const auto& object : list.items) {
        const auto where = std::string(namespace_of(object)) + "/" + std::string(name_of(object));
        const auto cached = cache.find(namespace_of(object), name_of(object));
        if (cached == nullptr) {
            out.push_back("missing " + where);
            continue;
        }
        ++found;
        if (uid_of(*cached) != uid_of(object) || resource_version_of(*cached) != resource_version_of(object)) out.push_back("version " + where);
    }
    if (cache.size() > found) {
        std::map<std::pair<std::string_view, std::string_view>, bool> listed;
        for (const auto& object : list.items) listed[{namespace_of(object), name_of(object)}] = true;
        for (const auto& object : cache.list()) {
            if (!listed.contains({namespace_of(*object), name_of(*object)}))
                out.push_back("unexpected " + std::string(namespace_of(*object)) + "/" + std::string(name_of(*object)));
        }
    }
    co_return out;
}

}  // namespace kn::kube
