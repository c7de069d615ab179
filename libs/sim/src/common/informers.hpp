#pragma once

#include <map>
#include <memory>
#include <string>

#include "kubernaut/async/scope.hpp"
#include "kubernaut/async/signal.hpp"
#include "kubernaut/base/ids.hpp"
#include "kubernaut/kube/cache.hpp"

namespace kn::sim {

/// The watch caches of one client, one per resource, shared by all who ask for it.
class Informers {
public:
    Informers(std::shared_ptr<kube::Client> client, RandomSource& random) : client_(std::move(client)), random_(random) {}

    /// Before start(): the resource will be watched.
    kube::ObjectCache& of(const kube::Resource& resource, std::string ns = {});
    /// The cache of this resource, or nullptr when nobody asked for it.
    [[nodiscard]] const kube::ObjectCache* find(std::string_view kind_group) const;
    [[nodiscard]] const kube::ObjectCache* find_kind(std::string_view api_version, std::string_view kind) const;
    async::Task<Result<>> start(async::TaskScope& scope, Deadline deadline);

    /// Waits until the cache has seen this version of the object (or its end): a controller that looks again finds its own writes. Gives up after
    /// `limit`, since a watch may be silent for reasons of its own.
    async::Task<> caught_up(const kube::Resource& resource, std::string version, Duration limit);
    [[nodiscard]] kube::Client& client() const { return *client_; }
    template <class Visit> void each(Visit visit) const {
        for (const auto& [kind, entry] : entries_) visit(*entry->cache);
    }

private:
    struct Entry {
        std::shared_ptr<kube::ObjectCache> cache;
        std::unique_ptr<kube::Reflector> reflector;
        std::string ns;
        std::uint64_t seen = 0;
        async::Signal news;
    };
    std::shared_ptr<kube::Client> client_;
    RandomSource& random_;
    std::map<std::string, std::unique_ptr<Entry>, std::less<>> entries_;
};

/// resourceVersion as a number (KEP-5504 makes them comparable); 0 when it is none.
std::uint64_t version_number(std::string_view resource_version);

}  // namespace kn::sim
