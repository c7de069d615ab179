#pragma once

#include "kubernaut/base/time.hpp"
#include "kubernaut/json/json.hpp"

namespace kn::decision {

/// The ages in the rules of the fault classes. Parameters, because a test on a real control plane cannot wait a day: it shortens them and says so.
struct RuleAges {
    Duration good_revision = 5min;      ///< an older revision counts as good when it was Available this long
    Duration rollout_to_fault = 15min;  ///< a fault that begins this soon after a rollout belongs to it
    Duration config_to_fault = 30min;   ///< the same for a changed ConfigMap or Secret
    Duration change_to_fault = 24h;     ///< the same for bindings, policies and custom resources
    Duration steady = 24h;              ///< "own template and config unchanged"
    Duration node_not_ready = 5min;
    Duration lease_stale = 40s;
    Duration pvc_pending = 2min;
    Duration no_endpoints = 60s;
    Duration stuck = 10min;  ///< a StatefulSet or DaemonSet that makes no progress
    Duration misscheduled = 15min;
    Duration litter = 10min;         ///< a Failed pod older than this
    Duration hpa_maxed = 2min;       ///< after the alert's own `for`
    Duration release_to_fault = 1h;  ///< Helm, GitOps
    Duration terminating = 5min;     ///< beyond the grace period
};

struct DecisionOptions {
    double p_auto = 0.80;  ///< plan
    double p_ask = 0.50;   ///< plan with approval; below: diagnose-and-notify
    double margin = 0.15;
    Duration correlate = 5s, correlate_storm = 30s;
    int storm_per_minute = 20;
    Duration status_age = 30s;         ///< oldest cache that may decide; older = read live
    Duration metric_age = 90s;         ///< oldest last sample of a series that may decide
    bool watch = true, events = true;  ///< findings of our own watches and Kubernetes Events are signals
    Duration evidence_gone = 2min;     ///< evidence gone this long = resolved
    Duration reopen = 5min;            ///< the same key within this time reopens
    Duration verify_limit = 10min;     ///< after an execution; then the next candidate
    Duration look_every = 10s;         ///< at incidents that wait for the world
    Duration linked_limit = 30min;
    Duration held_limit = 4h;
    Duration approval_ttl = 15min;
    Duration confirm = 10s;      ///< second read of a watch signal
    Duration call_timeout = 5s;  ///< one read of the cluster
    Duration store_timeout = 3s;
    int ineffective_limit = 3;            ///< executions without effect in 4 h: escalated
    Duration settle = 60s;                ///< a fault without a plan is looked at again this long before people are told
    Duration unknown_crash_limit = 8min;  ///< a crash that nothing explains may heal by itself: people are told after this
    Duration incomplete_limit = 10min;    ///< the same while evidence for a named class is still growing (a node not yet 5 minutes silent)
    int batch = 200;
    json::Object policy{};  ///< settings for plans, seen by conditions as policy.*: secret_sources (an allow-list is configured), node_group
    RuleAges ages{};
};

}  // namespace kn::decision
