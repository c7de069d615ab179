#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

constexpr std::string_view bind_completed = "pv.kubernetes.io/bind-completed", selected_node = "volume.kubernetes.io/selected-node",
                           provisioner_key = "volume.kubernetes.io/storage-provisioner", provisioned_by = "pv.kubernetes.io/provisioned-by";
/// Classes of this provisioner, and those with a name under "simulated/", get volumes.
constexpr std::string_view our_provisioner = "disk.sim.kubernaut.io";

double asked(const Value& claim) { return kube::quantity_at(json::at(claim, "spec", "resources", "requests", "storage")).value_or(0); }
bool bound(const Value& claim) { return json::string_at(claim, "status", "phase") == "Bound"; }

/// Joins claims and volumes, as the persistent volume controller of a control plane does.
class VolumeBinder final : public Controller {
public:
    explicit VolumeBinder(ControllerContext& context) : Controller(context, "persistentvolume-controller") {}
    void wire() override {
        watch_own(r::persistent_volume_claims);
        watch(r::persistent_volumes, [this](const ObjectPtr& volume, const ObjectPtr&, bool) {
            const auto ns = json::string_at(*volume, "spec", "claimRef", "namespace"), name = json::string_at(*volume, "spec", "claimRef", "name");
            if (!name.empty())
                queue_.add(std::string(ns) + "/" + std::string(name));
            else
                retry_pending();
        });
        watch(r::storage_classes, [this](const ObjectPtr&, const ObjectPtr&, bool) { retry_pending(); });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    void retry_pending() {
        for (const auto& claim : cache(r::persistent_volume_claims).list()) {
            if (!bound(*claim)) queue_.add(key_of(*claim));
        }
    }
    ObjectPtr volume_for(const Value& claim) const;
    Task<Result<>> bind(ObjectPtr claim, ObjectPtr volume);
    Task<Result<>> release(std::string ns, std::string name);
};

ObjectPtr VolumeBinder::volume_for(const Value& claim) const {
    ObjectPtr best;
    double best_size = 0;
    for (const auto& volume : cache(r::persistent_volumes).list()) {
        const auto ref_name = json::string_at(*volume, "spec", "claimRef", "name");
        if (!ref_name.empty()) {
            if (ref_name != kube::name_of(claim) || json::string_at(*volume, "spec", "claimRef", "namespace") != kube::namespace_of(claim)) continue;
            const auto uid = json::string_at(*volume, "spec", "claimRef", "uid");
            if (uid.empty() || uid == kube::uid_of(claim)) return volume;
            continue;
        }
        if (json::string_at(*volume, "status", "phase") == "Released" || json::string_at(*volume, "status", "phase") == "Failed") continue;
        if (json::string_at(*volume, "spec", "storageClassName") != json::string_at(claim, "spec", "storageClassName")) continue;
        const double size = kube::quantity_at(json::at(*volume, "spec", "capacity", "storage")).value_or(0);
        if (size < asked(claim) || (best != nullptr && size >= best_size)) continue;
        best = volume;
        best_size = size;
    }
    return best;
}

Task<Result<Duration>> VolumeBinder::reconcile(std::string key) {
    const auto claim = find(r::persistent_volume_claims, key);
    const auto [ns, name] = split_key(key);
    if (claim == nullptr) {
        KN_CO_CHECK(co_await release(ns, name));
        co_return Duration{};
    }
    if (kube::is_deleting(*claim) || bound(*claim)) co_return Duration{};
    if (const auto volume = volume_for(*claim)) {
        KN_CO_CHECK(co_await bind(claim, volume));
        co_return Duration{};
    }
    const auto cls = json::string_at(*claim, "spec", "storageClassName");
    if (json::string_at(*claim, "status", "phase").empty())
        KN_CO_CHECK(co_await writer_.status(r::persistent_volume_claims, claim, json::Object{{"phase", "Pending"}}));
    if (cls.empty()) {
        note(*claim, false, "FailedBinding", "no persistent volumes available for this claim and no storage class is set");
        co_return Duration{15s};
    }
    const auto storage = cache(r::storage_classes).find({}, cls);
    if (storage == nullptr) {
        note(*claim, true, "ProvisioningFailed", "storageclass.storage.k8s.io \"" + std::string(cls) + "\" not found");
        co_return Duration{15s};
    }
    const bool waits = json::string_at(*storage, "volumeBindingMode") == "WaitForFirstConsumer";
    if (waits && kube::annotation_of(*claim, selected_node).empty()) {
        note(*claim, false, "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
        co_return Duration{15s};
    }
    const auto provisioner = json::string_at(*storage, "provisioner");
    if (kube::annotation_of(*claim, provisioner_key) != provisioner) {
        KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, ns, name,
                                           json::Object{{"metadata", json::Object{{"annotations", json::Object{{provisioner_key, provisioner}}}}}}));
    }
    note(
        *claim, false, "ExternalProvisioning",
        "Waiting for a volume to be created either by the external provisioner '" + std::string(provisioner) +
            "' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.");
    co_return Duration{15s};
}

