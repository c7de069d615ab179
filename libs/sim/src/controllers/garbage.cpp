#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

/// Deletes what is owned by nothing any more. Keys are "Kind.group|ns/name".
class GarbageCollector final : public Controller {
public:
    explicit GarbageCollector(ControllerContext& context) : Controller(context, "garbage-collector-controller") {}
    void wire() override {
        for (const auto* resource :
             {&r::pods, &r::replica_sets, &r::deployments, &r::stateful_sets, &r::daemon_sets, &r::jobs, &r::cron_jobs, &r::controller_revisions,
              &r::services, &r::endpoint_slices, &r::persistent_volume_claims, &r::nodes, &r::leases, &r::config_maps, &r::secrets}) {
            watch(*resource, [this, resource](const ObjectPtr& object, const ObjectPtr& before, bool deleted) {
                if (deleted) {
                    context_.informers.each([&](const kube::ObjectCache& other) {
                        for (const auto& dependent : other.owned_by(kube::uid_of(*object)))
                            queue_.add(other.resource().kind_group() + "|" + key_of(*dependent));
                    });
                } else if (waits_for_collector(*object) || (before == nullptr && !json::array_at(*object, "metadata", "ownerReferences").empty())) {
                    queue_.add(resource->kind_group() + "|" + key_of(*object));
                }
            });
        }
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<bool>> owner_gone(const Value& reference, std::string ns);
    Task<Result<Duration>> finish_deletion(const kube::Resource* resource, kube::ObjectPtr owner);
    static bool has_finalizer(const Value& object, std::string_view name) {
        const auto& all = json::array_at(object, "metadata", "finalizers");
        return std::ranges::any_of(all, [name](const Value& f) { return f.is_string() && json::view(f.get_string()) == name; });
    }
    /// Deleted with its dependents first (Foreground), or without them (Orphan).
    static bool waits_for_collector(const Value& object) {
        return kube::is_deleting(object) && (has_finalizer(object, foreground) || has_finalizer(object, orphan));
    }
    static constexpr std::string_view foreground = "foregroundDeletion", orphan = "orphan";
};

Task<Result<Duration>> GarbageCollector::finish_deletion(const kube::Resource* resource, kube::ObjectPtr owner) {
    const auto uid = kube::uid_of(*owner);
    const bool orphaning = has_finalizer(*owner, orphan);
    // The writer remembers kinds by their place, so these point to those of the caches.
    std::vector<std::pair<const kube::Resource*, kube::ObjectPtr>> dependents;
    context_.informers.each([&](const kube::ObjectCache& other) {
        for (const auto& dependent : other.owned_by(uid)) dependents.emplace_back(&other.resource(), dependent);
    });
    bool blocked = false;
    for (const auto& [kind, dependent] : dependents) {
        json::Array others;
        bool blocks = false;
        for (const auto& reference : json::array_at(*dependent, "metadata", "ownerReferences")) {
            if (json::string_at(reference, "uid") != uid)
                others.push_back(reference);
            else
                blocks = json::bool_at(reference, "blockOwnerDeletion").value_or(false);
        }
        if (orphaning) {
            const Value rest = others.empty() ? Value(nullptr) : Value(std::move(others));
            auto freed = co_await writer_.merge(*kind, std::string(kube::namespace_of(*dependent)), std::string(kube::name_of(*dependent)),
                                                json::Object{{"metadata", json::Object{{"ownerReferences", rest}}}});
            if (!freed && freed.error().code != ErrorCode::not_found) co_return fail(std::move(freed).error());
        } else {
            blocked = blocked || blocks;
            if (!kube::is_deleting(*dependent) && others.empty()) KN_CO_CHECK(co_await writer_.remove(*kind, dependent));
        }
    }
    if (blocked) co_return Duration{200};
    json::Array left;
    for (const auto& finalizer : json::array_at(*owner, "metadata", "finalizers")) {
        const auto name = finalizer.is_string() ? json::view(finalizer.get_string()) : std::string_view{};
        if (name != foreground && name != orphan) left.push_back(finalizer);
    }
    const Value rest = left.empty() ? Value(nullptr) : Value(std::move(left));
    auto done = co_await writer_.merge(*resource, std::string(kube::namespace_of(*owner)), std::string(kube::name_of(*owner)),
                                       json::Object{{"metadata", json::Object{{"finalizers", rest}}}});
    if (!done && done.error().code != ErrorCode::not_found) co_return fail(std::move(done).error());
    co_return Duration{};
}

Task<Result<bool>> GarbageCollector::owner_gone(const Value& reference, std::string ns) {
    const auto* held = context_.informers.find_kind(json::string_at(reference, "apiVersion"), json::string_at(reference, "kind"));
    const std::string uid(json::string_at(reference, "uid")), name(json::string_at(reference, "name"));
    const auto* resource = kube::find_resource([&] {
        const auto version = json::string_at(reference, "apiVersion");
        const auto slash = version.find('/');
        return std::string(json::string_at(reference, "kind")) + (slash == std::string_view::npos ? "" : "." + std::string(version.substr(0, slash)));
    }());
    if (resource == nullptr) co_return false;  // a kind that we do not know: never delete on a guess
    const std::string where = resource->namespaced ? ns : std::string();
    if (held != nullptr) {
        const auto owner = held->find(where, name);
        if (owner != nullptr && kube::uid_of(*owner) == uid) co_return false;
    }
    // The cache may be behind: the server has the last word.
    auto live = co_await client().get(*resource, where, name, writer_.soon());
    if (live) co_return kube::uid_of(*live) != uid;
    if (live.error().code == ErrorCode::not_found) co_return true;
    co_return fail(std::move(live).error());
}

Task<Result<Duration>> GarbageCollector::reconcile(std::string key) {
    const auto bar = key.find('|');
    const auto* held = context_.informers.find(key.substr(0, bar));
    if (held == nullptr) co_return Duration{};
    const auto [ns, name] = split_key(std::string_view(key).substr(bar + 1));
    const auto object = held->find(ns, name);
    if (object == nullptr) co_return Duration{};
    if (waits_for_collector(*object)) co_return co_await finish_deletion(&held->resource(), object);
    if (kube::is_deleting(*object)) co_return Duration{};
    const auto& owners = json::array_at(*object, "metadata", "ownerReferences");
    if (owners.empty()) co_return Duration{};
    for (const auto& owner : owners) {
        KN_CO_TRY(const bool gone, co_await owner_gone(owner, ns));
        if (!gone) co_return Duration{};
    }
    KN_CO_CHECK(co_await writer_.remove(held->resource(), object));
    co_return Duration{};
}

/// status.used of ResourceQuotas.
class QuotaController final : public Controller {
public:
    explicit QuotaController(ControllerContext& context) : Controller(context, "resourcequota-controller") {}
    void wire() override {
        watch_own(r::resource_quotas);
        for (const auto* resource : {&r::pods, &r::persistent_volume_claims, &r::services, &r::config_maps, &r::secrets, &r::deployments,
                                     &r::replica_sets, &r::stateful_sets, &r::jobs, &r::cron_jobs}) {
            watch(*resource, [this](const ObjectPtr& object, const ObjectPtr&, bool) {
                for (const auto& quota : cache(r::resource_quotas).list(kube::namespace_of(*object))) queue_.add(key_of(*quota));
            });
        }
    }
    Task<Result<Duration>> reconcile(std::string key) override;
};

double sum_over_containers(const Value& pod, std::string_view kind, std::string_view resource) {
    double sum = 0, largest_init = 0;
    for (const auto& container : json::array_at(pod, "spec", "containers"))
        sum += kube::quantity_at(json::at(container, "resources", kind, resource)).value_or(0);
    for (const auto& container : json::array_at(pod, "spec", "initContainers"))
        largest_init = std::max(largest_init, kube::quantity_at(json::at(container, "resources", kind, resource)).value_or(0));
    return std::max(sum, largest_init);
}

Task<Result<Duration>> QuotaController::reconcile(std::string key) {
    const auto quota = find(r::resource_quotas, key);
    if (quota == nullptr || kube::is_deleting(*quota)) co_return Duration{};
    const auto ns = kube::namespace_of(*quota);
    json::Object used;
    const auto count = [&](const kube::Resource& resource) { return static_cast<double>(cache(resource).list(ns).size()); };
    for (const auto& [name_text, hard] : json::object_at(*quota, "spec", "hard")) {
        const std::string_view name(name_text.data(), name_text.size());
        double amount = 0;
        bool bytes = false, cores = false;
        const bool limits = name.starts_with("limits.");
        const std::string_view bare = name.starts_with("requests.") ? name.substr(9) : limits ? name.substr(7) : name;
        if (bare == "cpu" || bare == "memory" || bare == "ephemeral-storage") {
            cores = bare == "cpu";
            bytes = !cores;
            for (const auto& pod : cache(r::pods).list(ns)) {
                if (!pod_finished(*pod)) amount += sum_over_containers(*pod, limits ? "limits" : "requests", bare);
            }
        } else if (name == "pods" || name == "count/pods") {
            for (const auto& pod : cache(r::pods).list(ns)) amount += pod_finished(*pod) && name == "pods" ? 0 : 1;
        } else if (name == "requests.storage") {
            bytes = true;
            for (const auto& claim : cache(r::persistent_volume_claims).list(ns))
                amount += kube::quantity_at(json::at(*claim, "spec", "resources", "requests", "storage")).value_or(0);
        } else {
            const std::string_view plain = name.starts_with("count/") ? name.substr(6) : name;
            const auto* resource = kube::find_resource(plain);
            if (resource == nullptr || context_.informers.find(resource->kind_group()) == nullptr) continue;
            amount = count(*resource);
        }
        used[name_text] = bytes ? kube::format_bytes(amount) : cores ? kube::format_cores(amount) : std::to_string(static_cast<std::int64_t>(amount));
    }
    KN_CO_CHECK(co_await writer_.status(r::resource_quotas, quota,
                                        json::Object{{"hard", json::object_at(*quota, "spec", "hard")}, {"used", std::move(used)}}));
    co_return Duration{};
}

}  // namespace

std::unique_ptr<Controller> make_garbage_collector(ControllerContext& context) { return std::make_unique<GarbageCollector>(context); }
std::unique_ptr<Controller> make_quota_controller(ControllerContext& context) { return std::make_unique<QuotaController>(context); }

}  // namespace kn::sim
