// What the stores, the watches and the metrics say about an execution's effect.
#include <algorithm>
#include <cstdio>

#include "evidence.hpp"
#include "kubernaut/assess/improvement.hpp"
#include "kubernaut/base/log.hpp"
#include "kubernaut/kube/object.hpp"
#include "kubernaut/kube/resource.hpp"
#include "surroundings.hpp"

namespace kn::assess {
namespace {

constexpr Duration learn_timeout = 10s, before_from = 15min, before_to = 2min, after_length = 10min, counting_window = 5min,
                   side_effects_within = 30min;
constexpr double lower_by = 0.05;  // of the replicas: less is a pod that is just being replaced

bool is_workload(const std::string& kind) { return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet"; }

/// The share of replicas that was available when the plan was made.
std::optional<double> availability_before(const Incident& incident) {
    if (!incident.diagnosis) return std::nullopt;
    for (const Fact& fact : incident.diagnosis->facts) {
        if (fact.name == "workload.available_ratio" && fact.value.is_number()) return fact.value.to_number<double>();
    }
    return std::nullopt;
}

/// What the watches show in the target's cluster. Dependents may live in any namespace.
Surroundings surroundings_of(ports::ClusterGateway& fleet, const ClusterId& cluster) {
    Surroundings around;
    const auto take = [&](const char* kind, std::vector<kube::ObjectPtr>& into) {
        const auto* resource = kube::find_resource(kind);
        const auto cache = resource == nullptr ? nullptr : fleet.cache(cluster, *resource);
        if (cache == nullptr) return;
        auto objects = cache->list();
        into.insert(into.end(), objects.begin(), objects.end());
    };
    for (const char* kind : {"Deployment.apps", "StatefulSet.apps", "DaemonSet.apps"}) take(kind, around.workloads);
    take("Pod", around.pods);
    take("Service", around.services);
    return around;
}

bool step_forbids_undo(const json::Value& definition, std::string_view id) {
    if (const auto* list = definition.if_array())
        return std::ranges::any_of(*list, [&](const json::Value& each) { return step_forbids_undo(each, id); });
    const auto* object = definition.if_object();
    if (object == nullptr) return false;
    if (json::string_at(definition, "id") == id && json::string_at(definition, "compensate") == "none") return true;
    return std::ranges::any_of(*object, [&](const auto& member) { return step_forbids_undo(member.value(), id); });
}

}  // namespace

Task<Result<Assessor::Evidence>> Assessor::gather(Assessment assessment, Deadline deadline) {
    Evidence evidence;
    if (assessment.incident) {
        auto incident = co_await stores_.incidents.get(assessment.cluster, *assessment.incident, deadline);
        if (!incident && incident.error().code != ErrorCode::not_found) co_return fail(incident.error());
        if (incident) {
            KN_CO_TRY(evidence.inputs.resolved, co_await resolved(assessment, *incident, deadline));
            if (evidence.inputs.resolved == Truth::yes) {
                KN_CO_TRY(evidence.inputs.came_back, co_await came_back(assessment, deadline));
            }
            evidence.incident = *std::move(incident);
        }
    }
    if (assessment.stage != AssessmentStage::quick) co_await measure(assessment, evidence, deadline);
    KN_CO_CHECK(co_await look_around(assessment, evidence, deadline));
    co_return evidence;
}

/// R: by the incident's own verification (signals and evidence), later than our action. When another workflow was needed after this one, this one did not do it.
Task<Result<Truth>> Assessor::resolved(Assessment assessment, Incident incident, Deadline deadline) {
    if (incident.execution && *incident.execution != assessment.execution) {
        const auto last = co_await stores_.executions.get(*incident.execution, deadline);
        if (!last && last.error().code != ErrorCode::not_found) co_return fail(last.error());
        const bool another = last && last->execution.plan.workflow != assessment.workflow && !last->execution.dry_run &&
                             last->execution.created_at >= assessment.action_at;
        if (another) co_return Truth::no;
    }
    switch (incident.state) {
        case IncidentState::resolved: co_return Truth::yes;
        case IncidentState::escalated:
        case IncidentState::planned:
        case IncidentState::remediating: co_return Truth::no;
        default: co_return Truth::unknown;
    }
}

/// C: a younger incident under the same key.
Task<Result<Truth>> Assessor::came_back(Assessment assessment, Deadline deadline) {
    if (assessment.incident_key.empty()) co_return Truth::unknown;
    KN_CO_TRY(const auto same, co_await stores_.incidents.by_key(assessment.cluster, assessment.incident_key, assessment.action_at, deadline));
    const bool back = std::ranges::any_of(same, [&](const Incident& each) {
        return (!assessment.incident || each.id != *assessment.incident) && each.opened_at > assessment.action_at &&
               each.state != IncidentState::duplicate;
    });
    co_return back ? Truth::yes : Truth::no;
}

/// D, read anew.
Task<std::pair<Truth, std::string>> Assessor::drift_now(Assessment assessment, Deadline deadline) {
    const auto* resource = kube::find_resource(assessment.target.kind_group());
    const auto client = ports_.fleet.client(assessment.cluster);
    if (client == nullptr || resource == nullptr) co_return std::pair(Truth::unknown, std::string());
    const auto object = co_await client->get(*resource, assessment.target.ns, assessment.target.name, deadline);
    if (!object) co_return std::pair(Truth::unknown, std::string());
    Drift drift = drift_of(*object, assessment.action_at);
    co_return std::pair(drift.seen, std::move(drift.manager));
}

/// E and D, and on the way the share of available replicas where no series tells more.
Task<Result<>> Assessor::look_around(Assessment assessment, Evidence& evidence, Deadline deadline) {
    const bool fault_gone = evidence.inputs.resolved == Truth::yes;
    const auto add = [&evidence](const std::string& text) { evidence.worse += (evidence.worse.empty() ? "" : "; ") + text; };
    const auto* resource = kube::find_resource(assessment.target.kind_group());
    const auto client = ports_.fleet.client(assessment.cluster);
    if (client != nullptr && resource != nullptr) {
        const auto object = co_await client->get(*resource, assessment.target.ns, assessment.target.name, deadline);
        if (object) {
            Drift drift = drift_of(*object, assessment.action_at);
            evidence.inputs.drift = drift.seen;
            evidence.manager = std::move(drift.manager);
            const auto before = evidence.incident ? availability_before(*evidence.incident) : std::nullopt;
            const auto after = is_workload(assessment.target.kind) ? availability_of(*object) : std::nullopt;
            if (before && after) {
                if (!evidence.inputs.metric && *before < 1) evidence.inputs.metric = std::clamp((*after - *before) / (1 - *before), 0.0, 1.0);
                if (*after < *before - lower_by && !fault_gone) {
                    char text[96];
                    std::snprintf(text, sizeof text, "%.0f %% of its replicas are available, before it were %.0f %%", *after * 100, *before * 100);
                    add(text);
                    evidence.alarm = evidence.take_back = true;
                }
            }
        }
    }
    // New trouble that began after the action: on the target under another class, or around it.
    const auto around = neighbours_of(assessment.target, surroundings_of(ports_.fleet, assessment.cluster));
    KN_CO_TRY(const auto recent, co_await stores_.incidents.list({.cluster = assessment.cluster.str()}, {.limit = 200}, deadline));
    bool side_effect = !evidence.worse.empty() || evidence.inputs.side_effects == Truth::yes;
    for (const Incident& incident : recent.items) {
        if (incident.opened_at <= assessment.action_at || incident.opened_at > assessment.action_at + side_effects_within) continue;
        if (incident.fault_class.empty() || incident.fault_class == "crashloop.unknown" || incident.state == IncidentState::duplicate ||
            incident.state == IncidentState::suppressed)
            continue;
        if (assessment.incident && (incident.id == *assessment.incident || incident.cause == assessment.incident)) continue;
        const bool on_target = incident.target.key == assessment.target;
        if (on_target && incident.incident_key == assessment.incident_key) continue;  // that is C
        if (!on_target && !around.contains(incident.target.key.str())) continue;
        if (!on_target && incident.fault_class == assessment.fault_class) continue;  // the same fault elsewhere is not new
        side_effect = true;
        add(incident.fault_class + " on " + incident.target.key.str());
        if (is_terminal(incident.state) && incident.state != IncidentState::escalated) continue;
        // Trouble with a cause of its own beside the target does not speak against what was done, and a cured target is not made ill again for it.
        const bool effect = on_target || can_be_an_effect(incident.fault_class);
        evidence.alarm = evidence.alarm || effect;
        evidence.take_back = evidence.take_back || on_target || (effect && !fault_gone);
    }
    evidence.inputs.side_effects = side_effect ? Truth::yes : Truth::no;
    co_return Result<>{};
}

/// M from the class's own series, where somebody keeps it.
Task<> Assessor::measure(Assessment assessment, Evidence& evidence, Deadline deadline) {
    const TargetMetric* metric = target_metric_of(assessment.fault_class, assessment.target.kind);
    if (ports_.series == nullptr || metric == nullptr || !assessment.settled_at) co_return;
    const bool counting = metric->reading == TargetMetric::Reading::increase || metric->reading == TargetMetric::Reading::ratio_of_increases;
    const Duration back = counting ? counting_window : Duration{0};
    const auto query = [&](std::string_view name) {
        std::string text(name);
        if (assessment.target.ns.empty() || metric->of == TargetMetric::Of::cluster) return text;
        return text + "{namespace=\"" + assessment.target.ns + "\"}";
    };
    const Instant t0 = assessment.action_at, settled = *assessment.settled_at;
    const std::pair<Instant, Instant> windows[2] = {{t0 - before_from, t0 - before_to}, {settled, settled + after_length}};
    std::vector<double> values[2];
    for (int i = 0; i < 2; ++i) {
        const auto [from, to] = windows[i];
        const auto top = co_await ports_.series->range(assessment.cluster, query(metric->series), from - back, to, options_.metric_step, deadline);
        Result<std::vector<ports::Series>> bottom = std::vector<ports::Series>{};
        if (!metric->over.empty())
            bottom = co_await ports_.series->range(assessment.cluster, query(metric->over), from - back, to, options_.metric_step, deadline);
        if (!top || !bottom) {
            log::debug("a target metric could not be read",
                       {{"assessment", assessment.id.str()}, {"error", (!top ? top.error() : bottom.error()).describe()}});
            co_return;
        }
        values[i] = values_for(*metric, assessment.target, *top, *bottom, from, to, options_.metric_step, counting_window);
    }
    const auto shift = shift_of(values[0], values[1], metric->lower_is_better);
    if (!shift) co_return;
    std::vector<double> before = values[0];
    std::ranges::sort(before);
    const double usual = before[before.size() / 2];
    const bool was_normal = metric->lower_is_better ? usual <= metric->normal : usual >= metric->normal;
    if (!was_normal) evidence.inputs.metric = std::max(0.0, 2 * shift->improved - 1);
    if (shift->improved < 0.05) evidence.inputs.side_effects = Truth::yes;
    char text[160];
    std::snprintf(text, sizeof text, "%.*s: moved by %.3g (error %.2g), improved with p %.2f", static_cast<int>(metric->name.size()),
                  metric->name.data(), shift->size, shift->error, shift->improved);
    evidence.metric_text = text;
    if (was_normal) evidence.metric_text += ", was normal before";
}

bool Assessor::can_be_taken_back(const ExecutionWithSteps& run) const {
    if (ports_.actions == nullptr) return false;
    return run.execution.state == ExecutionState::succeeded && std::ranges::any_of(run.steps, [&](const Step& step) {
               if (step.kind != "action" || step.state != StepState::succeeded || !step.mutating || step.path.starts_with("finally/")) return false;
               const auto* action = ports_.actions->find(step.action);
               return action != nullptr && action->spec().reversible && !step_forbids_undo(run.execution.definition, step.id);
           });
}

/// When the trouble began as far as its signals say: an alert fires long after, and the hub may have been away.
Task<Result<Instant>> Assessor::onset_of(Incident incident, Deadline deadline) {
    KN_CO_TRY(const auto signals, co_await stores_.signals.of_incident(incident.cluster, incident.id, 100, deadline));
    Instant onset = incident.opened_at;
    for (const Signal& signal : signals) {
        if (signal.starts_at > Instant{}) onset = std::min(onset, signal.starts_at);
    }
    co_return std::max(onset, incident.opened_at - 24h);
}

Task<Result<int>> Assessor::learn_once() {
    async::Clock& clock = loop_.clock();
    const Deadline deadline = clock.deadline_in(learn_timeout);
    KN_CO_TRY(const auto ended, co_await stores_.learning.unlearned(clock.now() - options_.learn_after, 100, deadline));
    for (const Incident& incident : ended) {
        std::optional<Instant> treated;
        ports::ExecutionFilter of{.cluster = incident.cluster.str(), .incident = incident.id.str()};
        KN_CO_TRY(const auto runs, co_await stores_.executions.list(std::move(of), {.limit = 100}, deadline));
        for (const Execution& run : runs.items) {
            if (run.dry_run || !run.touched_at) continue;
            treated = std::min(treated.value_or(*run.touched_at), *run.touched_at);
        }
        KN_CO_TRY(const Instant onset, co_await onset_of(incident, deadline));
        KN_CO_CHECK(co_await stores_.learning.learn(incident.cluster, incident.id, untreated_spell(incident, onset, treated), deadline));
    }
    co_return static_cast<int>(ended.size());
}

}  // namespace kn::assess
