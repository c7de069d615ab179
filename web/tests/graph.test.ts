import { describe, expect, it } from 'vitest';
import { buildGraph, stateOf } from '../src/lib/graph';
import { layout } from '../src/lib/layout';
import type { Json, Step } from '../src/lib/types';

const step = (path: string, state: string, more: Partial<Step> = {}): Step => ({ path, id: path.split('/').at(-1)!.replace(/\[.*/, ''), kind: 'action', state, ...more });
const edges = (definition: Json, steps: Step[] = []): string[] => buildGraph(definition, steps).edges.map((e) => `${e.from}>${e.to}`).sort();
const sizes = { width: 200, height: 50, gapX: 20, gapY: 30 };

describe('the graph of a definition', () => {
  it('chains steps without needs in the order of the list', () => {
    expect(edges({ steps: [{ id: 'a', action: 'x' }, { id: 'b', action: 'y' }, { id: 'c', action: 'z' }] })).toEqual(['a>b', 'b>c']);
  });
  it('follows needs; an empty list is the step before', () => {
    const definition: Json = { steps: [{ id: 'a' }, { id: 'b', needs: [] }, { id: 'c', needs: ['a'] }, { id: 'd', needs: ['b', 'c'] }] };
    expect(edges(definition)).toEqual(['a>b', 'a>c', 'b>d', 'c>d']);
  });
  it('forks into branches and joins them again', () => {
    const definition: Json = { steps: [{ id: 'p', kind: 'parallel', branches: [[{ id: 'l' }], [{ id: 'r1' }, { id: 'r2' }]] }, { id: 'after' }] };
    expect(edges(definition)).toEqual(['p>p[0]/l', 'p>p[1]/r1', 'p[0]/l>after', 'p[1]/r1>p[1]/r2', 'p[1]/r2>after']);
  });
  it('leads an empty else straight on', () => {
    const definition: Json = { steps: [{ id: 'q', kind: 'branch', if: 'x', then: [{ id: 't' }] }, { id: 'after' }] };
    expect(edges(definition)).toEqual(['q/t>after', 'q>after', 'q>q/t']);
  });
  it('puts verify and finally behind the steps', () => {
    const definition: Json = { steps: [{ id: 'a' }], verify: [{ id: 'ok' }], finally: [{ id: 'tell' }] };
    expect(edges(definition)).toEqual(['a>verify/ok', 'verify/ok>finally/tell']);
  });
  it('shows all rounds of a loop at one node', () => {
    const definition: Json = { steps: [{ id: 'each', kind: 'loop', body: [{ id: 'evict', action: 'evict_pod' }] }] };
    const graph = buildGraph(definition, [step('each', 'waiting'), step('each[0]/evict', 'succeeded'), step('each[1]/evict', 'in_flight')]);
    const node = graph.nodes.find((n) => n.id === 'each[*]/evict')!;
    expect(node.steps).toHaveLength(2);
    expect(node.state).toBe('in_flight');
  });
  it('shows what ran without a place in the definition, undo steps above all', () => {
    const graph = buildGraph({ steps: [{ id: 'a' }] }, [step('a', 'compensated'), step('undo/a', 'succeeded', { id: 'a', compensation: true })]);
    expect(graph.nodes.map((n) => `${n.label}:${n.state}`)).toEqual(['a:compensated', 'undo a:succeeded']);
    expect(graph.edges).toEqual([{ from: 'a', to: 'undo/a' }]);
  });
  it('tells branches with the same names apart', () => {
    const definition: Json = { steps: [{ id: 'p', kind: 'parallel', branches: [[{ id: 'same' }], [{ id: 'same' }]] }] };
    const graph = buildGraph(definition, [step('p', 'waiting'), step('p[1]/same', 'failed'), step('p[0]/same', 'succeeded')]);
    expect(graph.nodes.map((n) => n.state)).toEqual(['waiting', 'succeeded', 'failed']);
  });
  it('joins the check of an effect to its action', () => {
    const graph = buildGraph({ steps: [{ id: 'a', action: 'x' }] }, [step('a', 'succeeded'), step('a/verify', 'waiting', { id: 'a', kind: 'verify' })]);
    expect(graph.nodes.map((n) => `${n.id}:${n.state}:${n.steps.length}`)).toEqual(['a:waiting:2']);
  });
  it('draws the steps of a sub-workflow between it and what follows', () => {
    const definition: Json = { steps: [{ id: 's', workflow: 'other' }, { id: 'after' }] };
    const graph = buildGraph(definition, [step('s', 'succeeded'), step('s/one', 'succeeded'), step('s/one/verify', 'succeeded', { id: 'one', kind: 'verify' }), step('s/two', 'succeeded')]);
    expect(graph.edges.map((e) => `${e.from}>${e.to}`)).toEqual(['s>s/one', 's/one>s/two', 's/two>after']);
  });
  it('survives definitions that are none', () => {
    for (const odd of [undefined, null, 7, 'x', [], { steps: 'no' }, { steps: [null, 1, {}] }] as (Json | undefined)[]) expect(() => layout(buildGraph(odd, []), sizes)).not.toThrow();
  });
  it('gives every node its own id even when branches use the same names', () => {
    const graph = buildGraph({ steps: [{ id: 'p', kind: 'parallel', branches: [[{ id: 'same' }], [{ id: 'same' }]] }] }, []);
    expect(new Set(graph.nodes.map((n) => n.id)).size).toBe(3);
  });
  it('names the worst state first', () => {
    expect(stateOf([step('a', 'failed'), step('a', 'in_flight')])).toBe('failed');
    expect(stateOf([])).toBe('pending');
  });
});

describe('the layout', () => {
  /** Random acyclic graphs: no two boxes overlap, every edge leads downwards. */
  it('never lets boxes overlap and always leads downwards', () => {
    const seed = Math.floor(Math.random() * 2 ** 31);
    let state = seed;
    const below = (n: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return (state >>> 8) % n;
    };
    for (let round = 0; round < 60; round++) {
      const count = 1 + below(30);
      const nodes = Array.from({ length: count }, (_, i) => ({ id: `n${i}`, label: '', detail: '', kind: 'action', section: 'steps' as const, state: 'pending', steps: [] }));
      const links = [];
      for (let i = 1; i < count; i++) for (let k = 0; k < 1 + below(3); k++) links.push({ from: `n${below(i)}`, to: `n${i}` });
      const drawn = layout({ nodes, edges: links }, sizes);
      const boxes = [...drawn.boxes.values()];
      // Gathered and compared once: thousands of expectations are slow.
      const wrong: string[] = [];
      for (const [i, a] of boxes.entries()) {
        if (a.x < -1 || a.x + sizes.width > drawn.width + 1) wrong.push(`box ${i} is outside`);
        for (const b of boxes.slice(i + 1)) if (Math.abs(a.y - b.y) < sizes.height && Math.abs(a.x - b.x) < sizes.width - 1) wrong.push(`box ${i} overlaps another`);
      }
      for (const link of links) if (drawn.boxes.get(link.to)!.y <= drawn.boxes.get(link.from)!.y) wrong.push(`${link.from} is not above ${link.to}`);
      expect(wrong, `seed ${seed} round ${round}`).toEqual([]);
    }
  });
  it('ends for a circle, which no loader lets through', () => {
    const node = (id: string) => ({ id, label: id, detail: '', kind: 'action', section: 'steps' as const, state: 'pending', steps: [] });
    expect(() => layout({ nodes: [node('a'), node('b')], edges: [{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }] }, sizes)).not.toThrow();
  });
});
