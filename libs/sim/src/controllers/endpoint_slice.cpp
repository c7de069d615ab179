#include <algorithm>

#include "controllers/controller.hpp"

namespace kn::sim {
namespace {

constexpr std::size_t endpoints_per_slice = 100;

class EndpointSliceController final : public Controller {
public:
    explicit EndpointSliceController(ControllerContext& context) : Controller(context, "endpointslice-controller") {}
    void wire() override {
        watch_own(r::services);
        watch(r::pods, [this](const ObjectPtr& pod, const ObjectPtr& before, bool) {
            services_of(*pod);
            if (before != nullptr && json::at(*before, "metadata", "labels") != nullptr) services_of(*before);
        });
        watch(r::endpoint_slices, [this](const ObjectPtr& slice, const ObjectPtr&, bool deleted) {
            if (deleted)
                queue_.add(std::string(kube::namespace_of(*slice)) + "/" + std::string(kube::label_of(*slice, "kubernetes.io/service-name")));
        });
    }
    Task<Result<Duration>> reconcile(std::string key) override;

private:
    void services_of(const Value& pod) {
        for (const auto& service : cache(r::services).list(kube::namespace_of(pod))) {
            const auto& selector = json::object_at(*service, "spec", "selector");
            if (!selector.empty() && kube::map_selector_matches(selector, json::object_at(pod, "metadata", "labels"))) queue_.add(key_of(*service));
        }
    }
    static json::Array ports_of(const Value& service, const std::vector<ObjectPtr>& pods);
};

json::Array EndpointSliceController::ports_of(const Value& service, const std::vector<ObjectPtr>& pods) {
    json::Array out;
    for (const auto& port : json::array_at(service, "spec", "ports")) {
        const Value* target = json::at(port, "targetPort");
        Value number = target == nullptr ? *json::at(port, "port") : *target;
        if (number.is_string()) {  // a named port: looked up in the first pod that has it
            Value found = nullptr;
            for (const auto& pod : pods) {
                for (const auto& container : json::array_at(*pod, "spec", "containers")) {
                    for (const auto& each : json::array_at(container, "ports")) {
                        if (found.is_null() && json::string_at(each, "name") == json::view(number.get_string()))
                            found = *json::at(each, "containerPort");
                    }
                }
            }
            number = found;
        }
        const auto protocol = json::string_at(port, "protocol");
        out.push_back(json::Object{{"name", json::string_at(port, "name")}, {"port", number}, {"protocol", protocol.empty() ? "TCP" : protocol}});
    }
    return out;
}

Task<Result<Duration>> EndpointSliceController::reconcile(std::string key) {
    const auto service = find(r::services, key);
    const auto [ns, name] = split_key(key);
    std::vector<ObjectPtr> slices;
    for (const auto& slice : cache(r::endpoint_slices).list(ns)) {
        if (kube::label_of(*slice, "kubernetes.io/service-name") == name &&
            kube::label_of(*slice, "endpointslice.kubernetes.io/managed-by") == "endpointslice-controller.k8s.io")
            slices.push_back(slice);
    }
    json::Array endpoints;
    std::vector<ObjectPtr> members;
    if (service != nullptr && !kube::is_deleting(*service)) {
        const auto& selector = json::object_at(*service, "spec", "selector");
        if (selector.empty() || json::string_at(*service, "spec", "type") == "ExternalName") co_return Duration{};
        const bool any = json::bool_at(*service, "spec", "publishNotReadyAddresses").value_or(false);
        for (const auto& pod : cache(r::pods).list(ns)) {
            if (pod_finished(*pod) || json::string_at(*pod, "status", "podIP").empty() ||
                !kube::map_selector_matches(selector, json::object_at(*pod, "metadata", "labels")))
                continue;
            const bool ready = pod_ready(*pod), leaving = kube::is_deleting(*pod);
            members.push_back(pod);
            endpoints.push_back(json::Object{
                {"addresses", json::Array{Value(json::string_at(*pod, "status", "podIP"))}},
                {"conditions", json::Object{{"ready", (ready && !leaving) || any}, {"serving", ready || any}, {"terminating", leaving}}},
                {"targetRef", json::Object{{"kind", "Pod"}, {"namespace", ns}, {"name", kube::name_of(*pod)}, {"uid", kube::uid_of(*pod)}}},
                {"nodeName", json::string_at(*pod, "spec", "nodeName")}});
        }
    }
    const json::Array ports = service == nullptr ? json::Array{} : ports_of(*service, members);
    const std::size_t needed = service == nullptr ? 0 : std::max<std::size_t>(1, (endpoints.size() + endpoints_per_slice - 1) / endpoints_per_slice);
    for (std::size_t i = 0; i < std::max(needed, slices.size()); ++i) {
        if (i >= needed) {
            KN_CO_CHECK(co_await writer_.remove(r::endpoint_slices, slices[i]));
            continue;
        }
        json::Array part(endpoints.begin() + static_cast<std::ptrdiff_t>(std::min(endpoints.size(), i * endpoints_per_slice)),
                         endpoints.begin() + static_cast<std::ptrdiff_t>(std::min(endpoints.size(), (i + 1) * endpoints_per_slice)));
        if (i < slices.size()) {
            if (json::array_at(*slices[i], "endpoints") == part && json::array_at(*slices[i], "ports") == ports) continue;
            KN_CO_CHECK(co_await writer_.merge(r::endpoint_slices, ns, std::string(kube::name_of(*slices[i])),
                                               json::Object{{"endpoints", std::move(part)}, {"ports", ports}}));
        } else {
            json::Object labels{{"kubernetes.io/service-name", name}, {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}};
            KN_CO_CHECK(co_await writer_.create(
                r::endpoint_slices, ns,
                json::Object{{"apiVersion", "discovery.k8s.io/v1"},
                             {"kind", "EndpointSlice"},
                             {"addressType", "IPv4"},
                             {"metadata", json::Object{{"name", name + "-" + random_suffix(context_.random)},
                                                       {"namespace", ns},
                                                       {"labels", std::move(labels)},
                                                       {"ownerReferences", json::Array{controller_ref(r::services, *service)}}}},
                             {"endpoints", std::move(part)},
                             {"ports", ports}}));
        }
    }
    co_return Duration{};
}

}  // namespace

std::unique_ptr<Controller> make_endpoint_slice_controller(ControllerContext& context) { return std::make_unique<EndpointSliceController>(context); }

}  // namespace kn::sim
