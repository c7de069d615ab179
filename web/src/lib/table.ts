import { finalIncident, type Incident, type IncidentDetail } from './types';
import { shortTarget } from './format';

/** What the table keeps of an incident, from a list item or from a whole document of the stream. */
export function brief(doc: Incident | IncidentDetail): Incident {
  const kept: IncidentDetail = { ...doc };
  const last = kept.story?.at(-1)?.text ?? kept.last;
  if (last !== undefined) kept.last = last;
  for (const bulk of ['story', 'diagnosis', 'signals', 'executions', 'approvals', 'assessments'] as const) delete kept[bulk];
  return kept;
}

/** Documents may overtake each other between the list and the stream: the higher version stays. */
export function put(into: Map<string, Incident>, doc: Incident | IncidentDetail): boolean {
  const known = into.get(doc.id);
  if (known && (known.version ?? 0) > (doc.version ?? 0)) return false;
  const next = brief(doc);
  if (next.last === undefined && known?.last !== undefined) next.last = known.last;
  into.set(doc.id, next);
  return true;
}

/** Keeps the page small on a busy day: what is open stays, of the ended the newest. */
export function prune(from: Map<string, Incident>, most: number): void {
  if (from.size <= most) return;
  const ended = [...from.values()].filter((i) => finalIncident.has(i.state)).sort((a, b) => a.updated_at.localeCompare(b.updated_at));
  for (const incident of ended.slice(0, from.size - most)) from.delete(incident.id);
}

export interface Filter {
  text: string;
  cluster: string;
  /** "open", "all", "ended", "waiting" (for a person), or one state */
  state: string;
}

export function matches(incident: Incident, filter: Filter): boolean {
  if (filter.cluster && incident.cluster !== filter.cluster) return false;
  const ended = finalIncident.has(incident.state);
  if (filter.state === 'open' && ended) return false;
  if (filter.state === 'ended' && !ended) return false;
  if (!['open', 'ended', 'all'].includes(filter.state) && incident.state !== filter.state) return false;
  if (!filter.text) return true;
  const hay = [incident.id, incident.target.key, shortTarget(incident.target.key), incident.fault_class, incident.alert_name, incident.outcome, incident.state, incident.last ?? '']
    .join('\n')
    .toLowerCase();
  return filter.text
    .toLowerCase()
    .split(/\s+/)
    .every((word) => hay.includes(word));
}

/** Newest episode first; ids break ties so that rows never swap by themselves. */
export function newestFirst(a: Incident, b: Incident): number {
  return b.opened_at.localeCompare(a.opened_at) || b.id.localeCompare(a.id);
}
