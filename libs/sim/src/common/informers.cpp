#include "common/informers.hpp"

#include <charconv>

#include "kubernaut/kube/object.hpp"

namespace kn::sim {

std::uint64_t version_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() ? number : 0;
}

kube::ObjectCache& Informers::of(const kube::Resource& resource, std::string ns) {
    auto& entry = entries_[resource.kind_group()];
    if (entry == nullptr) {
        entry = std::make_unique<Entry>();
        entry->cache = std::make_shared<kube::ObjectCache>(resource);
        entry->ns = std::move(ns);
        entry->cache->subscribe([raw = entry.get()](kube::WatchEventType, const kube::ObjectPtr& object, const kube::ObjectPtr&) {
            raw->seen = std::max(raw->seen, version_number(kube::resource_version_of(*object)));
            raw->news.notify();
        });
    }
    return *entry->cache;
}

const kube::ObjectCache* Informers::find(std::string_view kind_group) const {
    const auto found = entries_.find(kind_group);
    return found == entries_.end() ? nullptr : found->second->cache.get();
}

const kube::ObjectCache* Informers::find_kind(std::string_view api_version, std::string_view kind) const {
    const auto slash = api_version.find('/');
    const std::string group = slash == std::string_view::npos ? std::string{} : std::string(api_version.substr(0, slash));
    return find(group.empty() ? std::string(kind) : std::string(kind) + "." + group);
}

async::Task<Result<>> Informers::start(async::TaskScope& scope, Deadline deadline) {
    for (auto& [kind, entry] : entries_) {
        if (entry->reflector != nullptr) continue;
        kube::ReflectorOptions options;
        options.ns = entry->ns;
        entry->reflector = std::make_unique<kube::Reflector>(client_, entry->cache, options, random_);
        scope.spawn("watch " + kind, entry->reflector->run());
    }
    auto& clock = client_->clock();
    for (auto& [kind, entry] : entries_) {
        while (!entry->cache->synced()) {
            if (deadline.passed(clock.steady())) {
                co_return fail(ErrorCode::deadline_exceeded,
                               "the first list of " + kind + " did not come in time: " + entry->reflector->last_error());
            }
            // An empty list notifies nobody, so look again by the clock as well.
            co_await entry->news.wait(clock, deadline.earlier(clock.deadline_in(5ms)));
        }
    }
    co_return Result<>{};
}

async::Task<> Informers::caught_up(const kube::Resource& resource, std::string version, Duration limit) {
    const auto found = entries_.find(resource.kind_group());
    const std::uint64_t wanted = version_number(version);
    if (found == entries_.end() || wanted == 0) co_return;
    Entry& entry = *found->second;
    auto& clock = client_->clock();
    const Deadline deadline = clock.deadline_in(limit);
    while (entry.seen < wanted) {
        if (!co_await entry.news.wait(clock, deadline)) co_return;
    }
}

}  // namespace kn::sim
