-- The first schema. Written once for both databases: {int} {real} {blob} are the types, {strict} ends a SQLite table, {by_month(column)} makes a PostgreSQL
-- table partitioned by month of a time in milliseconds (partitions are made ahead by the store; SQLite has none). Statements end with ';' at a line's end.
-- Every primary key begins with the cluster, so that the same schema distributes. Times are milliseconds since 1970, flags 0 and 1, `doc` is the value's JSON.

CREATE TABLE inbox (
    cluster_id TEXT NOT NULL,
    received_at {int} NOT NULL,
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    size {int} NOT NULL,
    body {blob},                       -- NULL when every alert in it was a repeat
    PRIMARY KEY (cluster_id, received_at, id)
) {strict}{by_month(received_at)};

CREATE TABLE signals (
    cluster_id TEXT NOT NULL,
    signal_key TEXT NOT NULL,
    id TEXT NOT NULL,
    arrival {int} NOT NULL,            -- order of arrival
    state TEXT NOT NULL,
    status TEXT NOT NULL,
    alert_fp TEXT NOT NULL,
    incident_id TEXT,
    error TEXT NOT NULL,
    count {int} NOT NULL,
    received_at {int} NOT NULL,
    last_seen {int} NOT NULL,
    size {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, signal_key)
) {strict};
CREATE INDEX signals_pending ON signals (arrival, size) WHERE state = 'pending';
CREATE INDEX signals_arrival ON signals (arrival);
CREATE INDEX signals_incident ON signals (cluster_id, incident_id) WHERE incident_id IS NOT NULL;
CREATE INDEX signals_fingerprint ON signals (cluster_id, alert_fp);

