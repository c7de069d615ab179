import type { Json } from './types';

/** The parts of "cluster/namespace/Kind.group/name"; names are %XX-escaped, "_" stands for no namespace. */
export function splitKey(key: string | undefined): { cluster: string; ns: string; kind: string; name: string } {
  const [cluster = '', ns = '', kindGroup = '', name = ''] = (key ?? '').split('/');
  return { cluster: unescape(cluster), ns: ns === '_' ? '' : unescape(ns), kind: unescape(kindGroup.split('.')[0] ?? ''), name: unescape(name) };
}

function unescape(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** "shop/cart", or "node-3" for what has no namespace. */
export function shortTarget(key: string | undefined): string {
  const { ns, name } = splitKey(key);
  return ns ? `${ns}/${name}` : name;
}

export function millis(time: string | undefined): number | undefined {
  if (!time) return undefined;
  const at = Date.parse(time);
  // The server writes its zero time for "never".
  return Number.isFinite(at) && at > 0 ? at : undefined;
}

/** "42s", "7m 05s", "3h 12m", "5d 4h": at most two units, never negative. */
export function span(ms: number): string {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s}s`;
  if (s < 3600) return s < 600 ? `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, '0')}s` : `${Math.floor(s / 60)}m`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/** For short stretches: "180 ms", "2.4 s", then as span(). */
export function fineSpan(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return span(ms);
}

export function age(time: string | undefined, now: number): string {
  const at = millis(time);
  return at === undefined ? '–' : span(now - at);
}

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
export function clockTime(time: string | undefined): string {
  const at = millis(time);
  return at === undefined ? '' : clock.format(at);
}
export function fullTime(time: string | undefined): string {
  const at = millis(time);
  return at === undefined ? '' : full.format(at);
}

export function percent(p: number | undefined): string {
  if (p === undefined || !Number.isFinite(p)) return '–';
  if (p > 0.99 && p < 1) return '>99 %';
  if (p > 0 && p < 0.01) return '<1 %';
  return `${Math.round(p * 100)} %`;
}

export function words(name: string): string {
  return name.replaceAll('_', ' ');
}

/** One line for a fact's or a parameter's value. */
export function valueText(value: Json | undefined): string {
  if (value === undefined || value === null) return '–';
  if (typeof value === 'string') return value === '' ? '""' : value;
  if (typeof value === 'number') return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  return JSON.stringify(value);
}

export function scalar(value: Json | undefined): boolean {
  return value === undefined || value === null || typeof value !== 'object';
}

/** Nested values for reading, without the noise of braces and quotes. */
export function yamlLike(value: Json | undefined, indent = ''): string {
  if (scalar(value)) return valueText(value);
  const list = Array.isArray(value);
  const items = Object.entries(value as object) as [string, Json][];
  if (items.length === 0) return list ? '[]' : '{}';
  return items
    .map(([name, each]) => {
      if (list) return `${indent}- ${yamlLike(each, `${indent}  `).trimStart()}`;
      return scalar(each) || Object.keys(each as object).length === 0 ? `${indent}${name}: ${yamlLike(each)}` : `${indent}${name}:\n${yamlLike(each, `${indent}  `)}`;
    })
    .join('\n');
}

export function isEmpty(value: Json | undefined): boolean {
  if (value === undefined || value === null || value === '') return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

/** One of five tones of the page's colours; a state is always written out beside it. */
export type Tone = 'quiet' | 'info' | 'busy' | 'ask' | 'good' | 'warn' | 'bad';

export function incidentTone(state: string): Tone {
  switch (state) {
    case 'open':
    case 'diagnosing':
    case 'planned':
      return 'info';
    case 'remediating':
    case 'verifying':
      return 'busy';
    case 'awaiting_approval':
      return 'ask';
    case 'held':
    case 'linked':
      return 'warn';
    case 'resolved':
      return 'good';
    case 'escalated':
      return 'bad';
    default:
      return 'quiet';
  }
}

export function executionTone(state: string): Tone {
  switch (state) {
    case 'succeeded':
      return 'good';
    case 'failed':
    case 'compensation_failed':
      return 'bad';
    case 'compensated':
    case 'expired':
    case 'refused':
    case 'paused':
      return 'warn';
    case 'awaiting_approval':
      return 'ask';
    case 'running':
    case 'verifying':
    case 'compensating':
      return 'busy';
    case 'queued':
    case 'planned':
      return 'info';
    default:
      return 'quiet';
  }
}

export function stepTone(state: string): Tone {
  switch (state) {
    case 'succeeded':
      return 'good';
    case 'failed':
    case 'compensation_failed':
      return 'bad';
    case 'ambiguous':
    case 'compensated':
    case 'compensating':
      return 'warn';
    case 'intent_stored':
    case 'in_flight':
      return 'busy';
    case 'waiting':
      return 'ask';
    case 'ready':
      return 'info';
    default:
      return 'quiet';
  }
}

export function verdictTone(verdict: string): Tone {
  switch (verdict) {
    case 'healthy':
      return 'good';
    case 'suspect':
      return 'warn';
    case 'lost':
    case 'wrong_cluster':
    case 'isolated_hub':
      return 'bad';
    default:
      return 'quiet';
  }
}

export function riskTone(risk: string): Tone {
  switch (risk) {
    case 'critical':
    case 'high':
      return 'bad';
    case 'medium':
      return 'warn';
    case 'low':
      return 'good';
    default:
      return 'quiet';
  }
}

export function truthTone(truth: string, goodWhen: 'yes' | 'no'): Tone {
  if (truth === 'unknown') return 'quiet';
  return truth === goodWhen ? 'good' : 'bad';
}
