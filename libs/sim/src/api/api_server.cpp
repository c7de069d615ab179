#include "kubernaut/sim/api/api_server.hpp"

#include "api/core.hpp"
#include "api/transport.hpp"

namespace kn::sim {

struct ApiServer::Impl : api::Core {
    using api::Core::Core;
};

ApiServer::ApiServer(async::EventLoop& loop, RandomSource& random, ApiServerOptions options)
    : impl_(std::make_shared<Impl>(loop, random, std::move(options))) {
    impl_->bootstrap();
    // What the server made for itself is no write of anybody, and nothing to watch from.
    impl_->writes.clear();
}

ApiServer::~ApiServer() { impl_->store.close_watches(); }

std::shared_ptr<kube::Transport> ApiServer::transport(Identity identity) { return api::make_transport(impl_, std::move(identity)); }

kube::Response ApiServer::handle(const kube::Request& request, const Identity& identity, std::string_view raw_method) {
    return impl_->handle(request, identity, raw_method);
}

bool ApiServer::is_stream(const kube::Request& request) const {
    const auto info = api::read_request(request, {});
    if (!info.resource_request || request.method != kube::Method::get) return false;
    if (info.plural == "pods" && info.subresource == "log") return info.flag("follow");
    return info.flag("watch") && info.subresource.empty();
}

std::unique_ptr<kube::Stream> ApiServer::open(const kube::Request& request, const Identity& identity) { return impl_->open(request, identity); }

void ApiServer::add_token(std::string token, Identity identity) { impl_->options.tokens.insert_or_assign(std::move(token), std::move(identity)); }
std::optional<Identity> ApiServer::authenticate(std::string_view bearer_token) const { return impl_->authenticate(bearer_token); }

kube::Response ApiServer::unauthorized() { return api::Refusal{.code = 401, .reason = "Unauthorized", .message = "Unauthorized"}.response(); }

NetworkFaults& ApiServer::network() { return impl_->faults; }

void ApiServer::set_log_source(std::function<Result<std::string>(const LogQuery&)> source) { impl_->log_source = std::move(source); }

void ApiServer::add_api(std::string prefix, std::vector<kube::Resource> resources,
                        std::function<kube::Response(const kube::Request&, const Identity&)> handler) {
    for (const auto& resource : resources) impl_->types.add_foreign(resource);
    impl_->foreign.push_back({std::move(prefix), std::move(handler)});
}

void ApiServer::compact() { impl_->store.compact(); }

void ApiServer::restart() {
    impl_->store.close_watches();
    impl_->store.compact();
}

const json::Value* ApiServer::peek(const kube::Resource& resource, std::string_view ns, std::string_view name) const {
    const auto* type = impl_->types.find(resource.group, resource.version, resource.plural);
    const auto object = impl_->find(type != nullptr ? type->storage : api::storage_of(resource), resource.namespaced ? ns : std::string_view{}, name);
    return object ? &object->value() : nullptr;
}

std::vector<const json::Value*> ApiServer::peek_all(const kube::Resource& resource, std::string_view ns) const {
    std::vector<const json::Value*> out;
    const auto* type = impl_->types.find(resource.group, resource.version, resource.plural);
    const auto* collection = impl_->store.find(type != nullptr ? type->storage : api::storage_of(resource));
    if (collection == nullptr) return out;
    for (const auto& [key, object] : collection->objects()) {
        if (ns.empty() || key.first == ns) out.push_back(&object->value());
    }
    return out;
}

std::uint64_t ApiServer::resource_version() const { return impl_->store.version(); }
const std::deque<WriteRecord>& ApiServer::writes() const { return impl_->writes; }
std::size_t ApiServer::dropped_writes() const { return impl_->dropped_writes; }
void ApiServer::clear_writes() {
    impl_->writes.clear();
    impl_->dropped_writes = 0;
}

ApiServer::Counters ApiServer::counters() const {
    auto out = impl_->counters;
    out.open_watches = impl_->store.watcher_count();
    out.objects = impl_->store.object_count();
    return out;
}

}  // namespace kn::sim
