// The API's documents, as far as the page reads them (names: libs/domain/src/codec_*.cpp). Absent optionals are left out by the server.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface ObjectRef {
  key: string;
  uid?: string;
  observed_at?: string;
}
export interface Fact {
  name: string;
  value?: Json;
  state: 'no' | 'yes' | 'unknown';
  source?: string;
  observed_at?: string;
}
export interface Candidate {
  fault_class: string;
  p: number;
  excluded?: boolean;
  for_facts?: string[];
  against_facts?: string[];
  unknown_facts?: string[];
  why_not?: string;
}
export interface Diagnosis {
  fault_class: string;
  p: number;
  margin: number;
  candidates?: Candidate[];
  facts?: Fact[];
  made_at: string;
}
export interface Alternative {
  workflow: string;
  rank_score: number;
  why_not?: string;
}
export interface Plan {
  id: string;
  workflow: string;
  version: number;
  fault_class: string;
  target: ObjectRef;
  params?: JsonObject;
  risk: string;
  p: number;
  rank_score: number;
  reasons?: string[];
  alternatives?: Alternative[];
  hash?: string;
}
export interface StoryEntry {
  at: string;
  kind: string;
  text: string;
}
export interface Incident {
  id: string;
  cluster: string;
  environment: string;
  target: ObjectRef;
  resolution?: string;
  fault_class: string;
  p: number;
  state: string;
  outcome: string;
  severity: string;
  alert_name: string;
  signals_firing?: number;
  signals_total?: number;
  plan?: Plan;
  execution?: string;
  tried?: string[];
  cause?: string;
  previous?: string;
  state_reason?: string;
  hold_until?: string;
  opened_at: string;
  updated_at: string;
  closed_at?: string;
  version?: number;
  last?: string;
}
export interface Signal {
  id: string;
  source: string;
  name: string;
  status: string;
  state: string;
  severity: string;
  starts_at?: string;
  received_at: string;
  ends_at?: string;
  object?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  count?: number;
  last_seen?: string;
}
export interface Execution {
  id: string;
  cluster: string;
  incident?: string;
  plan: Plan;
  definition?: Json;
  state: string;
  dry_run?: boolean;
  requested_by?: string;
  error?: string;
  reason?: string;
  owner?: string;
  cancel_requested?: boolean;
  cancel_by?: string;
  created_at: string;
  updated_at: string;
  started_at?: string;
  finished_at?: string;
  wake_at?: string;
  steps?: Step[];
}
export interface Step {
  path: string;
  id: string;
  kind: string;
  action?: string;
  state: string;
  attempt?: number;
  params?: JsonObject;
  pre_image?: Json;
  output?: Json;
  error?: string;
  error_code?: string;
  started_at?: string;
  finished_at?: string;
  due_at?: string;
  mutating?: boolean;
  compensation?: boolean;
}
export interface Vote {
  by: string;
  granted: boolean;
  comment?: string;
  at: string;
}
export interface Approval {
  id: string;
  cluster: string;
  incident: string;
  workflow: string;
  target: string;
  risk: string;
  needed: number;
  votes?: Vote[];
  state: 'pending' | 'granted' | 'rejected' | 'expired';
  reason?: string;
  asked_at: string;
  expires_at: string;
}
export interface Assessment {
  id: string;
  cluster: string;
  execution: string;
  incident?: string;
  workflow: string;
  fault_class: string;
  target: string;
  stage: string;
  action_at?: string;
  due_at: string;
  done_at?: string;
  resolved: string;
  came_back: string;
  side_effects: string;
  drift: string;
  score?: number;
  confidence: number;
  would_have_healed?: number;
  uplift?: number;
  attributable?: boolean;
  note?: string;
}
export interface Posterior {
  scope: string;
  workflow: string;
  fault_class: string;
  a: number;
  b: number;
  n: number;
  updated_at: string;
}
export interface Pattern {
  id: string;
  kind: string;
  scope: string;
  subject: string;
  claim: string;
  status: string;
  confidence: number;
  calibrated: boolean;
  support: number;
  first_seen: string;
  last_seen: string;
  next_expected?: { from: string; to: string };
  provenance: { analyzer: string; mode: string };
  confirmed?: number;
  refuted?: number;
  detail?: Record<string, Json>;
}
export interface EarlyWarning {
  id: string;
  cluster: string;
  name: string;
  target?: string;
  incident?: string;
  raised_at: string;
  expected_at: string;
  window: { from: string; to: string };
  outcome: string;
  note?: string;
  pattern: { id: string; kind: string; claim: string; confidence: number };
}
export interface Analyzer {
  name: string;
  mode: string;
  basic: boolean;
  found: number;
  checks: number;
  brier: number;
  calibration_error: number;
  error?: string;
}
export interface Pause {
  cluster: string;
  ns?: string;
  by: string;
  reason?: string;
  since: string;
  until?: string;
}
export interface Cluster {
  id: string;
  kind?: string;
  environment: string;
  labels?: Record<string, string>;
  admin: string;
  mode: string;
  verdict: string;
  verdict_reason?: string;
  verdict_since?: string;
  server_version?: string;
}
export interface ClusterDetail extends Cluster {
  locks?: { object: string; execution: string }[];
  watches?: Record<string, { objects: number; synced: boolean; last_heard: string }>;
}
export interface IncidentDetail extends Incident {
  diagnosis?: Diagnosis;
  story?: StoryEntry[];
  signals?: Signal[];
  executions?: Execution[];
  approvals?: Approval[];
  assessments?: Assessment[];
}
export interface List<T> {
  items: T[];
  next?: string;
}

export const finalIncident = new Set(['resolved', 'escalated', 'suppressed', 'duplicate']);
export const finalExecution = new Set(['succeeded', 'failed', 'compensated', 'compensation_failed', 'cancelled', 'expired', 'refused']);
export const finalStep = new Set(['skipped', 'succeeded', 'failed', 'cancelled', 'compensated', 'compensation_failed']);

export const incidentStates = [
  'open', 'diagnosing', 'linked', 'planned', 'held', 'awaiting_approval', 'remediating', 'verifying', 'resolved', 'escalated', 'suppressed', 'duplicate',
];
export const fleetScope = '_fleet';
