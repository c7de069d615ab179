#include <algorithm>
#include <array>
#include <cmath>

#include "families/families.hpp"
#include "kubernaut/kube/object.hpp"
#include "pods/containers.hpp"
#include "pods/pods.hpp"

namespace kn::actions {
namespace {

/// A number of a probe: the parameter, the field, what the API fills in, and the bound of the catalogue.
struct ProbeNumber {
    std::string_view param, field;
    std::int64_t absent, most;
    bool scaled;  ///< grows by `factor`
};
constexpr std::array numbers{ProbeNumber{"initial_delay", "initialDelaySeconds", 0, 600, true}, ProbeNumber{"timeout", "timeoutSeconds", 1, 60, true},
                             ProbeNumber{"period", "periodSeconds", 10, 60, false},
                             ProbeNumber{"failure_threshold", "failureThreshold", 3, 30, true}};

std::string field_of(std::string_view probe) { return std::string(probe) + "Probe"; }

/// "auto": a container that is being killed has its liveness (or startup) probe against it, one that only is not Ready its readiness probe.
std::string meant_probe(const json::Value& container, const std::string& named, bool restarts) {
    if (named != "auto") return named;
    const auto has = [&](std::string_view probe) { return json::at(container, field_of(probe)) != nullptr; };
    if (restarts && has("startup")) return "startup";
    if (restarts && has("liveness")) return "liveness";
    return has("readiness") ? "readiness" : has("liveness") ? "liveness" : "startup";
}

class PatchProbe final : public PatchAction {
public:
    explicit PatchProbe(Shared& shared) : PatchAction("patch_probe", shared) {}

    Task<Result<bool>> verify(const ActionContext& context) override {
        KN_CO_TRY(const auto image, Image::from_json(context.pre_image));
        KN_CO_TRY(const auto subject, co_await reread(context, image.object, image.uid));
        if (!image.fields.empty() && state_of(subject.live, image.fields) != FieldState::after) {
            co_return refuse("target_changed", "somebody else has changed the probe of " + image.object.str());
        }
        co_return co_await is_settled(context, shared().quiet, subject, settings().probe_quiet);
    }

protected:
    Task<Result<Change>> change(const ActionContext& context, const Params& params) override {
        KN_CO_TRY(auto subject, co_await read_subject(context, spec(), params.text("object")));
        const auto* pod_spec = pod_spec_of(subject);
        if (pod_spec == nullptr) co_return refuse("wrong_kind", subject.key.str() + " has no pod template");
        KN_CO_TRY(const auto pods, co_await pods_of(context, subject));
        KN_CO_TRY(const auto container, meant_container(*pod_spec, params.text("container"), pods, ""));
        const auto& found = *find_container(*pod_spec, container);
        const bool restarts = std::ranges::any_of(pods, [](const json::Value& pod) { return restarts_of(pod) > 0; });
        const auto probe = meant_probe(found, params.text("probe"), restarts);
        const auto* present = json::at(found, field_of(probe));
        if (present == nullptr) co_return refuse("no_probe", "container " + container + " has no " + probe + " probe");

        Change made{.summary = "give the " + probe + " probe of " + place_text(subject.key) + " (" + container + ") more time"};
        const bool explicit_numbers = std::ranges::any_of(numbers, [&](const ProbeNumber& each) { return params.has(each.param); });
        for (const auto& each : numbers) {
            const auto now = json::int_at(*present, std::string(each.field)).value_or(each.absent);
            std::int64_t wanted = now;
            if (params.has(each.param))
                wanted = *params.integer(each.param);
            else if (!explicit_numbers && each.scaled) {
                wanted = std::min(each.most, static_cast<std::int64_t>(std::ceil(static_cast<double>(now) * params.number("factor").value_or(2.0))));
                wanted = std::max(wanted, now);
            }
            if (wanted < now) co_return bad_param(each.param, "may only grow: it is " + std::to_string(now));
            if (wanted == now) continue;
            made.fields.push_back(
                {.path = {"spec", "template", "spec", "containers", "[name=" + container + "]", field_of(probe), std::string(each.field)},
                 .after = json::Value(wanted)});
        }
        if (made.fields.empty()) co_return refuse("cap", "the " + probe + " probe has all the time that it may get");
        made.extra["container"] = container;
        made.extra["probe"] = probe;
        made.subject = std::move(subject);
        co_return made;
    }
};

}  // namespace

void add_probe_actions(ActionList& list, Shared& shared) { list.push_back(std::make_unique<PatchProbe>(shared)); }

}  // namespace kn::actions
