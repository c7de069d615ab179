#include <gtest/gtest.h>

#include "contract.hpp"

namespace kn::actions::testing {
namespace {

std::string container(std::string_view image, std::string_view more = "") {
    return "{name: app, image: " + std::string(image) + ", resources: {limits: {memory: 512Mi, cpu: 500m}, requests: {memory: 512Mi, cpu: 100m}}" +
           std::string(more) + "}";
}

std::string pod(std::string_view name, std::string_view owner_kind, std::string_view owner, std::string_view image, bool ready,
                std::string_view node = "n1", std::string_view labels = "app: cart") {
    const std::string text(ready ? "True" : "False");
    const bool apps = owner_kind != "Job";
    std::string yaml =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + std::string(name) + "\n  namespace: shop\n  labels: {" + std::string(labels) + "}\n";
    yaml += "  ownerReferences: [{apiVersion: " + std::string(apps ? "apps/v1" : "batch/v1") + ", kind: " + std::string(owner_kind) +
            ", name: " + std::string(owner) + ", uid: \"@" + std::string(owner_kind) + "/" + std::string(owner) + "\", controller: true}]\n";
    yaml += "spec: {nodeName: " + std::string(node) + ", containers: [" + container(image) + "]}\n";
    yaml +=
        "status: {phase: Running, conditions: [{type: Ready, status: \"" + text +
        "\"}], containerStatuses: [{name: app, image: x, imageID: y, restartCount: " + (ready ? "0" : "7") +
        ", ready: " + (ready ? "true" : "false") +
        ", started: true, state: " + (ready ? "{running: {startedAt: \"2025-01-01T00:00:00Z\"}}" : "{waiting: {reason: CrashLoopBackOff}}") +
        (ready
             ? ""
             : ", lastState: {terminated: {exitCode: 1, reason: Error, startedAt: \"2025-01-01T00:00:00Z\", finishedAt: \"2025-01-01T00:00:01Z\"}}") +
        "}]}\n---\n";
    return yaml;
}

std::string pod_template(std::string_view image, std::string_view hash = "") {
    return "{metadata: {labels: {app: cart" + (hash.empty() ? std::string{} : ", pod-template-hash: " + std::string(hash)) +
           "}}, spec: {containers: [" + container(image, ", livenessProbe: {httpGet: {path: /, port: 80}, timeoutSeconds: 1, failureThreshold: 3}") +
           "]}}";
}

std::string replica_set(std::string_view name, int revision, std::string_view image, std::string_view hash, int replicas) {
    return "apiVersion: apps/v1\nkind: ReplicaSet\nmetadata:\n  name: " + std::string(name) +
           "\n  namespace: shop\n  labels: {app: cart, pod-template-hash: " + std::string(hash) +
           "}\n  annotations: {deployment.kubernetes.io/revision: \"" + std::to_string(revision) +
           "\"}\n  ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: cart, uid: \"@Deployment/cart\", controller: true}]\nspec: {replicas: " +
           std::to_string(replicas) + ", selector: {matchLabels: {app: cart, pod-template-hash: " + std::string(hash) +
           "}}, template: " + pod_template(image, hash) + "}\n---\n";
}

/// A rollout of app:2 that crashes while app:1 still serves.
const std::string cart =
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: cart, namespace: shop, labels: {app: cart}}\nspec: {replicas: 3, selector: {matchLabels: {app: cart}}, template: " +
    pod_template("app:2") + "}\nstatus: {observedGeneration: 1, replicas: 4, updatedReplicas: 1, readyReplicas: 3, availableReplicas: 3}\n---\n" +
    replica_set("cart-v1", 1, "app:1", "v1", 3) + replica_set("cart-v2", 2, "app:2", "v2", 1) +
    pod("cart-v1-a", "ReplicaSet", "cart-v1", "app:1", true, "n1", "app: cart, pod-template-hash: v1") +
    pod("cart-v1-b", "ReplicaSet", "cart-v1", "app:1", true, "n2", "app: cart, pod-template-hash: v1") +
    pod("cart-v1-c", "ReplicaSet", "cart-v1", "app:1", true, "n3", "app: cart, pod-template-hash: v1") +
    pod("cart-v2-a", "ReplicaSet", "cart-v2", "app:2", false, "n1", "app: cart, pod-template-hash: v2");

std::string revisioned(std::string_view kind, std::string_view extra) {
    const std::string name = "db", k(kind);
    const auto revision = [&](int number, std::string_view image) {
        return "apiVersion: apps/v1\nkind: ControllerRevision\nmetadata:\n  name: db-r" + std::to_string(number) +
               "\n  namespace: shop\n  labels: {app: cart, controller-revision-hash: db-r" + std::to_string(number) +
               "}\n  ownerReferences: [{apiVersion: apps/v1, kind: " + k + ", name: db, uid: \"@" + k +
               "/db\", controller: true}]\nrevision: " + std::to_string(number) +
               "\ndata: {spec: {template: {$patch: replace, metadata: {labels: {app: cart}}, spec: {dnsPolicy: ClusterFirst, restartPolicy: Always, " +
               "schedulerName: default-scheduler, securityContext: {}, terminationGracePeriodSeconds: 30, containers: [{name: app, image: \"" +
               std::string(image) +
               "\", imagePullPolicy: IfNotPresent, terminationMessagePath: /dev/termination-log, terminationMessagePolicy: File, resources: {limits: {memory: 512Mi, cpu: 500m}, requests: {memory: 512Mi, cpu: 100m}}}]}}}}\n---\n";
    };
    return "apiVersion: apps/v1\nkind: " + k +
           "\nmetadata: {name: db, namespace: shop}\nspec: {selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {containers: [" +
           container("db:2") + "]}}" + std::string(extra) + "}\n---\n" + revision(1, "db:1") + revision(2, "db:2") +
           pod("db-1", kind, "db", "db:1", true, "n1", "app: cart, controller-revision-hash: db-r1") +
           pod("db-2", kind, "db", "db:1", true, "n2", "app: cart, controller-revision-hash: db-r1") +
           pod("db-0", kind, "db", "db:2", false, "n3", "app: cart, controller-revision-hash: db-r2");
}

const std::string stateful_set = revisioned("StatefulSet", ", replicas: 3, serviceName: db");
const std::string daemon_set = revisioned("DaemonSet", "");

const std::string image_change = R"({"spec":{"template":{"spec":{"containers":[{"name":"app","image":"app:3"}]}}}})";
const std::string limit_change =
    R"({"spec":{"template":{"spec":{"containers":[{"name":"app","image":"app:2","resources":{"limits":{"memory":"600Mi","cpu":"600m"},"requests":{"memory":"600Mi","cpu":"100m"}}}]}}}})";

const std::string hpa = R"(apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: cart, namespace: shop}
spec:
  minReplicas: 1
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: cart}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
status: {currentReplicas: 3, desiredReplicas: 3, conditions: [{type: ScalingLimited, status: "True", reason: TooManyReplicas, message: m}]}
---
)";

