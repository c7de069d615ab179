import { ApiError, del, get, post, stream, token } from './api';
import { backoff, EventParser } from './sse';
import { newestFirst, prune, put } from './table';
import { finalExecution, fleetScope, type Approval, type Assessment, type Cluster, type Execution, type Incident, type List, type Pause } from './types';

export type Link = 'connecting' | 'live' | 'reconnecting';
/** A change that an open view may want to look at again. */
export interface Change {
  kind: string;
  incident?: string;
  execution?: string;
}

const mostIncidents = 2000;
const mostExecutions = 500;
const silence = 40_000;

/** Everything the page knows about the fleet. Lists come by REST, changes by the stream; after every reconnect the lists are read again. */
class Hub {
  incidents = $state.raw<Incident[]>([]);
  executions = $state.raw<Execution[]>([]);
  clusters = $state.raw<Cluster[]>([]);
  approvals = $state.raw<Approval[]>([]);
  pauses = $state.raw<Pause[]>([]);
  link = $state<Link>('connecting');
  loaded = $state(false);
  needToken = $state(false);
  error = $state('');
  me = $state('');
  version = $state('');
  now = $state(Date.now());

  private readonly incidentMap = new Map<string, Incident>();
  private readonly executionMap = new Map<string, Execution>();
  private readonly clusterMap = new Map<string, Cluster>();
  private readonly approvalMap = new Map<string, Approval>();
  private readonly stale = new Set<string>();
  private readonly listeners = new Set<(change: Change) => void>();
  private flushing: ReturnType<typeof setTimeout> | undefined;
  private abort: AbortController | undefined;
  private tries = 0;
  private wake: (() => void) | undefined;

  start(): void {
    setInterval(() => (this.now = Date.now()), 1000);
    // What the stream does not tell: a pause that was lifted or ran out, an approval that was asked for.
    setInterval(() => {
      if (!document.hidden && !this.needToken && this.link === 'live') void this.quietly(async () => void (await Promise.all([this.loadSmall(), this.loadExecutions('50')])));
    }, 10_000);
    // The browser knows first that there is no network; a dead stream would only be noticed by its silence.
    addEventListener('offline', () => this.abort?.abort());
    addEventListener('online', () => this.wake?.());
    void this.run();
  }

