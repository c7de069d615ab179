-- Outbox of notifications, dead letters that can be replayed, assessments that are looked at again, and search by correlation.

CREATE TABLE notifications (
    cluster_id TEXT NOT NULL,
    key TEXT NOT NULL,
    channel TEXT NOT NULL,             -- '' = not routed yet
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    tries {int} NOT NULL,
    created_at {int} NOT NULL,
    due_at {int} NOT NULL,
    claim_until {int} NOT NULL,
    settled_at {int},
    error TEXT NOT NULL,
    sent_as TEXT NOT NULL DEFAULT '',  -- equal for what went out in one digest
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, key, channel)
) {strict};
CREATE INDEX notifications_due ON notifications (channel, due_at) WHERE state = 'waiting';
CREATE INDEX notifications_sent ON notifications (channel, settled_at) WHERE state = 'delivered';
CREATE INDEX notifications_id ON notifications (id);
CREATE INDEX notifications_created ON notifications (created_at);

ALTER TABLE dead_letters ADD COLUMN was TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN title TEXT NOT NULL DEFAULT '';
ALTER TABLE dead_letters ADD COLUMN doc TEXT NOT NULL DEFAULT '';
CREATE INDEX dead_letters_id ON dead_letters (id);
CREATE INDEX dead_letters_at ON dead_letters (at, id);

ALTER TABLE assessments ADD COLUMN looks {int} NOT NULL DEFAULT 0;
ALTER TABLE assessments ADD COLUMN recheck_at {int};
CREATE INDEX assessments_recheck ON assessments (recheck_at) WHERE recheck_at IS NOT NULL;

ALTER TABLE incidents ADD COLUMN learned {int} NOT NULL DEFAULT 0;
CREATE INDEX incidents_unlearned ON incidents (closed_at) WHERE is_open = 0 AND learned = 0;

ALTER TABLE audit_log ADD COLUMN verb TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_log ADD COLUMN correlation TEXT NOT NULL DEFAULT '';
CREATE INDEX audit_log_correlation ON audit_log (correlation, at);
CREATE INDEX audit_log_actor ON audit_log (actor, at);

CREATE INDEX actions_execution ON actions (execution_id);
CREATE INDEX actions_actor ON actions (actor, started_at);
CREATE INDEX actions_action ON actions (action, started_at);
CREATE INDEX executions_by_incident ON executions (incident_id) WHERE incident_id IS NOT NULL;