const std::string pdb = R"(apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: shop}
spec: {minAvailable: 3, selector: {matchLabels: {app: cart}}}
status: {observedGeneration: 1, disruptionsAllowed: 0, currentHealthy: 3, desiredHealthy: 3, expectedPods: 3}
---
)";

const std::string storage_class = R"(apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: example.com/disk
allowVolumeExpansion: true
---
)";

std::string claim(std::string_view klass, bool bound) {
    return "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop, labels: {app: cart}}\nspec: {accessModes: [ReadWriteOnce], storageClassName: " +
           std::string(klass) + ", resources: {requests: {storage: 10Gi}}" + (bound ? ", volumeName: pv-1" : "") +
           "}\nstatus: {phase: " + (bound ? "Bound" : "Pending") + (bound ? ", capacity: {storage: 10Gi}" : "") + "}\n---\n";
}

const std::string config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: conf, namespace: shop}\ndata: {mode: broken, extra: x}\n---\n";

std::string job(std::string_view name, std::string_view condition, std::string_view extra = "", std::string_view owner = "") {
    std::string yaml = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: " + std::string(name) +
                       "\n  namespace: shop\n  annotations: {kubernaut.io/rerun: \"true\"}\n" + std::string(owner);
    yaml += "spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: \"job:1\"}]}}" + std::string(extra) +
            "}\nstatus: {startTime: \"2025-01-01T00:00:00Z\"";
    if (!condition.empty()) yaml += ", failed: 1, conditions: [{type: " + std::string(condition) + ", status: \"True\"}]";
    return yaml + "}\n---\n";
}