Task<Result<>> VolumeBinder::bind(ObjectPtr claim, ObjectPtr volume) {
    const std::string ns(kube::namespace_of(*claim)), name(kube::name_of(*claim)), volume_name(kube::name_of(*volume));
    json::Object reference{{"apiVersion", "v1"}, {"kind", "PersistentVolumeClaim"}, {"namespace", ns}, {"name", name}, {"uid", kube::uid_of(*claim)}};
    KN_CO_CHECK(
        co_await writer_.merge(r::persistent_volumes, {}, volume_name, json::Object{{"spec", json::Object{{"claimRef", std::move(reference)}}}}));
    KN_CO_CHECK(co_await writer_.merge(r::persistent_volumes, {}, volume_name, json::Object{{"status", json::Object{{"phase", "Bound"}}}}, "status"));
    KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, ns, name,
                                       json::Object{{"metadata", json::Object{{"annotations", json::Object{{bind_completed, "yes"}}}}},
                                                    {"spec", json::Object{{"volumeName", volume_name}}}}));
    json::Object status{{"phase", "Bound"},
                        {"capacity", json::object_at(*volume, "spec", "capacity")},
                        {"accessModes", json::array_at(*claim, "spec", "accessModes")}};
    KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, ns, name, json::Object{{"status", std::move(status)}}, "status"));
    co_return Result<>{};
}

Task<Result<>> VolumeBinder::release(std::string ns, std::string name) {
    for (const auto& volume : cache(r::persistent_volumes).list()) {
        if (json::string_at(*volume, "spec", "claimRef", "namespace") != ns || json::string_at(*volume, "spec", "claimRef", "name") != name) continue;
        if (json::string_at(*volume, "spec", "claimRef", "uid").empty()) continue;
        if (json::string_at(*volume, "spec", "persistentVolumeReclaimPolicy") == "Delete") {
            KN_CO_CHECK(co_await writer_.remove(r::persistent_volumes, volume));
        } else {
            KN_CO_CHECK(co_await writer_.merge(r::persistent_volumes, {}, std::string(kube::name_of(*volume)),
                                               json::Object{{"status", json::Object{{"phase", "Released"}}}}, "status"));
        }
    }
    co_return Result<>{};
}