  subscribe(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  signIn(value: string): void {
    token.set(value.trim());
    this.needToken = false;
    this.tries = 0;
    void this.run();
  }
  signOut(): void {
    token.set('');
    this.abort?.abort();
    for (const map of [this.incidentMap, this.executionMap, this.clusterMap, this.approvalMap]) map.clear();
    this.pauses = [];
    this.me = '';
    for (const kind of ['incident', 'execution', 'cluster', 'approval']) this.touch(kind);
    this.flush();
    this.needToken = true;
  }
  get hasToken(): boolean {
    return this.me !== '' && token.get() !== '';
  }

  /** A failed call anywhere: a lost right to look asks for the token, all else is the caller's to show. */
  told(error: unknown): string {
    if (error instanceof ApiError && error.status === 401) {
      this.needToken = true;
      this.abort?.abort();
      return 'a token is needed';
    }
    return error instanceof Error ? error.message : String(error);
  }

  private async run(): Promise<void> {
    while (!this.needToken) {
      this.abort = new AbortController();
      const abort = this.abort;
      let quiet: ReturnType<typeof setTimeout> | undefined;
      const heard = (): void => {
        clearTimeout(quiet);
        quiet = setTimeout(() => abort.abort(), silence);
      };
      try {
        const parser = new EventParser((kind, data) => this.take(kind, data));
        heard();
        // The stream first, then the lists: nothing that happens in between is missed.
        await stream(
          abort.signal,
          () => void this.refresh(abort),
          (piece) => {
            heard();
            parser.push(piece);
          },
        );
      } catch (error) {
        if (error instanceof ApiError && error.status === 401) this.needToken = true;
        else if (error instanceof ApiError) this.error = error.message;
      }
      clearTimeout(quiet);
      if (this.needToken) break;
      this.link = 'reconnecting';
      await new Promise<void>((done) => {
        this.wake = done;
        setTimeout(done, backoff(this.tries++, Math.random()));
      });
    }
  }

  private async refresh(abort: AbortController): Promise<void> {
    try {
      await this.load();
      this.link = 'live';
      this.error = '';
      this.tries = 0;
      this.loaded = true;
      this.announce({ kind: 'refresh' });
    } catch (error) {
      this.error = this.told(error);
      abort.abort();
    }
  }

  private async load(): Promise<void> {
    const who = await get<{ name: string; version: string }>('whoami');
    const [open, recent] = await Promise.all([
      pages<Incident>('incidents', { open: 'true', limit: '500' }, 4),
      pages<Incident>('incidents', { limit: '500' }, 1),
      this.loadExecutions('100'),
      this.loadSmall(),
    ]);
    this.me = who.name;
    this.version = who.version;
    for (const each of [...recent, ...open]) put(this.incidentMap, each);
    this.touch('incident');
    this.flush();
  }

  /** What runs, the newest, and how those ended that ran when we last looked. */
  private async loadExecutions(limit: string): Promise<void> {
    const running = await pages<Execution>('executions', { state: 'awaiting_approval,queued,running,paused,verifying,compensating', limit: '500' }, 1);
    const recent = await pages<Execution>('executions', { limit }, 1);
    const now = new Map([...running, ...recent].map((each) => [each.id, each]));
    const gone = [...this.executionMap.values()].filter((each) => !finalExecution.has(each.state) && !now.has(each.id)).slice(0, 50);
    for (const each of now.values()) this.executionMap.set(each.id, each);
    await Promise.all(
      gone.map(async ({ id }) => {
        try {
          const { steps: _steps, definition: _definition, ...execution } = await get<Execution>(`executions/${encodeURIComponent(id)}`);
          this.executionMap.set(id, execution);
        } catch (error) {
          if (!(error instanceof ApiError) || error.status !== 404) throw error;
          this.executionMap.delete(id);
        }
      }),
    );
    this.touch('execution');
  }

  private async loadSmall(): Promise<void> {
    const [clusters, approvals, pauses] = await Promise.all([
      get<List<Cluster>>('clusters'),
      get<List<Approval>>('approvals', { state: 'pending' }),
      get<List<Pause>>('pauses'),
    ]);
    this.clusterMap.clear();
    for (const each of clusters.items) this.clusterMap.set(each.id, each);
    this.approvalMap.clear();
    for (const each of approvals.items) this.approvalMap.set(each.id, each);
    this.pauses = pauses.items;
    this.touch('cluster');
    this.touch('approval');
  }

  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.told(error);
    }
  }

  private take(kind: string, data: string): void {
    let doc: unknown;
    try {
      doc = JSON.parse(data);
    } catch {
      return;
    }
    switch (kind) {
      case 'incident': {
        const incident = doc as Incident;
        if (put(this.incidentMap, incident)) this.touch(kind);
        prune(this.incidentMap, mostIncidents);
        this.announce({ kind, incident: incident.id });
        break;
      }
      case 'execution': {
        const { steps: _steps, definition: _definition, ...execution } = doc as Execution;
        this.executionMap.set(execution.id, execution);
        this.touch(kind);
        this.announce({ kind, execution: execution.id, ...(execution.incident ? { incident: execution.incident } : {}) });
        break;
      }
      case 'cluster':
        this.clusterMap.set((doc as Cluster).id, doc as Cluster);
        this.touch(kind);
        break;
      case 'approval': {
        const approval = doc as Approval;
        if (approval.state === 'pending') this.approvalMap.set(approval.id, approval);
        else this.approvalMap.delete(approval.id);
        this.touch(kind);
        this.announce({ kind, incident: approval.incident });
        break;
      }
      case 'assessment': {
        const assessment = doc as Assessment;
        this.announce({ kind, execution: assessment.execution, ...(assessment.incident ? { incident: assessment.incident } : {}) });
        break;
      }
      case 'pause':
        void this.quietly(() => this.loadSmall());
        break;
      default:
    }
  }

  private announce(change: Change): void {
    for (const listener of this.listeners) listener(change);
  }

  /** Changes are shown at most five times a second, however many come. */
  private touch(kind: string): void {
    this.stale.add(kind);
    this.flushing ??= setTimeout(() => this.flush(), 200);
  }

  private flush(): void {
    clearTimeout(this.flushing);
    this.flushing = undefined;
    this.now = Date.now();
    if (this.stale.has('execution') && this.executionMap.size > mostExecutions) {
      const ended = [...this.executionMap.values()].filter((e) => finalExecution.has(e.state)).sort((a, b) => a.updated_at.localeCompare(b.updated_at));
      for (const each of ended.slice(0, this.executionMap.size - mostExecutions)) this.executionMap.delete(each.id);
    }
    if (this.stale.has('incident')) this.incidents = [...this.incidentMap.values()].sort(newestFirst);
    if (this.stale.has('execution')) this.executions = [...this.executionMap.values()].sort((a, b) => b.created_at.localeCompare(a.created_at));
    if (this.stale.has('cluster')) this.clusters = [...this.clusterMap.values()].sort((a, b) => a.id.localeCompare(b.id));
    if (this.stale.has('approval')) this.approvals = [...this.approvalMap.values()].sort((a, b) => a.asked_at.localeCompare(b.asked_at));
    this.stale.clear();
  }

  async pause(scope: 'fleet' | 'cluster' | 'namespace', cluster: string, reason: string, length: string, namespace = ''): Promise<void> {
    await post('pauses', { scope, cluster, namespace, reason, for: length });
    await this.loadSmall();
  }
  async resume(pause: Pause): Promise<void> {
    const scope = pause.cluster === fleetScope ? 'fleet' : pause.ns ? 'namespace' : 'cluster';
    await del('pauses', { scope, cluster: scope === 'fleet' ? '' : pause.cluster, namespace: pause.ns ?? '' });
    await this.loadSmall();
  }
  async vote(approval: Approval, granted: boolean, comment: string): Promise<void> {
    const settled = await post<Approval>(`approvals/${encodeURIComponent(approval.id)}/${granted ? 'grant' : 'reject'}`, comment ? { comment } : {});
    if (settled.state === 'pending') this.approvalMap.set(settled.id, settled);
    else this.approvalMap.delete(approval.id);
    this.touch('approval');
    this.announce({ kind: 'approval', incident: approval.incident });
  }
  async cancel(execution: Execution): Promise<void> {
    await post(`executions/${encodeURIComponent(execution.id)}/cancel`);
    this.announce({ kind: 'execution', execution: execution.id });
  }
}

async function pages<T>(path: string, query: Record<string, string>, most: number): Promise<T[]> {
  const all: T[] = [];
  let cursor = '';
  for (let page = 0; page < most; page++) {
    const list = await get<List<T>>(path, cursor ? { ...query, cursor } : query);
    all.push(...list.items);
    if (!list.next) break;
    cursor = list.next;
  }
  return all;
}

export const hub = new Hub();
