import { finalStep, type Json, type JsonObject, type Step } from './types';

/** A node of the drawn workflow: what the definition says, and the newest state of the steps that ran there. */
export interface GraphNode {
  id: string;
  label: string;
  detail: string;
  kind: string;
  section: 'steps' | 'verify' | 'finally' | 'extra';
  state: string;
  steps: Step[];
  /** definition of the step, for the panel; none for what only ran */
  spec?: JsonObject;
}
export interface GraphEdge {
  from: string;
  to: string;
  label?: string;
}
export interface Graph {
  nodes: GraphNode[];
  edges: GraphEdge[];
}

const object = (value: Json | undefined): JsonObject | undefined => (value !== null && typeof value === 'object' && !Array.isArray(value) ? value : undefined);
const text = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
const listOf = (value: Json | undefined): JsonObject[] => {
  const list = Array.isArray(value) ? value : object(value)?.['steps'];
  return Array.isArray(list) ? list.map(object).filter((each): each is JsonObject => each !== undefined) : [];
};

const checkOf = (step: Step): string | undefined => (step.kind === 'verify' && step.path.endsWith('/verify') ? step.path.slice(0, -'/verify'.length) : undefined);

/**
 * Places are written as the engine writes the paths of steps: "fork[1]/quota" is a step of the second branch. Rounds of a loop are one place: "loop[*]/evict".
 */
function isAt(place: string, path: string): boolean {
  const [want, have] = [place.split('/'), path.split('/')];
  return want.length === have.length && want.every((part, i) => part === have[i] || (part.endsWith('[*]') && have[i]!.replace(/\[\d+\]$/, '[*]') === part));
}

function kindOf(spec: JsonObject): string {
  const kind = text(spec['kind']);
  if (kind) return kind;
  // As the loader infers it.
  for (const [key, each] of Object.entries({ action: 'action', branches: 'parallel', body: 'loop', then: 'branch', workflow: 'subworkflow', signal: 'signal' })) if (key in spec) return each;
  return 'action';
}

function detailOf(kind: string, spec: JsonObject): string {
  if (kind === 'action') return text(spec['action']);
  const more: Record<string, string> = {
    subworkflow: text(spec['workflow']),
    signal: text(spec['signal']),
    wait: text(spec['duration']) || text(spec['until']),
    loop: text(spec['for_each']) || text(spec['while']) || (typeof spec['times'] === 'number' ? `${spec['times']} times` : ''),
    branch: text(spec['if']),
    assert: text(spec['that']),
  };
  return [kind, more[kind]].filter(Boolean).join(' · ');
}

class Builder {
  readonly graph: Graph = { nodes: [], edges: [] };
  private readonly used = new Set<Step>();

  constructor(private readonly steps: Step[]) {}

  /** Adds a list of steps behind `from`; gives its loose ends. */
  list(specs: JsonObject[], prefix: string, section: GraphNode['section'], from: string[], label?: string): string[] {
    const ends = new Map<string, string[]>();
    const followed = new Set<string>();
    const order: string[] = [];
    let before: string | undefined;
    specs.forEach((spec, index) => {
      const id = text(spec['id']) || text(spec['action']) || `${kindOf(spec)}-${index + 1}`;
      const named = Array.isArray(spec['needs']) ? spec['needs'].map(text) : [];
      const needs = named.length > 0 || before === undefined ? named : [before];
      const known = needs.filter((need) => ends.has(need));
      for (const need of known) followed.add(need);
      const sources = known.length > 0 ? known.flatMap((need) => ends.get(need) ?? []) : from;
      ends.set(id, this.step(spec, id, prefix, section, sources, known.length > 0 ? undefined : label));
      order.push(id);
      before = id;
    });
    if (order.length === 0) return from;
    return order.filter((id) => !followed.has(id)).flatMap((id) => ends.get(id) ?? []);
  }

  private step(spec: JsonObject, id: string, prefix: string, section: GraphNode['section'], from: string[], label?: string): string[] {
    const path = prefix + id;
    const kind = kindOf(spec);
    const node: GraphNode = { id: path, label: id, detail: detailOf(kind, spec), kind, section, state: 'pending', steps: this.take(path), spec };
    this.node(node);
    for (const source of from) this.graph.edges.push(label ? { from: source, to: node.id, label } : { from: source, to: node.id });
    const self = [node.id];
    if (kind === 'parallel') {
      const branches = spec['branches'];
      const lists = Array.isArray(branches) ? branches.map(listOf) : Object.values(object(branches) ?? {}).map(listOf);
      const ends = lists.flatMap((list, i) => this.list(list, `${path}[${i}]/`, section, self));
      return ends.length > 0 ? [...new Set(ends)] : self;
    }
    if (kind === 'branch') {
      const then = this.list(listOf(spec['then']), `${path}/`, section, self, 'yes');
      const otherwise = this.list(listOf(spec['else']), `${path}/`, section, self, 'no');
      return [...new Set([...then, ...otherwise])];
    }
    if (kind === 'loop') return this.list(listOf(spec['body']), `${path}[*]/`, section, self, 'each');
    if (kind === 'subworkflow') return this.rest((step) => step.path.startsWith(`${path}/`), self);
    return self;
  }

  private node(node: GraphNode): void {
    node.state = stateOf(node.steps);
    // Two branches may use the same name; ids of nodes must not.
    for (let n = 2, id = node.id; this.graph.nodes.some((each) => each.id === node.id); n++) node.id = `${id}#${n}`;
    this.graph.nodes.push(node);
  }

  /** What ran at this place, each followed by the check of its effect. */
  private take(place: string): Step[] {
    const found = this.steps.filter((step) => !this.used.has(step) && isAt(place, checkOf(step) ?? step.path));
    for (const step of found) this.used.add(step);
    return found;
  }

  /** What ran without a place in the definition (the steps of a sub-workflow, undo steps), in the order of its start. */
  rest(which: (step: Step) => boolean, from: string[]): string[] {
    let ends = from;
    for (const step of this.steps) {
      if (this.used.has(step) || !which(step)) continue;
      const label = step.compensation ? `undo ${step.id || step.path}` : step.id || step.path;
      const node: GraphNode = { id: step.path, label, detail: step.action || step.kind, kind: step.compensation ? 'undo' : step.kind, section: 'extra', state: '', steps: this.take(checkOf(step) ?? step.path) };
      this.node(node);
      for (const end of ends) this.graph.edges.push({ from: end, to: node.id });
      ends = [node.id];
    }
    return ends;
  }
}

/** The state to show for all rounds of one place: what is wrong first, then what is under way, then the last one. */
export function stateOf(steps: Step[]): string {
  if (steps.length === 0) return 'pending';
  const bad = steps.find((step) => step.state === 'failed' || step.state === 'compensation_failed');
  if (bad) return bad.state;
  const moving = steps.find((step) => !finalStep.has(step.state));
  return (moving ?? steps.at(-1)!).state;
}

export function buildGraph(definition: Json | undefined, steps: Step[]): Graph {
  const source = object(definition) ?? {};
  const builder = new Builder(steps);
  let ends = builder.list(listOf(source['steps']), '', 'steps', []);
  ends = builder.list(listOf(source['verify']), 'verify/', 'verify', ends);
  ends = builder.list(listOf(source['finally']), 'finally/', 'finally', ends);
  builder.rest(() => true, ends);
  return builder.graph;
}