/// Makes volumes for claims and grows them: the part that a storage driver brings, on a simulated and on a real control plane alike.
class StorageProvisioner final : public Controller {
public:
    explicit StorageProvisioner(ControllerContext& context) : Controller(context, std::string(our_provisioner), std::string(our_provisioner)) {}
    void wire() override {
        watch_own(r::persistent_volume_claims);
        watch(r::persistent_volumes, [](const ObjectPtr&, const ObjectPtr&, bool) {});
        watch(r::storage_classes, [](const ObjectPtr&, const ObjectPtr&, bool) {});
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    Task<Result<Duration>> provision(ObjectPtr claim, ObjectPtr storage);
    Task<Result<Duration>> resize(ObjectPtr claim, ObjectPtr storage);
    std::map<std::string, Instant> due_;  // uid → when the work on it is done
};

Task<Result<Duration>> StorageProvisioner::reconcile(std::string key) {
    const auto claim = find(r::persistent_volume_claims, key);
    if (claim == nullptr || kube::is_deleting(*claim)) co_return Duration{};
    const auto storage = cache(r::storage_classes).find({}, json::string_at(*claim, "spec", "storageClassName"));
    if (storage == nullptr || json::string_at(*storage, "provisioner") != our_provisioner) co_return Duration{};
    if (bound(*claim)) co_return co_await resize(claim, storage);
    if (kube::annotation_of(*claim, provisioner_key) != our_provisioner || !json::string_at(*claim, "spec", "volumeName").empty())
        co_return Duration{};
    co_return co_await provision(claim, storage);
}

Task<Result<Duration>> StorageProvisioner::provision(ObjectPtr claim, ObjectPtr storage) {
    const std::string name = "pvc-" + std::string(kube::uid_of(*claim));
    if (cache(r::persistent_volumes).find({}, name) != nullptr) co_return Duration{};
    const auto [found, fresh] = due_.try_emplace(name, now() + context_.options.provision_takes);
    if (fresh) note(*claim, false, "Provisioning", "External provisioner is provisioning volume for claim \"" + key_of(*claim) + "\"");
    if (found->second > now()) co_return found->second - now();
    due_.erase(name);
    const auto mode = json::string_at(*storage, "reclaimPolicy");
    json::Object spec{{"capacity", json::Object{{"storage", json::string_at(*claim, "spec", "resources", "requests", "storage")}}},
                      {"accessModes", json::array_at(*claim, "spec", "accessModes")},
                      {"persistentVolumeReclaimPolicy", mode.empty() ? "Delete" : mode},
                      {"storageClassName", kube::name_of(*storage)},
                      {"volumeMode", "Filesystem"},
                      // A source that needs no attaching, so that a real attach-detach controller leaves it alone.
                      {"hostPath", json::Object{{"path", "/simulated/" + name}}},
                      {"claimRef", json::Object{{"apiVersion", "v1"},
                                                {"kind", "PersistentVolumeClaim"},
                                                {"namespace", kube::namespace_of(*claim)},
                                                {"name", kube::name_of(*claim)},
                                                {"uid", kube::uid_of(*claim)}}}};
    auto made = co_await writer_.create(
        r::persistent_volumes, {},
        json::Object{{"apiVersion", "v1"},
                     {"kind", "PersistentVolume"},
                     {"metadata", json::Object{{"name", name}, {"annotations", json::Object{{provisioned_by, our_provisioner}}}}},
                     {"spec", std::move(spec)}});
    if (!made && made.error().code != ErrorCode::already_exists) {
        note(*claim, true, "ProvisioningFailed",
             "failed to provision volume with StorageClass \"" + std::string(kube::name_of(*storage)) + "\": " + made.error().message);
        co_return fail(std::move(made).error());
    }
    note(*claim, false, "ProvisioningSucceeded", "Successfully provisioned volume " + name);
    co_return Duration{};
}

Task<Result<Duration>> StorageProvisioner::resize(ObjectPtr claim, ObjectPtr storage) {
    const double want = asked(*claim), have = kube::quantity_at(json::at(*claim, "status", "capacity", "storage")).value_or(want);
    const std::string volume(json::string_at(*claim, "spec", "volumeName")), ns(kube::namespace_of(*claim)), name(kube::name_of(*claim));
    if (want <= have || volume.empty()) co_return Duration{};
    const std::string key = "resize/" + std::string(kube::uid_of(*claim)) + "/" + std::to_string(static_cast<std::int64_t>(want));
    if (!json::bool_at(*storage, "allowVolumeExpansion").value_or(false)) {
        note(*claim, true, "VolumeResizeFailed", "storageclass does not allow volume expansion");
        co_return Duration{};
    }
    const auto [found, fresh] = due_.try_emplace(key, now() + context_.options.resize_takes);
    const Value text(json::string_at(*claim, "spec", "resources", "requests", "storage"));
    if (fresh) {
        note(*claim, false, "Resizing", "External resizer is resizing volume " + volume);
        json::Array conditions;
        set_condition(conditions, "Resizing", "True", "", "", now());
        KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, ns, name,
                                           json::Object{{"status", json::Object{{"conditions", std::move(conditions)}}}}, "status"));
    }
    if (found->second > now()) co_return found->second - now();
    due_.erase(key);
    KN_CO_CHECK(co_await writer_.merge(r::persistent_volumes, {}, volume,
                                       json::Object{{"spec", json::Object{{"capacity", json::Object{{"storage", text}}}}}}));
    KN_CO_CHECK(co_await writer_.merge(r::persistent_volume_claims, ns, name,
                                       json::Object{{"status", json::Object{{"capacity", json::Object{{"storage", text}}}, {"conditions", nullptr}}}},
                                       "status"));
    note(*claim, false, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded for volume \"" + volume + "\"");
    co_return Duration{};
}

}  // namespace

std::unique_ptr<Controller> make_volume_binder(ControllerContext& context) { return std::make_unique<VolumeBinder>(context); }
std::unique_ptr<Controller> make_storage_provisioner(ControllerContext& context) { return std::make_unique<StorageProvisioner>(context); }

}  // namespace kn::sim
