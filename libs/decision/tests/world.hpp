#pragma once

#include <string>
#include <vector>

#include "kubernaut/decision/classifier.hpp"
#include "kubernaut/decision/evidence.hpp"
#include "kubernaut/decision/facts.hpp"
#include "kubernaut/decision/planner.hpp"
#include "kubernaut/json/yaml.hpp"

namespace kn::decision::testing {

inline const Instant noon = *parse_rfc3339("2026-03-01T12:00:00Z");

inline std::string ago(Duration d) { return format_rfc3339(noon - d); }

inline kube::ObjectPtr object(std::string_view yaml) {
    auto document = json::parse_yaml(yaml);
    if (!document) throw std::runtime_error(document.error().describe() + "\n" + std::string{yaml});
    return std::make_shared<const json::Value>(std::move(document->value));
}

inline SeenObject seen(const kube::ObjectPtr& o) { return {Seen::present, *o, "live:test", noon}; }

inline SeenList list(std::vector<kube::ObjectPtr> items) { return {true, std::move(items), "watch:test", noon}; }

/// The pod template of a workload with one container.
struct Template {
    std::string image = "registry.example.org/shop/cart:1.0", command = "serve", config = "cart-config", extra;
    [[nodiscard]] std::string yaml(int indent) const {
        std::string pad(static_cast<std::size_t>(indent), ' ');
        std::string out = pad + "metadata: {labels: {app: cart}}\n" + pad + "spec:\n" + pad + "  containers:\n" + pad + "    - name: app\n" + pad +
                          "      image: " + image + "\n" + pad + "      command: [" + command + "]\n";
        if (!config.empty()) out += pad + "      envFrom: [{configMapRef: {name: " + config + "}}]\n";
        if (!extra.empty()) out += pad + "      " + extra + "\n";
        return out;
    }
};

struct PodSpec {
    std::string name, revision;  ///< revision: name of its ReplicaSet
    Template pod_template{};
    Duration age = 3min;
    bool ready = false;
    Duration ready_for = 1h;
    std::string waiting;  ///< state.waiting.reason, else running
    int restarts = 0;
    int exit_code = 0;  ///< of the last life; 0 = none
    std::string last_reason = "Error";
    Duration lived = 2s, ended_ago = 20s;
    std::string node = "node-1";
    std::string last = {};  ///< YAML of lastState when the parts above do not do
};

inline kube::ObjectPtr replica_set(const std::string& name, int revision, Duration age, const Template& t) {
    return object(
        "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: " + name + "\n  namespace: shop\n  uid: uid-" + name +
        "\n  creationTimestamp: \"" + ago(age) + "\"\n  labels: {app: cart, pod-template-hash: h" + std::to_string(revision) +
        "}\n  annotations: {deployment.kubernetes.io/revision: \"" + std::to_string(revision) +
        "\"}\n  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: uid-cart, controller: true}]\nspec:\n  template:\n" +
        t.yaml(4) + "status: {replicas: 1}\n");
}

inline kube::ObjectPtr pod(const PodSpec& p) {
    std::string state = p.waiting.empty() ? "{running: {startedAt: \"" + ago(p.ended_ago) + "\"}}" : "{waiting: {reason: " + p.waiting + "}}";
    std::string last = p.last;
    if (last.empty() && (p.exit_code != 0 || p.last_reason == "OOMKilled")) {
        last = "{terminated: {exitCode: " + std::to_string(p.exit_code) + ", reason: " + p.last_reason + ", startedAt: \"" +
               ago(p.ended_ago + p.lived) + "\", finishedAt: \"" + ago(p.ended_ago) + "\"}}";
    }
    if (last.empty()) last = "{}";
    const std::string owner = p.revision.empty() ? ""
                                                 : "  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: " + p.revision + ", uid: uid-" +
                                                       p.revision + ", controller: true}]\n";
    std::string spec = p.pod_template.yaml(0);
    spec = spec.substr(spec.find("spec:\n"));
    return object("apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + p.name + "\n  namespace: shop\n  uid: uid-" + p.name +
                  "\n  creationTimestamp: \"" + ago(p.age) + "\"\n  labels: {app: cart}\n" + owner + spec +
                  (p.node.empty() ? "" : "  nodeName: " + p.node + "\n") + "  restartPolicy: Always\nstatus:\n  phase: " +
                  (p.node.empty() ? "Pending" : "Running") + "\n  startTime: \"" + ago(p.age) + "\"\n  conditions:\n    - {type: Ready, status: \"" +
                  (p.ready ? "True" : "False") + "\", lastTransitionTime: \"" + ago(p.ready ? p.ready_for : p.ended_ago) + "\"}\n" +
                  (p.node.empty() ? "    - {type: PodScheduled, status: \"False\", reason: Unschedulable}\n"
                                  : "  containerStatuses:\n    - name: app\n      ready: " + std::string(p.ready ? "true" : "false") +
                                        "\n      restartCount: " + std::to_string(p.restarts) + "\n      state: " + state +
                                        "\n      lastState: " + last + "\n"));
}

/// Deployment shop/cart whose newest revision is `newest`.
inline EvidenceSnapshot deployment(const Template& newest, std::vector<kube::ObjectPtr> revisions, std::vector<kube::ObjectPtr> pods,
                                   const std::string& progressing = "ReplicaSetUpdated", Duration available_for = 2h) {
    EvidenceSnapshot s;
    s.target.key = {ClusterId{"eu1"}, "shop", "Deployment", "apps", "cart"};
    s.target.uid = "uid-cart";
    s.taken_at = noon;
    s.object = seen(object("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop, uid: uid-cart, creationTimestamp: \"" +
                           ago(48h) + "\"}\nspec:\n  replicas: 2\n  selector: {matchLabels: {app: cart}}\n  template:\n" + newest.yaml(4) +
                           "status:\n  conditions:\n    - {type: Available, status: \"True\", lastTransitionTime: \"" + ago(available_for) +
                           "\"}\n    - {type: Progressing, status: \"True\", reason: " + progressing + "}\n"));
    s.revisions = list(std::move(revisions));
    s.pods = list(std::move(pods));
    s.all_pods = s.pods;
    s.nodes = list({});
    s.events_known = s.upstreams_known = s.access_known = s.history_known = true;
    s.quotas = s.hpas = s.claims = list({});
    return s;
}

struct Tables {
    FaultCatalog faults;
    SignalMap signals;
    static const Tables& get() {
        static const Tables tables = [] {
            auto f = FaultCatalog::builtin();
            auto m = SignalMap::builtin();
            if (!f) throw std::runtime_error(f.error().message);
            if (!m) throw std::runtime_error(m.error().message);
            return Tables{*std::move(f), *std::move(m)};
        }();
        return tables;
    }
};

inline Diagnosis diagnose(const EvidenceSnapshot& s, std::vector<std::string> alerts) {
    const auto& t = Tables::get();
    return Classifier(t.faults, t.signals, {}).diagnose(facts_of(s, {}), s.target.key.kind, alerts, s.taken_at);
}

/// Workflows with the parameters that the planner knows to fill.
inline std::shared_ptr<const WorkflowDefinition> workflow(std::string_view id) {
    auto w = std::make_shared<WorkflowDefinition>();
    w->id = id;
    w->risk = id == "diagnose-and-notify" ? Risk::none : Risk::medium;
    const auto param = [&](const char* name, const char* type, bool optional, json::Value fallback = nullptr) {
        ParamSpec p;
        p.name = name;
        p.type = type;
        p.optional = optional;
        p.fallback = std::move(fallback);
        w->params.push_back(std::move(p));
    };
    if (id.starts_with("rollback-")) param("to_revision", "string", false, "previous");
    if (id == "restore-config") param("name", "string", false), param("data", "object", false), param("hash", "string", true);
    if (id == "clear-taint") param("node", "string", false), param("key", "string", false), param("effect", "string", false, "NoSchedule");
    if (id == "fix-unbound-pvc") param("claim", "string", false), param("storage_class", "string", true);
    if (id == "raise-memory") param("container", "string", true), param("factor", "number", false, 1.5);
    if (id == "raise-hpa-max") param("max", "int", false);
    if (id == "refresh-pull-secret") param("name", "string", false), param("source", "string", true);
    return w;
}

inline PlanResult plan(const EvidenceSnapshot& s, std::vector<std::string> alerts, std::vector<std::string> tried = {}, json::Object policy = {}) {
    PlanInput input;
    input.facts = facts_of(s, {});
    input.diagnosis = diagnose(s, std::move(alerts));
    input.target = s.target;
    input.cluster = s.target.key.cluster;
    input.environment = Environment::staging;
    input.tried = std::move(tried);
    input.policy = std::move(policy);
    return Planner(Tables::get().faults, workflow, {}).plan(input);
}

}  // namespace kn::decision::testing
