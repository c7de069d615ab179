-- Patterns, where their analyzers stand, the early warnings that came of them, and who leads the discovery.

CREATE TABLE patterns (
    cluster_id TEXT NOT NULL,          -- '_fleet' for patterns over all clusters
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    status TEXT NOT NULL,
    shadow {int} NOT NULL,
    standing {int} NOT NULL,           -- confidence in millionths: the order of lists
    last_seen {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX patterns_id ON patterns (id);
CREATE INDEX patterns_standing ON patterns (standing, id);
CREATE INDEX patterns_seen ON patterns (last_seen);

CREATE TABLE pattern_states (
    cluster_id TEXT NOT NULL,
    key TEXT NOT NULL,
    updated_at {int} NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (cluster_id, key)
) {strict};
CREATE INDEX pattern_states_updated ON pattern_states (updated_at);

CREATE TABLE early_warnings (
    cluster_id TEXT NOT NULL,
    id TEXT NOT NULL,
    pattern_id TEXT NOT NULL,
    incident_id TEXT NOT NULL,
    outcome TEXT NOT NULL,
    raised_at {int} NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (cluster_id, id)
) {strict};
CREATE INDEX early_warnings_raised ON early_warnings (raised_at, id);
CREATE INDEX early_warnings_pattern ON early_warnings (pattern_id, raised_at);
CREATE INDEX early_warnings_incident ON early_warnings (incident_id);

CREATE TABLE leaders (
    cluster_id TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    epoch {int} NOT NULL,
    until {int} NOT NULL,
    PRIMARY KEY (cluster_id, name)
) {strict};