const std::string cron_job = R"(apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "job:1"}]}}}}}
---
)";

const std::string role = R"(apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: shop}
rules: [{apiGroups: [""], resources: [configmaps], verbs: [get, list]}]
---
)";

const std::string binding =
    R"({"binding": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "reader", "namespace": "shop", "uid": "old", "resourceVersion": "1"},
  "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}, "subjects": [{"kind": "ServiceAccount", "name": "cart", "namespace": "shop"}]}})";

// {"auths":{"registry.example.com":{"auth":"dTpw"}}}
const std::string pull_source = R"(apiVersion: v1
kind: Secret
metadata: {name: pull-source, namespace: vault}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: eyJhdXRocyI6eyJyZWdpc3RyeS5leGFtcGxlLmNvbSI6eyJhdXRoIjoiZFRwdyJ9fX0=}
---
)";
const std::string old_pull = R"(apiVersion: v1
kind: Secret
metadata: {name: pull, namespace: shop}
type: kubernetes.io/dockerconfigjson
data: {.dockerconfigjson: eyJhdXRocyI6e319}
---
)";

const std::string service =
    "apiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\nspec: {selector: {app: kart}, ports: [{port: 80}]}\n---\n";

void cordon(World& world) {
    world.patch("Node/n1",
                R"({"spec":{"unschedulable":true},"metadata":{"annotations":{"kubernaut.io/cordoned-by":"exe_01J0000000000000000000TEST"}}})");
}

void start_deleting(World& world, const std::string& object) {
    const auto key = key_from(object);
    const auto done = world.run(world.human->remove(kube::resources::pods, key.ns, key.name, {.grace_seconds = 1}, Deadline::never()));
    if (!done) throw std::runtime_error("deleting " + object + ": " + done.error().describe());
}

