#include "codec_io.hpp"

namespace kn {

using codec::Is;

template <class Io, Is<Execution> T> void members(Io& io, T& execution) {
    io("id", execution.id);
    io("cluster", execution.cluster);
    io("incident", execution.incident);
    io("plan", execution.plan);
    io("definition", execution.definition);
    io("context", execution.context);
    io("state", execution.state);
    io("dry_run", execution.dry_run);
    io("requested_by", execution.requested_by);
    io("error", execution.error);
    io("reason", execution.reason);
    io("owner", execution.owner);
    io("epoch", execution.epoch);
    io("lease_until", execution.lease_until);
    io("wake_at", execution.wake_at);
    io("cancel_requested", execution.cancel_requested);
    io("cancel_by", execution.cancel_by);
    io("kills", execution.kills);
    io("created_at", execution.created_at);
    io("updated_at", execution.updated_at);
    io("started_at", execution.started_at);
    io("finished_at", execution.finished_at);
    io("touched_at", execution.touched_at);
}

template <class Io, Is<Step> T> void members(Io& io, T& step) {
    io("execution", step.execution);
    io("path", step.path);
    io("id", step.id);
    io("kind", step.kind);
    io("action", step.action);
    io("state", step.state);
    io("attempt", step.attempt);
    io("params", step.params);
    io("pre_image", step.pre_image);
    io("output", step.output);
    io("request_digest", step.request_digest);
    io("error", step.error);
    io("error_code", step.error_code);
    io("started_at", step.started_at);
    io("finished_at", step.finished_at);
    io("due_at", step.due_at);
    io("mutating", step.mutating);
    io("compensation", step.compensation);
}

template <class Io, Is<ActionRecord> T> void members(Io& io, T& record) {
    io("id", record.id);
    io("cluster", record.cluster);
    io("execution", record.execution);
    io("incident", record.incident);
    io("action", record.action);
    io("workflow", record.workflow);
    io("fault_class", record.fault_class);
    io("requested_by", record.requested_by);
    io("why", record.why);
    io("target", record.target);
    io("params", record.params);
    io("pre_image", record.pre_image);
    io("post_image", record.post_image);
    io("calls", record.calls);
    io("outcome", record.outcome);
    io("error", record.error);
    io("dry_run", record.dry_run);
    io("compensation", record.compensation);
    io("started_at", record.started_at);
    io("finished_at", record.finished_at);
}

KN_DOCUMENT(Execution, "execution")
KN_DOCUMENT(Step, "step")
KN_DOCUMENT(ActionRecord, "action record")

}  // namespace kn
