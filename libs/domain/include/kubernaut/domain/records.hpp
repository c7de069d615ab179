#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kubernaut/domain/enums.hpp"
#include "kubernaut/domain/keys.hpp"
#include "kubernaut/json/json.hpp"

namespace kn {

/// One mutating (or dry-run) action, for history: who, what, when, where, why, before and after.
struct ActionRecord {
    ActionId id;
    ClusterId cluster;
    ExecutionId execution;
    std::optional<IncidentId> incident;
    std::string action, workflow, fault_class, requested_by, why;
    ObjectRef target;
    json::Object params;
    json::Value pre_image, post_image;
    std::vector<std::string> calls;  ///< "PATCH deployments shop/cart → 200"
    std::string outcome;             ///< intent, succeeded, failed, ambiguous, compensated, dry_run
    std::string error;
    bool dry_run = false, compensation = false;
    Instant started_at{};
    std::optional<Instant> finished_at;
};

/// One link of a cluster's hash chain.
struct AuditRecord {
    ClusterId cluster;
    std::int64_t seq = 0;  ///< gapless, from 1; given by the store
    Instant at{};
    std::string actor, verb, object, reason;
    json::Object details;
    std::string prev_hash, hash;  ///< given by the store
};

struct Approval {
    ApprovalId id;
    ClusterId cluster;
    IncidentId incident;
    std::string plan_hash, workflow;
    ObjectKey target;
    Risk risk = Risk::none;
    int needed = 1;
    struct Vote {
        std::string by;
        bool granted = true;
        std::string comment;
        Instant at{};
    };
    std::vector<Vote> votes;
    ApprovalState state = ApprovalState::pending;
    std::string reason;
    Instant asked_at{}, expires_at{};
};

struct Assessment {
    AssessmentId id;
    ClusterId cluster;
    Environment environment = Environment::unknown;
    ExecutionId execution;
    std::optional<IncidentId> incident;
    std::string incident_key, workflow, fault_class;
    ObjectKey target;
    AssessmentStage stage = AssessmentStage::final;
    Instant action_at{}, due_at{};
    std::optional<Instant> done_at;
    Truth resolved = Truth::unknown, came_back = Truth::unknown, side_effects = Truth::unknown, drift = Truth::unknown;
    std::optional<double> metric;  ///< M in [0,1]; none = unknown
    std::optional<double> score;   ///< NULL = unassessed, never 0
    double confidence = 0;
    std::optional<double> would_have_healed;  ///< H
    std::optional<double> uplift;             ///< u = score (1 - H)
    bool attributable = true;
    std::string note;
    int looks = 0;                      ///< times it was looked at; the store takes each look once
    std::optional<Instant> settled_at;  ///< when the quick look found the world settled
    std::optional<Instant> recheck_at;  ///< the look at recurrence is due; none = done with it
    std::string worse;                  ///< what the quick look found worse than before; "" = nothing
    bool counted = false;               ///< its uplift is in the posteriors
};

/// Weighted success and failure sums of one workflow on one fault class, for a cluster, `_env/x` or `_fleet`.
struct Posterior {
    ClusterId scope;
    std::string workflow, fault_class;
    double a = 0, b = 0;
    std::int64_t n = 0;
    Instant updated_at{};
    std::int64_t version = 0;
};

/// One untreated episode, for the survival curve of a class: how long it lasted and whether it ended by itself.
struct UntreatedSpell {
    ClusterId cluster;
    Environment environment = Environment::unknown;
    std::string fault_class;
    Duration entered{0}, left{0};  ///< age at which observation began and ended
    bool healed = false;           ///< false = censored (treated or still open)
};

struct Pause {
    ClusterId cluster;  ///< `_fleet` for all
    std::string ns;     ///< "" for the whole cluster
    std::string by, reason;
    Instant since{};
    std::optional<Instant> until;
};

struct ClusterRecord {
    ClusterId id;
    std::string uid;  ///< of Namespace kube-system; "" until first seen
    std::string kind = "other";
    Environment environment = Environment::unknown;
    std::vector<std::pair<std::string, std::string>> labels;
    AdminState admin = AdminState::active;
    Mode mode = Mode::shadow;
    ClusterVerdict verdict = ClusterVerdict::unknown;
    std::string verdict_reason;
    Instant verdict_since{};
    std::int64_t epoch = 0;
    std::string server_version;
};

/// What an object looked like, for "what changed and when". Secrets: hash and key names only.
struct ObjectSnapshot {
    ObjectKey key;
    std::string uid, hash;  ///< hash of the content that behaviour depends on (spec; data for ConfigMaps)
    json::Value spec;       ///< null for Secrets
    std::string manager;    ///< last field manager
    Instant taken_at{};
    std::optional<Instant> deleted_at;  ///< the object was seen deleted then
};

}  // namespace kn