std::vector<ActionCase> make_cases() {
    std::vector<ActionCase> cases;
    const auto add = [&cases](ActionCase each) { cases.push_back(std::move(each)); };
    const std::string deployment = "Deployment.apps/shop/cart";

    add({.action = "rollback_deployment",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"to_revision": "last"})", "params.to_revision"}},
         .meddle = image_change});
    add({.action = "rollback_deployment", .objects = cart, .target = deployment, .params = R"({"to_revision": 1})", .meddle = image_change});
    add({.action = "rollback_statefulset",
         .objects = stateful_set,
         .target = "StatefulSet.apps/shop/db",
         .bad = {{R"({"to_revision": [1]})", "params.to_revision"}},
         .meddle = image_change});
    add({.action = "rollback_daemonset",
         .objects = daemon_set,
         .target = "DaemonSet.apps/shop/db",
         .bad = {{R"({"to_revision": ""})", "params.to_revision"}},
         .meddle = image_change});
    add({.action = "pause_rollout",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"object": "Deployment.apps/other/cart"})", "params.object"}},
         .meddle = R"({"spec":{"paused":true},"metadata":{"annotations":{"kubernaut.io/paused-by":"me"}}})"});
    add({.action = "resume_rollout",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"object": 7.5})", "params.object"}},
         .meddle = R"({"metadata":{"annotations":{"kubernaut.io/paused-by":"me"}}})",
         .after_setup = [](World& world) {
             world.patch("Deployment.apps/shop/cart", R"({"spec":{"paused":true},"metadata":{"annotations":{"kubernaut.io/paused-by":"exe_1"}}})");
         }});
    add({.action = "restart_workload",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"allow_interruption": "yes"})", "params.allow_interruption"}},
         .meddle = R"({"spec":{"template":{"metadata":{"annotations":{"kubernaut.io/restarted-at":"x"}}}}})"});
    add({.action = "restart_pod",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"select": "some"})", "params.select"}, {R"({"pods": []})", "params.pods"}},
         .object = "Pod/shop/cart-v2-a"});
    add({.action = "evict_pod",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"deadline": "10s"})", "params.deadline"}, {R"({"max": 0})", "params.max"}},
         .object = "Pod/shop/cart-v2-a"});
    add({.action = "force_delete_pod",
         .objects = cart + R"(apiVersion: v1
kind: Pod
metadata: {name: stuck, namespace: shop}
spec: {nodeName: gone, containers: [{name: app, image: "app:1"}]}
)",
         .target = "Pod/shop/stuck",
         .bad = {{R"({"object": "Pod"})", "params.object"}},
         .after_setup = [](World& world) {
             start_deleting(world, "Pod/shop/stuck");  // no kubelet will ever confirm it
             world.loop.run_for(2s);
         }});
    add({.action = "delete_failed_pods",
         .objects = cart + pod("cart-old", "ReplicaSet", "cart-v1", "app:1", false, "n1", "app: cart, pod-template-hash: v1"),
         .target = "Node/n1",
         .bad = {{R"({"max": 201})", "params.max"}},
         .object = "Pod/shop/cart-old",
         .after_setup = [](World& world) { world.patch("Pod/shop/cart-old", R"({"status":{"phase":"Failed"}})", "status"); }});
    add({.action = "scale_workload",
         .objects = cart,
         .target = deployment,
         .params = R"({"replicas": 5})",
         .bad = {{R"({"replicas": -1})", "params.replicas"},
                 {R"({"replicas": 10})", "params.replicas"},
                 {R"({"replicas": null})", "params.replicas"},
                 {R"({"replicas": "5"})", "params.replicas"}},
         .meddle = R"({"spec":{"replicas":2}})"});
    add({.action = "raise_memory_limit",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"factor": 3})", "params.factor"}, {R"({"container": "none"})", "params.container"}, {R"({"cap": "much"})", "params.cap"}},
         .meddle = limit_change});
    add({.action = "raise_cpu_limit",
         .objects = cart,
         .target = deployment,
         .bad = {{R"({"factor": 1.0})", "params.factor"}},
         .meddle = limit_change});
    add({.action = "resize_pod_in_place", .objects = cart, .target = "Pod/shop/cart-v1-a", .bad = {{R"({"resource": "disk"})", "params.resource"}}});
    add({.action = "patch_probe",
         .objects = cart,
         .target = deployment,
         .params = R"({"failure_threshold": 10, "timeout": 5})",
         .bad = {{R"({"failure_threshold": 31})", "params.failure_threshold"},
                 {R"({"failure_threshold": 2})", "params.failure_threshold"},
                 {R"({"probe": "exec"})", "params.probe"}},
         .meddle =
             R"({"spec":{"template":{"spec":{"containers":[{"name":"app","image":"app:2","livenessProbe":{"httpGet":{"path":"/","port":80},"failureThreshold":4}}]}}}})"});
    add({.action = "patch_hpa",
         .objects = cart + hpa,
         .target = "HorizontalPodAutoscaler.autoscaling/shop/cart",
         .params = R"({"max": 5})",
         .bad = {{R"({"max": 7})", "params.max"}, {R"({"min": 6})", "params.min"}},
         .meddle = R"({"spec":{"maxReplicas":4}})"});
    add({.action = "patch_hpa",
         .objects = cart + hpa,
         .target = deployment,
         .object = "HorizontalPodAutoscaler.autoscaling/shop/cart",
         .meddle = R"({"spec":{"maxReplicas":4}})"});
    add({.action = "patch_pdb",
         .objects = cart + pdb,
         .target = "PodDisruptionBudget.policy/shop/cart",
         .params = R"({"max_unavailable": "1"})",
         .bad = {{R"({"ttl": "2h"})", "params.ttl"},
                 {R"({"max_unavailable": "one"})", "params.max_unavailable"},
                 {R"({"min_available": "1"})", "params.max_unavailable"}},
         .meddle = R"({"spec":{"minAvailable":1,"maxUnavailable":null}})"});
    add({.action = "patch_pdb", .objects = cart + pdb, .target = "PodDisruptionBudget.policy/shop/cart", .meddle = R"({"spec":{"minAvailable":1}})"});
    add({.action = "patch_resource_quota",
         .objects = "apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: q, namespace: shop}\nspec: {hard: {requests.memory: 4Gi, pods: \"20\"}}\n",
         .target = "ResourceQuota/shop/q",
         .params = R"({"resource": "requests.memory"})",
         .bad = {{R"({"resource": "gpu"})", "params.resource"}, {R"({"hard": "8Gi"})", "params.hard"}, {R"({"hard": "1Gi"})", "params.hard"}},
         .meddle = R"({"spec":{"hard":{"requests.memory":"6Gi"}}})"});
    add({.action = "cordon_node",
         .objects = cart,
         .target = "Node/n1",
         .bad = {{R"({"object": "Node/a/b"})", "params.object"}},
         .meddle = R"({"metadata":{"annotations":{"kubernaut.io/cordoned-by":"me"}}})"});
    add({.action = "cordon_node",
         .objects = cart,
         .target = "Pod/shop/cart-v2-a",
         .object = "Node/n1",
         .meddle = R"({"metadata":{"annotations":{"kubernaut.io/cordoned-by":"me"}}})"});
    add({.action = "uncordon_node",
         .objects = cart,
         .target = "Node/n1",
         .bad = {{R"({"object": "/"})", "params.object"}},
         .meddle = R"({"metadata":{"annotations":{"kubernaut.io/cordoned-by":"me"}}})",
         .after_setup = cordon});
    add({.action = "drain_node",
         .objects = cart,
         .target = "Node/n1",
         .bad = {{R"({"parallel": 6})", "params.parallel"}, {R"({"deadline": "soon"})", "params.deadline"}},
         .after_setup = cordon,
         .gives_back_only_the_node = true});
    const auto taint = [](World& world) {
        world.patch("Node/n1", R"({"spec":{"taints":[{"key":"team","value":"a","effect":"NoSchedule"},{"key":"other","effect":"NoSchedule"}]}})");
    };
    add({.action = "remove_taint",
         .objects = cart,
         .target = "Node/n1",
         .params = R"({"key": "team"})",
         .bad = {{R"({"effect": "Never"})", "params.effect"}, {R"({"key": null})", "params.key"}},
         .meddle = R"({"spec":{"taints":[{"key":"team","value":"b","effect":"NoSchedule"}]}})",
         .after_setup = taint});
    add({.action = "add_taint",
         .objects = cart,
         .target = "Node/n1",
         .params = R"({"key": "team", "value": "a"})",
         .bad = {{R"({"effect": "NoExecute"})", "params.effect"}},
         .meddle = R"({"spec":{"taints":[{"key":"team","value":"b","effect":"NoSchedule"}]}})"});
    add({.action = "expand_pvc",
         .objects = storage_class + claim("standard", true),
         .target = "PersistentVolumeClaim/shop/data",
         .params = R"({"size": "15Gi"})",
         .bad = {{R"({"size": "30Gi"})", "params.size"}, {R"({"size": "5Gi"})", "params.size"}},
         .meddle = R"({"spec":{"resources":{"requests":{"storage":"12Gi"}}}})"});
    add({.action = "recreate_pvc",
         .objects = storage_class + claim("missing", false),
         .target = "PersistentVolumeClaim/shop/data",
         .bad = {{R"({"storage_class": "nope"})", "params.storage_class"}}});
    add({.action = "restore_configmap",
         .objects = cart + config_map,
         .target = deployment,
         .params = R"({"name": "conf", "data": {"mode": "good"}})",
         .bad = {{R"({"data": {"mode": 1}})", "params.data.mode"}, {R"({"hash": "00"})", "params.hash"}, {R"({"name": null})", "params.name"}},
         .object = "ConfigMap/shop/conf",
         .meddle = R"({"data":{"mode":"other"}})"});
    add({.action = "restore_configmap",
         .objects = cart,
         .target = deployment,
         .params = R"({"name": "conf", "data": {"mode": "good"}})",
         .bad = {{R"({"data": {}})", "params.data"}},
         .object = "ConfigMap/shop/conf",
         .owned = deployment});
    add({.action = "restore_configmap",
         .objects = config_map + "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: last-good, namespace: shop}\ndata: {mode: good}\n",
         .target = "ConfigMap/shop/conf",
         .params = R"({"source": "last-good"})",
         .bad = {{R"({"source": "vault/last-good"})", "params.source"}},
         .meddle = R"({"data":{"mode":"other"}})"});
    add({.action = "restore_role_binding",
         .objects = cart + role,
         .target = deployment,
         .params = binding,
         .bad = {{R"({"binding": {"kind": "Role"}})", "params.binding.kind"}, {R"({"binding": null})", "params.binding"}},
         .object = "RoleBinding.rbac.authorization.k8s.io/shop/reader",
         .owned = deployment});
    add({.action = "copy_secret",
         .objects = cart + pull_source,
         .target = deployment,
         .params = R"({"name": "pull", "registry": "registry.example.com"})",
         .bad = {{R"({"name": 1.5})", "params.name"}},
         .object = "Secret/shop/pull",
         .owned = deployment});
    add({.action = "patch_service_selector",
         .objects = cart + service,
         .target = "Service/shop/cart",
         .bad = {{R"({"selector": {"app": 1}})", "params.selector.app"}},
         .meddle = R"({"spec":{"selector":{"app":"third"}}})"});
    add({.action = "add_network_allow",
         .objects = cart,
         .target = deployment,
         .params = R"({"from": {"app": "web"}, "port": 80})",
         .bad = {{R"({"port": 0})", "params.port"}, {R"({"from": {}})", "params.from"}},
         .owned = deployment});
    add({.action = "rerun_job",
         .objects = job("work", "Failed"),
         .target = "Job.batch/shop/work",
         .bad = {{R"({"object": "Job.batch/shop/"})", "params.object"}}});
    add({.action = "delete_job",
         .objects = job("work", "Complete"),
         .target = "Job.batch/shop/work",
         .bad = {{R"({"object": "x"})", "params.object"}}});
    add({.action = "trigger_cronjob", .objects = cron_job, .target = "CronJob.batch/shop/nightly", .bad = {{R"({"object": "x"})", "params.object"}}});
    add({.action = "suspend_cronjob", .objects = cron_job, .target = "CronJob.batch/shop/nightly", .bad = {{R"({"suspend": 1})", "params.suspend"}}});
    add({.action = "annotate_target",
         .objects = cart,
         .target = deployment,
         .params = R"({"key": "kubernaut.io/note", "value": "x"})",
         .bad = {{R"({"key": "example.com/x"})", "params.key"}},
         .meddle = R"({"metadata":{"annotations":{"kubernaut.io/note":"y"}}})"});
    return cases;
}

}  // namespace

const std::vector<ActionCase>& action_cases() {
    static const std::vector<ActionCase> cases = make_cases();
    return cases;
}

}  // namespace kn::actions::testing
