// A stand-in for the hub while the page is being developed: `node tests/e2e/mock/server.mjs [port]`. It serves web/dist and invented documents in the
// API's form, and moves one incident through its life over and over. The tests in run.mjs never use it: they run the real binary.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = join(dirname(fileURLToPath(import.meta.url)), '../../../web/dist');
const types = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8', '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml' };
const csp = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";

export function startMock({ port = 0, count = 600, token = '' } = {}) {
  const ago = (s) => new Date(Date.now() - s * 1000).toISOString();
  const listeners = new Set();
  const publish = (kind, doc) => { for (const res of listeners) res.write(`event: ${kind}\ndata: ${JSON.stringify(doc)}\n\n`); };

  const clusters = [
    ['prod-eu-1', 'prod', 'approve', 'healthy', ''], ['prod-us-1', 'prod', 'approve', 'healthy', ''], ['staging-1', 'staging', 'auto', 'healthy', ''],
    ['edge-07', 'prod', 'shadow', 'lost', 'no probe was answered for 41 s'], ['dev-1', 'dev', 'auto', 'suspect', '2 of the last 4 probes failed'],
  ].map(([id, environment, mode, verdict, verdict_reason]) => ({ id, uid: id, kind: 'other', environment, labels: {}, admin: 'active', mode, verdict, verdict_reason, verdict_since: ago(verdict === 'healthy' ? 93600 : 41), epoch: 3, server_version: 'v1.36.3' }));

  const names = ['cart', 'checkout', 'payments-api', 'catalog', 'search-indexer', 'mailer', 'ledger', 'gateway', 'recommendations', 'session-store'];
  const cases = [
    ['crashloop.bad_rollout', 'Deployment.apps', 'rollback-deployment', 'KubePodCrashLooping'], ['oom.limit_too_low', 'Deployment.apps', 'raise-memory', 'KubePodCrashLooping'],
    ['image.not_found', 'Deployment.apps', 'rollback-deployment', 'KubePodNotReady'], ['node.not_ready', 'Node', 'drain-node', 'KubeNodeNotReady'],
    ['pvc.nearly_full', 'PersistentVolumeClaim', 'expand-volume', 'KubePersistentVolumeFillingUp'],
  ];
  const states = ['resolved', 'resolved', 'resolved', 'escalated', 'suppressed', 'remediating', 'awaiting_approval', 'held', 'diagnosing', 'resolved'];
  const outcomes = { resolved: 'remediated', escalated: 'escalated', suppressed: 'no_action_required' };
  const incidents = new Map(), executions = new Map(), approvals = new Map(), assessments = [];
  let pauses = [];

  const definition = {
    id: 'rollback-deployment', version: 2, description: 'Back to the newest revision that worked', risk: 'medium',
    steps: [
      { id: 'preflight', kind: 'parallel', join: 'all', branches: [
        [{ id: 'diagnostics', action: 'collect_diagnostics', with: { lines: 200 } }],
        [{ id: 'quota', action: 'check_quota' }, { id: 'headroom', kind: 'assert', if: 'cluster.ready_nodes > 2' }],
      ] },
      { id: 'rollback', action: 'rollback_deployment', with: { to_revision: 'previous' }, needs: ['preflight'], timeout: '10m', retry: { tries: 2 } },
      { id: 'healthy', kind: 'branch', if: 'steps.rollback.output.available < 2', then: [{ id: 'scale', action: 'scale_workload', with: { replicas: 3 } }], else: [] },
      { id: 'leftovers', kind: 'loop', for_each: 'facts.stuck_pods', body: [{ id: 'evict', action: 'evict_pod' }] },
    ],
    verify: [{ id: 'settled', kind: 'wait', duration: '60s', until: 'facts.crash.looping == false' }],
    finally: [{ id: 'tell', kind: 'notify', message: 'rolled back' }],
  };

  function make(i) {
    const [fault, kind, workflow, alert] = cases[i % cases.length];
    const cluster = clusters[i % clusters.length];
    const name = kind === 'Node' ? `node-${i % 40}` : names[i % names.length];
    const state = states[i % states.length];
    const opened = 40 + i * 97;
    const key = `${cluster.id}/${kind === 'Node' ? '_' : ['shop', 'billing', 'platform'][i % 3]}/${kind}/${name}`;
    const target = { key, uid: `uid-${i}`, resource_version: '81723', observed_at: ago(opened) };
    const plan = {
      id: `pln_${i}`, workflow, version: 2, fault_class: fault, target, params: { to_revision: 14, container: 'app' }, risk: 'medium', p: 0.94, rank_score: 0.812, posterior_version: 'v1',
      reasons: ['revision 15 crashes and revision 14 ran for 6 days', 'helped in 11 of 12 cases on this fleet'],
      alternatives: [{ workflow: 'graceful-restart', rank_score: 0.211, why_not: 'a restart runs the same broken revision again' }, { workflow: 'diagnose-and-notify', rank_score: 0.05, why_not: 'a better plan is allowed' }], hash: 'ab12',
    };
    const ended = ['resolved', 'escalated', 'suppressed'].includes(state);
    const diagnosed = state !== 'diagnosing';
    const incident = {
      id: `inc_${String(100000 - i)}`, cluster: cluster.id, environment: cluster.environment, target, resolution: 'exact', correlation_key: key, incident_key: key, fault_class: diagnosed ? fault : '', p: diagnosed ? 0.94 : 0,
      state, outcome: outcomes[state] ?? 'none', severity: 'critical', alert_name: alert, signals_firing: ended ? 0 : 2, signals_total: 3, tried: [], state_reason: state === 'held' ? 'cooldown' : state === 'escalated' ? 'no_good_revision' : '',
      opened_at: ago(opened), updated_at: ago(opened - 20), next_look_at: ago(0), version: 7,
      story: [
        { at: ago(opened), kind: 'seen', text: `${alert}: 3 restarts of ${name}-5d8c-x2lvp in 10 m` },
        { at: ago(opened - 1), kind: 'seen', text: 'watch: CrashLoopBackOff for 31 s, confirmed by a second read' },
        ...(diagnosed ? [{ at: ago(opened - 6), kind: 'diagnosed', text: `${fault} (p 0.94): all crashing pods are of revision 15, which began 2 m ago; revision 14 was available` },
          { at: ago(opened - 6), kind: 'decided', text: `${workflow} to revision 14: helped in 11 of 12 cases` },
          { at: ago(opened - 6), kind: 'not_chosen', text: 'graceful-restart: a restart runs the same broken revision again' },
          { at: ago(opened - 7), kind: 'guard', text: 'all 12 gates passed: budget 1 of 5 an hour on this cluster' }] : []),
        ...(ended ? [{ at: ago(opened - 9), kind: 'done', text: 'rollback_deployment: PATCH deployments → 200, revision 16 has the template of 14' }, { at: ago(opened - 31), kind: 'verified', text: '4 of 4 replicas available, no crash for 20 s' }] : []),
      ],
    };
    if (ended) incident.closed_at = ago(opened - 31);
    if (diagnosed) {
      incident.plan = plan;
      incident.diagnosis = {
        fault_class: fault, p: 0.94, margin: 0.61, made_at: ago(opened - 6),
        candidates: [
          { fault_class: fault, p: 0.94, excluded: false, for_facts: ['crash.looping', 'crash.all_newest', 'rollout.good_revision'], against_facts: [], unknown_facts: [], why_not: '' },
          { fault_class: 'config.bad_change', p: 0.33, excluded: false, for_facts: ['crash.looping'], against_facts: ['config.changed'], unknown_facts: [], why_not: 'no configuration that it uses changed in the last hour' },
          { fault_class: 'dep.down', p: 0.08, excluded: false, for_facts: [], against_facts: ['dep.down_first'], unknown_facts: ['dep.reachable'], why_not: 'all services that it calls have endpoints' },
          { fault_class: 'oom.limit_too_low', p: 0, excluded: true, for_facts: [], against_facts: ['crash.oom_killed'], unknown_facts: [], why_not: 'the exit code is 1, not 137' },
        ],
        facts: [
          { name: 'crash.looping', value: true, state: 'yes', source: 'watch:pods', observed_at: ago(opened - 5) },
          { name: 'crash.exit_code', value: 1, state: 'yes', source: 'watch:pods', observed_at: ago(opened - 5) },
          { name: 'crash.oom_killed', value: false, state: 'no', source: 'watch:pods', observed_at: ago(opened - 5) },
          { name: 'rollout.good_revision', value: 14, state: 'yes', source: 'live:replicasets', observed_at: ago(opened - 6) },
          { name: 'rollout.image', value: 'registry.example/cart:2.14.1', state: 'yes', source: 'change', observed_at: ago(opened + 118) },
          { name: 'dep.reachable', value: null, state: 'unknown', source: 'metric:probe_success', observed_at: ago(opened + 3000) },
        ],
      };
    }
    incidents.set(incident.id, incident);
    if (['resolved', 'remediating'].includes(state)) {
      const id = `exe_${100000 - i}`;
      const done = state === 'resolved';
      const step = (path, more) => ({ execution: id, path, id: path.split('/').at(-1), kind: 'action', action: '', state: 'succeeded', attempt: 1, params: {}, pre_image: null, output: null, request_digest: '', error: '', error_code: '', started_at: ago(opened - 8), finished_at: ago(opened - 9), mutating: false, compensation: false, ...more });
      const execution = { id, cluster: cluster.id, incident: incident.id, plan, definition, context: {}, state: done ? 'succeeded' : 'running', dry_run: false, requested_by: 'kubernaut', error: '', reason: '', owner: 'hub-1', epoch: 1, cancel_requested: false, cancel_by: '', kills: 0, created_at: ago(opened - 7), updated_at: ago(opened - 9), started_at: ago(opened - 7), ...(done ? { finished_at: ago(opened - 31) } : {}),
        steps: [step('preflight', { kind: 'parallel' }), step('preflight[0]/diagnostics', { action: 'collect_diagnostics', output: { lines: 200, events: 12 } }), step('preflight[1]/quota', { action: 'check_quota' }), step('preflight[1]/headroom', { kind: 'assert' }),
          step('rollback', { action: 'rollback_deployment', mutating: true, attempt: 2, params: { to_revision: 14 }, pre_image: { revision: 15, image: 'registry.example/cart:2.14.1' }, output: done ? { revision: 16, available: 4 } : null, state: done ? 'succeeded' : 'in_flight', ...(done ? {} : { finished_at: undefined }) }),
          ...(done ? [step('rollback/verify', { id: 'rollback', kind: 'verify', action: 'rollback_deployment' }), step('healthy', { kind: 'branch', output: false }), step('healthy/scale', { state: 'skipped' }), step('leftovers', { kind: 'loop' }), step('leftovers[0]/evict', { action: 'evict_pod', mutating: true }), step('leftovers[1]/evict', { action: 'evict_pod', mutating: true }), step('verify/settled', { kind: 'wait' }), step('finally/tell', { kind: 'notify' })] : [])] };
      incident.execution = id;
      executions.set(id, execution);
      if (done) assessments.push({ id: `ass_${i}`, cluster: cluster.id, environment: cluster.environment, execution: id, incident: incident.id, incident_key: key, workflow, fault_class: fault, target: key, stage: 'final', action_at: ago(opened - 9), due_at: ago(opened - 900), ...(opened > 900 ? { done_at: ago(opened - 900) } : {}), resolved: 'yes', came_back: i % 7 ? 'no' : 'yes', side_effects: 'no', drift: 'no', score: i % 7 ? 0.96 : 0.4, confidence: 0.9, would_have_healed: 0.07, uplift: 0.89, attributable: true, note: '', looks: 3 });
    }
    if (state === 'awaiting_approval') {
      approvals.set(`apr_${i}`, { id: `apr_${i}`, cluster: cluster.id, incident: incident.id, plan_hash: 'ab12', workflow, target: key, risk: 'medium', needed: 1, votes: [], state: 'pending', reason: 'production: medium risk needs a person', asked_at: ago(60), expires_at: ago(-840) });
    }
    return incident;
  }
  for (let i = count - 1; i >= 0; i--) make(i);

  // One incident lives in front of the reader's eyes.
  let turn = 0, live;
  const timer = setInterval(() => {
    if (turn % 6 === 0) {
      const n = count + 1000 + turn;
      live = make(n * 10 + 8);
      Object.assign(live, { id: `inc_9${n}`, opened_at: ago(0), updated_at: ago(0), version: 1, story: [{ at: ago(0), kind: 'seen', text: 'KubePodCrashLooping: 3 restarts in 10 m' }] });
      incidents.set(live.id, live);
    } else {
      const next = ['diagnosing', 'planned', 'remediating', 'verifying', 'resolved'][(turn % 6) - 1];
      live.state = next;
      live.version++;
      live.updated_at = ago(0);
      if (next === 'planned') Object.assign(live, { fault_class: 'crashloop.bad_rollout', p: 0.94 });
      if (next === 'resolved') Object.assign(live, { outcome: 'remediated', closed_at: ago(0) });
      live.story.push({ at: ago(0), kind: { diagnosing: 'state', planned: 'diagnosed', remediating: 'decided', verifying: 'done', resolved: 'verified' }[next], text: `now ${next}` });
    }
    turn++;
    publish('incident', live);
  }, 1500);

  const brief = ({ story, diagnosis, ...rest }) => ({ ...rest, last: story.at(-1).text });
  const slim = ({ definition: _d, context: _c, steps: _s, ...rest }) => rest;
  const server = createServer((req, res) => {
    const url = new URL(req.url, 'http://x');
    const send = (status, body) => { res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }); res.end(JSON.stringify(body)); };
    const missing = () => send(404, { error: { code: 'not_found', message: 'no such thing' } });
    if (!url.pathname.startsWith('/api/v1/')) {
      const file = join(dist, normalize(url.pathname === '/' ? '/index.html' : url.pathname));
      if (!existsSync(file)) return missing();
      res.writeHead(200, { 'Content-Type': types[extname(file)] ?? 'application/octet-stream', 'Content-Security-Policy': csp });
      return createReadStream(file).pipe(res);
    }
    if (token && req.headers.authorization !== `Bearer ${token}`) return send(401, { error: { code: 'unauthenticated', message: 'a bearer token or a known client certificate is needed' } });
    const [what, id, verb] = url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent);
    const q = url.searchParams;
    const page = (items) => { const from = Number(q.get('cursor') ?? 0), limit = Number(q.get('limit') ?? 50); send(200, { items: items.slice(from, from + limit), ...(from + limit < items.length ? { next: String(from + limit) } : {}) }); };
    if (what === 'stream') {
      res.writeHead(200, { 'Content-Type': 'text/event-stream' });
      res.write(': hello\n\n');
      listeners.add(res);
      return req.on('close', () => listeners.delete(res));
    }
    let body = '';
    req.on('data', (d) => (body += d));
    req.on('end', () => {
      const doc = body ? JSON.parse(body) : {};
      if (what === 'whoami') return send(200, { name: 'local-admin', version: '0.1.0' });
      if (what === 'incidents' && !id) return page([...incidents.values()].filter((i) => q.get('open') !== 'true' || !['resolved', 'escalated', 'suppressed'].includes(i.state)).sort((a, b) => b.opened_at.localeCompare(a.opened_at)).map(brief));
      if (what === 'incidents') {
        const incident = incidents.get(id);
        if (!incident) return missing();
        return send(200, { ...incident, signals: [{ id: 's1', source: 'alertmanager', name: incident.alert_name, status: 'firing', state: 'correlated', severity: 'critical', received_at: incident.opened_at, annotations: { summary: 'Pod is crash looping' }, count: 3 }], executions: [...executions.values()].filter((e) => e.incident === id).map(slim), approvals: [...approvals.values()].filter((a) => a.incident === id), assessments: assessments.filter((a) => a.incident === id) });
      }
      if (what === 'executions' && !id) return page([...executions.values()].filter((e) => !q.get('state') || q.get('state').split(',').includes(e.state)).map(slim));
      if (what === 'executions') {
        const execution = executions.get(id);
        if (!execution) return missing();
        if (verb === 'cancel') { Object.assign(execution, { cancel_requested: true, cancel_by: 'local-admin' }); publish('execution', execution); }
        return send(200, execution);
      }
      if (what === 'clusters' && id) return send(200, { ...clusters.find((c) => c.id === id), locks: [{ object: `${id}/shop/Deployment.apps/cart`, execution: [...executions.keys()][0] }], watches: { pods: { objects: 812, synced: true, last_heard: ago(1) }, 'deployments.apps': { objects: 96, synced: true, last_heard: ago(4) }, nodes: { objects: 40, synced: true, last_heard: ago(9) } } });
      if (what === 'clusters') return page(clusters);
      if (what === 'approvals' && id) {
        const approval = approvals.get(id), incident = incidents.get(approval.incident), granted = verb === 'grant';
        approval.state = granted ? 'granted' : 'rejected';
        approval.votes.push({ by: 'local-admin', granted, comment: doc.comment ?? '', at: ago(0) });
        Object.assign(incident, { state: granted ? 'remediating' : 'escalated', version: incident.version + 1 });
        incident.story.push({ at: ago(0), kind: 'approval', text: `${approval.state} by local-admin` });
        publish('approval', approval);
        publish('incident', incident);
        return send(200, approval);
      }
      if (what === 'approvals') return send(200, { items: [...approvals.values()].filter((a) => !q.get('state') || a.state === q.get('state')) });
      if (what === 'pauses') {
        const key = (p) => `${p.cluster}/${p.ns}`;
        if (req.method === 'POST') { const pause = { cluster: doc.scope === 'fleet' ? '_fleet' : doc.cluster, ns: '', by: 'local-admin', reason: doc.reason, since: ago(0) }; pauses.push(pause); publish('pause', pause); return send(200, pause); }
        if (req.method === 'DELETE') { const gone = q.get('scope') === 'fleet' ? '_fleet/' : `${q.get('cluster')}/${q.get('namespace') ?? ''}`; pauses = pauses.filter((p) => key(p) !== gone); return send(200, { paused: false }); }
        return send(200, { items: pauses });
      }
      if (what === 'assessments') return page(assessments);
      if (what === 'posteriors') return send(200, { items: cases.flatMap(([fault, , workflow], i) => ['_fleet', '_env/prod', 'prod-eu-1'].map((scope) => ({ scope, workflow, fault_class: fault, a: 11 - i, b: i, n: 12, updated_at: ago(300 * i), version: 1 }))) });
      missing();
    });
  });
  return new Promise((done) => server.listen(port, '127.0.0.1', () => done({ url: `http://127.0.0.1:${server.address().port}/`, publish, dropStreams: () => { for (const res of listeners) res.destroy(); }, stop: () => { clearInterval(timer); server.closeAllConnections(); server.close(); } })));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await startMock({ port: Number(process.argv[2] ?? 8099), token: process.env.MOCK_TOKEN ?? '' });
  console.log(`mock hub on ${url}`);
}