CREATE TABLE incidents (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    version {int} NOT NULL,
    state TEXT NOT NULL,
    is_open {int} NOT NULL,
    severity TEXT NOT NULL,
    fault_class TEXT NOT NULL,
    ns TEXT NOT NULL,
    target TEXT NOT NULL,
    correlation_key TEXT NOT NULL,
    incident_key TEXT NOT NULL,
    opened_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    closed_at {int},
    next_look_at {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX incidents_id ON incidents (id);
CREATE INDEX incidents_correlation ON incidents (cluster_id, correlation_key);
CREATE INDEX incidents_key ON incidents (cluster_id, incident_key);
CREATE INDEX incidents_due ON incidents (next_look_at) WHERE is_open = 1;
CREATE INDEX incidents_open ON incidents (cluster_id, target) WHERE is_open = 1;
CREATE INDEX incidents_target ON incidents (cluster_id, target, opened_at);
CREATE INDEX incidents_opened ON incidents (opened_at, id);

CREATE TABLE approvals (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at {int} NOT NULL,
    expires_at {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX approvals_id ON approvals (id);
CREATE INDEX approvals_state ON approvals (state, asked_at);

CREATE TABLE executions (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    incident_id TEXT,
    workflow TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL,
    is_active {int} NOT NULL,          -- not terminal
    dry_run {int} NOT NULL,
    owner TEXT NOT NULL,
    epoch {int} NOT NULL,
    lease_until {int},
    wake_at {int},
    woken_at {int},                    -- a signal came since the claim
    cancel_requested {int} NOT NULL,
    cancel_by TEXT NOT NULL,
    kills {int} NOT NULL,
    created_at {int} NOT NULL,
    updated_at {int} NOT NULL,
    held TEXT,                         -- budget scopes counted for it, while it is active
    frozen_hash TEXT NOT NULL,
    frozen TEXT NOT NULL,              -- plan, definition and context: written once
    doc TEXT NOT NULL,                 -- the rest
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX executions_id ON executions (id);
CREATE INDEX executions_active ON executions (created_at) WHERE is_active = 1;
CREATE INDEX executions_owner ON executions (owner) WHERE is_active = 1;
CREATE INDEX executions_created ON executions (created_at, id);
CREATE INDEX executions_target ON executions (cluster_id, target, created_at);
CREATE INDEX executions_incident ON executions (cluster_id, incident_id) WHERE incident_id IS NOT NULL;

CREATE TABLE steps (
    cluster_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    path TEXT NOT NULL,
    attempt {int} NOT NULL,
    state TEXT NOT NULL,
    started_at {int},
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, execution_id, path, attempt)
) {strict};

CREATE TABLE execution_signals (
    cluster_id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    seq {int} NOT NULL,
    name TEXT NOT NULL,
    at {int} NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (cluster_id, execution_id, seq)
) {strict};

CREATE TABLE actions (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    id_at {int} NOT NULL,              -- the time inside the id
    started_at {int} NOT NULL,
    execution_id TEXT NOT NULL,
    action TEXT NOT NULL,
    workflow TEXT NOT NULL,
    fault_class TEXT NOT NULL,
    actor TEXT NOT NULL,
    target TEXT NOT NULL,
    dry_run {int} NOT NULL,
    outcome TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id, id_at)
) {strict}{by_month(id_at)};
CREATE INDEX actions_target ON actions (cluster_id, target, started_at);
CREATE INDEX actions_workflow ON actions (workflow, fault_class, started_at);
CREATE INDEX actions_started ON actions (started_at, id);

CREATE TABLE locks (
    cluster_id TEXT NOT NULL,
    object_key TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    holder_cluster TEXT NOT NULL,
    until {int} NOT NULL,
    PRIMARY KEY (cluster_id, object_key)
) {strict};
CREATE INDEX locks_execution ON locks (execution_id);

CREATE TABLE cooldowns (
    cluster_id TEXT NOT NULL,
    key TEXT NOT NULL,
    until {int} NOT NULL,
    PRIMARY KEY (cluster_id, key)
) {strict};

CREATE TABLE budgets (
    cluster_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    in_flight {int} NOT NULL,
    starts TEXT NOT NULL,              -- "minute:count ..." of the last hour
    PRIMARY KEY (cluster_id, scope)
) {strict};

CREATE TABLE dead_letters (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};

CREATE TABLE assessments (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    execution_id TEXT NOT NULL,
    workflow TEXT NOT NULL,
    fault_class TEXT NOT NULL,
    action_at {int} NOT NULL,
    due_at {int} NOT NULL,
    done_at {int},
    claim_until {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX assessments_due ON assessments (due_at) WHERE done_at IS NULL;
CREATE INDEX assessments_execution ON assessments (execution_id);
CREATE INDEX assessments_action ON assessments (action_at, id);

CREATE TABLE posteriors (
    cluster_id TEXT NOT NULL,
    workflow TEXT NOT NULL,
    fault_class TEXT NOT NULL,
    a {real} NOT NULL,
    b {real} NOT NULL,
    n {int} NOT NULL,
    updated_at {int} NOT NULL,
    version {int} NOT NULL,
    PRIMARY KEY (cluster_id, workflow, fault_class)
) {strict};

CREATE TABLE spells (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    fault_class TEXT NOT NULL,
    environment TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX spells_class ON spells (fault_class, environment, id);

CREATE TABLE clusters (
    cluster_id TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id)
) {strict};

CREATE TABLE pauses (
    cluster_id TEXT NOT NULL,
    ns TEXT NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, ns)
) {strict};

CREATE TABLE object_snapshots (
    cluster_id TEXT NOT NULL,
    object_key TEXT NOT NULL,
    seq {int} NOT NULL,
    ns TEXT NOT NULL,
    hash TEXT NOT NULL,
    is_deleted {int} NOT NULL,
    seen_at {int} NOT NULL,            -- when it was taken, or seen deleted
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, object_key, seq)
) {strict};
CREATE INDEX object_snapshots_ns ON object_snapshots (cluster_id, ns, seen_at);

CREATE TABLE audit_log (
    cluster_id TEXT NOT NULL,
    seq {int} NOT NULL,
    at {int} NOT NULL,
    actor TEXT NOT NULL,
    object TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    doc TEXT NOT NULL,                 -- the canonical JSON that was hashed
    PRIMARY KEY (cluster_id, seq, at)
) {strict}{by_month(at)};
CREATE INDEX audit_log_at ON audit_log (at, cluster_id, seq);

CREATE TABLE audit_heads (
    cluster_id TEXT NOT NULL,
    seq {int} NOT NULL,
    hash TEXT NOT NULL,
    anchored_seq {int} NOT NULL,       -- up to where the _fleet chain vouches for this one
    anchored_at {int} NOT NULL,
    PRIMARY KEY (cluster_id)
) {strict};

CREATE TABLE leases (
    cluster_id TEXT NOT NULL,
    role TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch {int} NOT NULL,
    until {int} NOT NULL,
    PRIMARY KEY (cluster_id, role)
) {strict};

CREATE TABLE health (
    cluster_id TEXT NOT NULL,
    at {int} NOT NULL,
    PRIMARY KEY (cluster_id)
) {strict};
