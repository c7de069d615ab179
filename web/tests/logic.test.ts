import { describe, expect, it } from 'vitest';
import { percent, shortTarget, span, splitKey, valueText, yamlLike } from '../src/lib/format';
import { executionLink, incidentLink, parseRoute } from '../src/lib/route';
import { backoff, EventParser } from '../src/lib/sse';
import { chapters, reached } from '../src/lib/story';
import { brief, matches, newestFirst, prune, put } from '../src/lib/table';
import type { Incident, IncidentDetail } from '../src/lib/types';

const incident = (id: string, more: Partial<IncidentDetail> = {}): IncidentDetail => ({
  id, cluster: 'eu', environment: 'prod', target: { key: 'eu/shop/Deployment.apps/cart' }, fault_class: 'crashloop.bad_rollout', p: 0.9, state: 'open', outcome: 'none', severity: 'warning', alert_name: 'KubePodCrashLooping',
  opened_at: '2026-01-05T09:00:00Z', updated_at: '2026-01-05T09:00:00Z', version: 1, ...more,
});

describe('the event stream', () => {
  const read = (pieces: string[]): string[] => {
    const got: string[] = [];
    const parser = new EventParser((kind, data) => got.push(`${kind}=${data}`));
    for (const piece of pieces) parser.push(piece);
    return got;
  };
  const text = ': hello\n\nevent: incident\ndata: {"id":"1"}\n\nevent: pause\r\ndata: a\r\ndata: b\r\n\r\ndata: plain\n\n: still here\n\nevent: half\ndata: no end';
  it('is read the same however it is cut', () => {
    const whole = read([text]);
    expect(whole).toEqual(['incident={"id":"1"}', 'pause=a\nb', 'message=plain']);
    for (let size = 1; size < 9; size++) expect(read(text.match(new RegExp(`[^]{1,${size}}`, 'g'))!)).toEqual(whole);
  });
  it('is tried again ever more seldom, never later than ten seconds', () => {
    expect(backoff(0, 0)).toBe(250);
    expect(backoff(0, 1)).toBe(500);
    for (let n = 0; n < 200; n++) expect(backoff(n, 1)).toBeLessThanOrEqual(10_000);
  });
});

describe('the table', () => {
  it('keeps the newer of two documents, whichever comes last', () => {
    const map = new Map<string, Incident>();
    expect(put(map, incident('a', { version: 5, state: 'resolved' }))).toBe(true);
    expect(put(map, incident('a', { version: 4, state: 'verifying' }))).toBe(false);
    expect(map.get('a')!.state).toBe('resolved');
  });
  it('takes the last story line and leaves the bulk', () => {
    const kept = brief(incident('a', { story: [{ at: '', kind: 'seen', text: 'first' }, { at: '', kind: 'done', text: 'second' }] }));
    expect(kept.last).toBe('second');
    expect(kept).not.toHaveProperty('story');
  });
  it('forgets ended incidents first, the oldest of them', () => {
    const map = new Map<string, Incident>();
    put(map, incident('open'));
    put(map, incident('old', { state: 'resolved', updated_at: '2026-01-01T00:00:00Z' }));
    put(map, incident('new', { state: 'resolved', updated_at: '2026-01-02T00:00:00Z' }));
    prune(map, 2);
    expect([...map.keys()]).toEqual(['open', 'new']);
  });
  it('filters by cluster, state and every word of the text', () => {
    const one = incident('a', { last: 'rolled back to 14' });
    expect(matches(one, { text: 'cart ROLLED', cluster: '', state: 'open' })).toBe(true);
    expect(matches(one, { text: 'cart nothing', cluster: '', state: 'all' })).toBe(false);
    expect(matches(one, { text: '', cluster: 'us', state: 'all' })).toBe(false);
    expect(matches(incident('b', { state: 'escalated' }), { text: '', cluster: '', state: 'ended' })).toBe(true);
    expect(matches(incident('b', { state: 'held' }), { text: '', cluster: '', state: 'held' })).toBe(true);
  });
  it('shows the newest episode first', () => {
    const list = [incident('a', { opened_at: '2026-01-01T00:00:00Z' }), incident('b', { opened_at: '2026-01-02T00:00:00Z' })].sort(newestFirst);
    expect(list.map((i) => i.id)).toEqual(['b', 'a']);
  });
});

describe('the story', () => {
  it('has seven stages; lines of one kind are one chapter', () => {
    const story = ['seen', 'seen', 'diagnosed', 'decided', 'not_chosen', 'guard', 'done'].map((kind) => ({ at: '2026-01-05T09:00:00Z', kind, text: kind }));
    expect(chapters(story).map((c) => c.entries.length)).toEqual([2, 1, 1, 1, 1, 1]);
    expect(reached(story)).toEqual([true, true, true, true, true, false, false]);
    expect(chapters([{ at: '', kind: 'something_new', text: 'x' }])[0]!.title).toBe('something new');
  });
});

describe('words', () => {
  it('writes nested values for reading', () => {
    expect(yamlLike({ a: 1, b: { c: ['x', { d: true, e: [] }], f: null } })).toBe('a: 1\nb:\n  c:\n    - x\n    - d: yes\n      e: []\n  f: –');
    expect(yamlLike('plain')).toBe('plain');
  });
  it('splits object keys with escaped names', () => {
    expect(splitKey('eu/_/Node/node%2F1')).toEqual({ cluster: 'eu', ns: '', kind: 'Node', name: 'node/1' });
    expect(shortTarget('eu/shop/Deployment.apps/cart')).toBe('shop/cart');
    expect(splitKey('eu/a/B/bad%zz').name).toBe('bad%zz');
    expect(splitKey(undefined).name).toBe('');
  });
  it('writes spans, parts and values for people', () => {
    expect([0, 59_000, 125_000, 3_900_000, 90_000_000, -5].map(span)).toEqual(['0s', '59s', '2m 05s', '1h 05m', '1d 1h', '0s']);
    expect([0, 0.004, 0.5, 0.996, 1, undefined].map(percent)).toEqual(['0 %', '<1 %', '50 %', '>99 %', '100 %', '–']);
    expect([null, '', 0.123456, true, { a: 1 }].map((v) => valueText(v))).toEqual(['–', '""', '0.12346', 'yes', '{"a":1}']);
  });
  it('links and reads links', () => {
    expect(parseRoute(incidentLink('inc_1/x'))).toEqual({ view: 'incidents', id: 'inc_1/x' });
    expect(parseRoute(executionLink('e'))).toEqual({ view: 'executions', id: 'e' });
    expect(parseRoute('#/clusters')).toEqual({ view: 'clusters' });
    for (const odd of ['', '#', '#/nothing/here', '#/incidents/%zz']) expect(parseRoute(odd).view).toBe('incidents');
  });
});
