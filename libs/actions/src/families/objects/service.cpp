#include <algorithm>

#include "core/created.hpp"
#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

class PatchServiceSelector final : public PatchAction {
public:
    explicit PatchServiceSelector(Shared& shared) : PatchAction("patch_service_selector", shared) {}

    /// At least one endpoint of the Service is ready.
    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (state_of(subject.live, image.fields) != FieldState::after) co_return false;
        KN_CO_TRY(const auto slices,
                  co_await context.client->list(kube::resources::endpoint_slices, image.object.ns,
                                                {.label_selector = "kubernetes.io/service-name=" + image.object.name}, call_deadline(context)));
        for (const auto& slice : slices.items) {
            for (const auto& endpoint : json::array_at(slice, "endpoints")) {
                // Unset means ready (discovery.k8s.io/v1).
                if (json::bool_at(endpoint, "conditions", "ready").value_or(true)) co_return true;
            }
        }
        co_return false;
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto& present = json::object_at(subject.live, "spec", "selector");
        if (present.empty())
            co_return refuse("no_selector", "Service " + place_text(subject.key) + " has no selector: its endpoints are made by hand");
        KN_CO_TRY(const auto pods, co_await context.client->list(kube::resources::pods, subject.key.ns, {}, call_deadline(context)));
        const auto matches = [&pods](const json::Object& selector) {
            return std::ranges::any_of(pods.items, [&selector](const json::Value& pod) {
                return !is_finished(pod) && kube::map_selector_matches(selector, json::object_at(pod, "metadata", "labels"));
            });
        };
        if (matches(present)) co_return refuse("condition_cleared", "Service " + place_text(subject.key) + " selects pods");
        json::Object wanted = params.object("selector");
        if (wanted.empty()) {
            KN_CO_TRY(wanted, co_await selector_of_fitting_workload(context, subject));
        }
        for (const auto& [key, value] : wanted) {
            if (!value.is_string()) co_return bad_param("selector." + std::string(key), "must be a string");
        }
        if (!matches(wanted)) co_return refuse("no_pods", "that selector would select no pod either");

        Change made{.summary = "point Service " + place_text(subject.key) + " at pods that exist", .type = kube::PatchType::merge};
        made.fields.push_back({.path = {"spec", "selector"}, .after = json::Value(wanted)});
        made.extra["selector"] = std::move(wanted);
        made.subject = std::move(subject);
        co_return made;
    }

private:
    /// The only workload of the namespace that shares a label with the old selector, or bears the Service's name.
    static Task<Result<json::Object>> selector_of_fitting_workload(const ActionContext& context, const Subject& service) {
        const auto& old = json::object_at(service.live, "spec", "selector");
        struct Candidate {
            std::size_t shared = 0;
            bool named = false;
            json::Object selector;
        };
        std::vector<Candidate> candidates;
        for (const auto* resource : {&kube::resources::deployments, &kube::resources::stateful_sets, &kube::resources::daemon_sets}) {
            KN_CO_TRY(const auto listed, co_await context.client->list(*resource, service.key.ns, {}, call_deadline(context)));
            for (const auto& workload : listed.items) {
                Candidate each{.named = kube::name_of(workload) == service.key.name,
                               .selector = json::object_at(workload, "spec", "selector", "matchLabels")};
                const auto& labels = json::object_at(workload, "spec", "template", "metadata", "labels");
                for (const auto& [key, value] : old) {
                    const auto* label = labels.if_contains(key);
                    if (label != nullptr && *label == value) ++each.shared;
                }
                if ((each.shared > 0 || each.named) && !each.selector.empty()) candidates.push_back(std::move(each));
            }
        }
        std::ranges::sort(candidates, std::greater{}, [](const Candidate& each) { return std::pair(each.named, each.shared); });
        if (candidates.empty()) co_return refuse("no_workload", "no workload fits Service " + place_text(service.key));
        if (candidates.size() > 1 && candidates[0].named == candidates[1].named && candidates[0].shared == candidates[1].shared) {
            co_return refuse("ambiguous", "several workloads fit Service " + place_text(service.key));
        }
        co_return std::move(candidates.front().selector);
    }
};

/// One ingress edge, opened beside the policies that stand: policies only add up, so nothing else opens.
class AddNetworkAllow final : public CreateAction {
public:
    explicit AddNetworkAllow(Shared& shared) : CreateAction("add_network_allow", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto made, co_await read_made(context));
        if (!made_by(context, made.live)) co_return false;
        const auto workload = co_await read_object(context, context.target.key);
        co_return !workload || is_rolled_out(*workload);
    }

protected:
    Task<Result<Prepared>> plan(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(const auto subject, co_await read_subject(context, spec(), params.text("object")));
        json::Object from;
        if (params.has("from_namespace")) {
            json::Value selector = json::Object{};
            json::make_at(selector, "matchLabels", "kubernetes.io/metadata.name") = params.text("from_namespace");
            from["namespaceSelector"] = std::move(selector);
        }
        if (params.has("from")) {
            if (params.object("from").empty()) co_return bad_param("from", "is empty: that would open the port to every pod");
            json::Value selector = json::Object{};
            json::make_at(selector, "matchLabels") = params.object("from");
            from["podSelector"] = std::move(selector);
        }
        if (from.empty()) co_return bad_param("from", "is needed: the labels of the pods that may connect, or from_namespace");
        if (json::at(subject.live, "spec", "selector") == nullptr) co_return refuse("wrong_kind", subject.key.str() + " has no selector");

        json::Object port, peers;
        port["port"] = *params.integer("port"), port["protocol"] = params.text("protocol");
        peers["from"] = json::Array(1, json::Value(std::move(from)));
        peers["ports"] = json::Array(1, json::Value(std::move(port)));
        ObjectKey key{.cluster = subject.key.cluster,
                      .ns = subject.key.ns,
                      .kind = "NetworkPolicy",
                      .group = "networking.k8s.io",
                      .name = own_name(context, "allow-" + subject.key.name, 63)};
        json::Value made = json::Object{};
        json::make_at(made, "apiVersion") = "networking.k8s.io/v1";
        json::make_at(made, "kind") = "NetworkPolicy";
        json::make_at(made, "metadata", "name") = key.name;
        json::make_at(made, "metadata", "namespace") = key.ns;
        json::make_at(made, "spec", "podSelector") = *json::at(subject.live, "spec", "selector");
        json::make_at(made, "spec", "policyTypes") = json::Array(1, json::Value("Ingress"));
        json::make_at(made, "spec", "ingress") = json::Array(1, json::Value(std::move(peers)));
        co_return prepared_for(key, std::move(made), "open port " + params.text("port") + " of " + place_text(subject.key) + " to one peer");
    }
};

}  // namespace

void add_service_actions(ActionList& list, Shared& shared) {
    list.push_back(std::make_unique<PatchServiceSelector>(shared));
    list.push_back(std::make_unique<AddNetworkAllow>(shared));
}

}  // namespace kn::actions
