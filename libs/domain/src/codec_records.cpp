#include "codec_io.hpp"

namespace kn {

using codec::Is;

template <class Io, Is<AuditRecord> T> void members(Io& io, T& record) {
    io("cluster", record.cluster);
    io("seq", record.seq);
    io("at", record.at);
    io("actor", record.actor);
    io("verb", record.verb);
    io("object", record.object);
    io("reason", record.reason);
    io("details", record.details);
    io("prev_hash", record.prev_hash);
    io("hash", record.hash);
}

template <class Io, Is<Approval::Vote> T> void members(Io& io, T& vote) {
    io("by", vote.by);
    io("granted", vote.granted);
    io("comment", vote.comment);
    io("at", vote.at);
}

template <class Io, Is<Approval> T> void members(Io& io, T& approval) {
    io("id", approval.id);
    io("cluster", approval.cluster);
    io("incident", approval.incident);
    io("plan_hash", approval.plan_hash);
    io("workflow", approval.workflow);
    io("target", approval.target);
    io("risk", approval.risk);
    io("needed", approval.needed);
    io("votes", approval.votes);
    io("state", approval.state);
    io("reason", approval.reason);
    io("asked_at", approval.asked_at);
    io("expires_at", approval.expires_at);
}

template <class Io, Is<Assessment> T> void members(Io& io, T& assessment) {
    io("id", assessment.id);
    io("cluster", assessment.cluster);
    io("environment", assessment.environment);
    io("execution", assessment.execution);
    io("incident", assessment.incident);
    io("incident_key", assessment.incident_key);
    io("workflow", assessment.workflow);
    io("fault_class", assessment.fault_class);
    io("target", assessment.target);
    io("stage", assessment.stage);
    io("action_at", assessment.action_at);
    io("due_at", assessment.due_at);
    io("done_at", assessment.done_at);
    io("resolved", assessment.resolved);
    io("came_back", assessment.came_back);
    io("side_effects", assessment.side_effects);
    io("drift", assessment.drift);
    io("metric", assessment.metric);
    io("score", assessment.score);
    io("confidence", assessment.confidence);
    io("would_have_healed", assessment.would_have_healed);
    io("uplift", assessment.uplift);
    io("attributable", assessment.attributable);
    io("note", assessment.note);
    io("looks", assessment.looks);
    io("settled_at", assessment.settled_at);
    io("recheck_at", assessment.recheck_at);
    io("worse", assessment.worse);
    io("counted", assessment.counted);
}

template <class Io, Is<Posterior> T> void members(Io& io, T& posterior) {
    io("scope", posterior.scope);
    io("workflow", posterior.workflow);
    io("fault_class", posterior.fault_class);
    io("a", posterior.a);
    io("b", posterior.b);
    io("n", posterior.n);
    io("updated_at", posterior.updated_at);
    io("version", posterior.version);
}

template <class Io, Is<UntreatedSpell> T> void members(Io& io, T& spell) {
    io("cluster", spell.cluster);
    io("environment", spell.environment);
    io("fault_class", spell.fault_class);
    io("entered_ms", spell.entered);
    io("left_ms", spell.left);
    io("healed", spell.healed);
}

template <class Io, Is<Pause> T> void members(Io& io, T& pause) {
    io("cluster", pause.cluster);
    io("ns", pause.ns);
    io("by", pause.by);
    io("reason", pause.reason);
    io("since", pause.since);
    io("until", pause.until);
}

template <class Io, Is<ClusterRecord> T> void members(Io& io, T& cluster) {
    io("id", cluster.id);
    io("uid", cluster.uid);
    io("kind", cluster.kind);
    io("environment", cluster.environment);
    io("labels", cluster.labels);
    io("admin", cluster.admin);
    io("mode", cluster.mode);
    io("verdict", cluster.verdict);
    io("verdict_reason", cluster.verdict_reason);
    io("verdict_since", cluster.verdict_since);
    io("epoch", cluster.epoch);
    io("server_version", cluster.server_version);
}

template <class Io, Is<ObjectSnapshot> T> void members(Io& io, T& snapshot) {
    io("key", snapshot.key);
    io("uid", snapshot.uid);
    io("hash", snapshot.hash);
    io("spec", snapshot.spec);
    io("manager", snapshot.manager);
    io("taken_at", snapshot.taken_at);
    io("deleted_at", snapshot.deleted_at);
}

KN_DOCUMENT(AuditRecord, "audit record")
KN_DOCUMENT(Approval, "approval")
KN_DOCUMENT(Assessment, "assessment")
KN_DOCUMENT(Posterior, "posterior")
KN_DOCUMENT(UntreatedSpell, "untreated spell")
KN_DOCUMENT(Pause, "pause")
KN_DOCUMENT(ClusterRecord, "cluster")
KN_DOCUMENT(ObjectSnapshot, "object snapshot")

}  // namespace kn
