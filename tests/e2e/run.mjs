// The page in a real browser against the real binary: `kubernaut demo` with its simulated clusters. Exit 77 when there is no browser, page or binary here.
// Everything that is shown is compared with what the API says. KUBERNAUT_BIN names the binary, E2E_OUT the folder of the screenshots.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accessibility, launch, missing, openPage, root } from './browser.mjs';
import { binary, startDemo } from './demo.mjs';

const out = process.env.E2E_OUT ?? join(root, 'build/e2e');
// One fault that is cured without asking and one that a person has to agree to (tests/scenarios).
const scenarios = process.env.E2E_ONLY ?? 'S01,S24';
const faultLimit = 240_000;

const reason = missing() ?? (binary() ? undefined : 'no binary') ?? (existsSync(join(root, 'web/dist/index.html')) ? undefined : 'web/dist was not built');
if (reason) {
  console.log(`skipped: ${reason}`);
  process.exit(77);
}

mkdirSync(out, { recursive: true });
const demo = await startDemo(['--only', scenarios]);
demo.death.catch(() => {});
const browser = await launch();
let failures = 0;
let count = 0;
async function check(name, body) {
  const began = Date.now();
  count++;
  try {
    await Promise.race([body(), demo.death]);
    console.log(`ok ${count} - ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failures++;
    console.log(`not ok ${count} - ${name}\n  ${String(error.stack ?? error).replaceAll('\n', '\n  ')}`);
    await view.page.screenshot({ path: join(out, `failed-${count}.png`) }).catch(() => {});
  }
}
async function until(what, limit, test) {
  const end = Date.now() + limit;
  for (;;) {
    const value = await test();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${limit / 1000} s: ${what}`);
    await new Promise((done) => setTimeout(done, 200));
  }
}

const view = await openPage(browser);
const { page, troubles } = view;
const tab = (name) => page.getByRole('navigation').getByRole('link', { name });
const row = (id) => page.locator(`tr[data-incident="${id}"]`);

await check('the page loads, is live and shows every cluster of the API', async () => {
  const answer = await page.goto(demo.url);
  assert.match(answer.headers()['content-security-policy'] ?? '', /default-src 'self'/);
  await page.locator('#link', { hasText: /^live$/ }).waitFor({ timeout: 60_000 });
  await tab('Clusters').click();
  const clusters = (await demo.api('clusters')).items;
  assert.ok(clusters.length > 0);
  for (const cluster of clusters) await page.getByRole('article', { name: `Cluster ${cluster.id}` }).waitFor();
  await until('all clusters are shown as healthy', 60_000, async () => (await page.locator('article .verdict', { hasText: 'healthy' }).count()) === clusters.length);
});

await check('a cluster shows its watches', async () => {
  await page.getByRole('button', { name: 'watches and locks' }).first().click();
  await page.getByRole('cell', { name: 'pods', exact: true }).waitFor();
  assert.deepEqual(await accessibility(page), []);
});

await check('pausing and resuming the fleet and one cluster works', async () => {
  await page.getByRole('button', { name: 'Pause fleet' }).click();
  await page.getByPlaceholder('reason').fill('e2e');
  await page.getByRole('button', { name: 'Pause everything' }).click();
  await page.getByRole('button', { name: 'Resume fleet' }).waitFor();
  assert.equal((await demo.api('pauses')).items.find((p) => p.cluster === '_fleet')?.reason, 'e2e');
  assert.deepEqual(await accessibility(page), []);
  await page.getByRole('button', { name: 'Resume fleet' }).click();
  await page.getByRole('button', { name: 'Pause fleet' }).waitFor();
  const card = page.getByRole('article').first();
  await card.getByRole('button', { name: 'Pause', exact: true }).click();
  await card.getByRole('button', { name: /^Pause ./ }).click();
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByRole('button', { name: 'Pause', exact: true }).waitFor();
  assert.deepEqual((await demo.api('pauses')).items, []);
});

await check('incidents appear live, without loading the page again', async () => {
  await tab('Incidents').click();
  await page.evaluate(() => (globalThis.notReloaded = true));
  await page.locator('tr[data-incident]').first().waitFor({ timeout: faultLimit });
  assert.equal(await page.evaluate(() => globalThis.notReloaded), true);
  const id = await page.locator('tr[data-incident]').first().getAttribute('data-incident');
  const known = await demo.api(`incidents/${id}`);
  assert.ok((await row(id).innerText()).includes(known.target.key.split('/').at(-1)));
});

await check('approving a plan in the page lets it go on', async () => {
  // The demo's own scripted approver answers some seconds after the question; whoever is later loses, so every question is tried until ours counts.
  const tried = new Set();
  await until('a vote from the page counts', faultLimit, async () => {
    const asked = (await demo.api('approvals?state=pending')).items.find((a) => !tried.has(a.id));
    if (!asked) return false;
    tried.add(asked.id);
    await page.goto(`${demo.url}#/incidents/${asked.incident}`);
    const button = page.getByRole('button', { name: 'Approve' });
    try {
      await button.waitFor({ timeout: 10_000 });
      await page.screenshot({ path: join(out, 'approval.png') });
      await page.getByPlaceholder('comment').fill('looks right');
      await button.click({ timeout: 3_000 });
    } catch {
      return false;
    }
    await button.waitFor({ state: 'detached' });
    const settled = (await demo.api(`incidents/${asked.incident}`)).approvals.find((a) => a.id === asked.id);
    const mine = settled.votes.find((v) => v.comment === 'looks right');
    if (!mine) {
      // The browser reports the refused vote; that is the approver's win, not a fault of the page.
      troubles.splice(0, troubles.length, ...troubles.filter((line) => !/status of (409|412)/.test(line)));
      return false;
    }
    assert.equal(mine.granted, true);
    await page.getByRole('region', { name: 'Approvals' }).getByText('looks right').waitFor();
    await until('the plan is carried out', 60_000, async () => ['remediating', 'verifying', 'resolved'].includes((await demo.api(`incidents/${asked.incident}`)).state));
    return true;
  });
});

let execution;
await check('an incident is cured and its story is told from seen to verified', async () => {
  const cured = await until('an incident is remediated', faultLimit, async () => (await demo.api('incidents?limit=100')).items.find((i) => i.outcome === 'remediated'));
  execution = cured.execution;
  await page.goto(`${demo.url}#/incidents`);
  await row(cured.id).locator('.badge', { hasText: 'resolved' }).waitFor();
  await row(cured.id).locator('a.open').click();
  const told = await demo.api(`incidents/${cured.id}`);
  const story = page.getByRole('region', { name: 'Story' });
  for (const title of ['Seen', 'Diagnosed', 'Decided', 'Done', 'Verified']) await story.locator('.story .title', { hasText: title }).first().waitFor();
  const text = (await story.locator('.story').textContent()).replace(/\s+/g, ' ');
  for (const entry of told.story) assert.ok(text.includes(entry.text.replace(/\s+/g, ' ').trim()), `the story lacks "${entry.text}"`);
  const diagnosis = page.getByRole('region', { name: 'Diagnosis' });
  await diagnosis.getByText(told.fault_class, { exact: true }).first().waitFor();
  assert.equal(await page.getByRole('region', { name: 'Evidence' }).locator('tbody tr').count(), told.diagnosis.facts.length);
  await page.getByRole('region', { name: 'Plan' }).getByText(told.plan.workflow, { exact: true }).waitFor();
  assert.deepEqual(await accessibility(page), []);
  await page.screenshot({ path: join(out, 'incident.png') });
});

await check('its execution is drawn as a graph with the states of its steps', async () => {
  await page.getByRole('region', { name: 'Executions' }).getByRole('link').first().click();
  await page.waitForURL(/#\/executions\//);
  const shown = await demo.api(`executions/${execution}`);
  const graph = page.getByRole('region', { name: 'Graph of steps' });
  await graph.locator('[data-step]').first().waitFor();
  for (const step of shown.steps) {
    if (step.kind === 'verify') continue; // the check of an effect is shown with its step
    const name = step.id;
    await graph.locator('[data-step]', { hasText: name }).first().waitFor();
  }
  assert.ok((await graph.locator('[data-state="succeeded"]').count()) > 0);
  const changing = shown.steps.find((s) => s.mutating);
  assert.ok(changing, 'a cure changes something');
  await graph.locator(`[data-step="${changing.path}"]`).click();
  const panel = page.getByRole('region', { name: 'Step' });
  await panel.getByText('Before (pre-image)').click();
  assert.ok((await panel.locator('pre').count()) > 0);
  assert.deepEqual(await accessibility(page), []);
  await page.screenshot({ path: join(out, 'execution.png') });
});

await check('filters, keys and deep links work', async () => {
  await page.goto(`${demo.url}#/incidents`);
  await page.locator('tr[data-incident]').first().waitFor();
  await page.keyboard.press('/');
  await page.keyboard.type('no such thing anywhere');
  await page.getByText('Nothing matches these filters.').waitFor();
  await page.getByPlaceholder('search').fill('');
  await page.getByLabel('State').selectOption('ended');
  const ended = (await demo.api('incidents?limit=100')).items.filter((i) => ['resolved', 'escalated', 'suppressed', 'duplicate'].includes(i.state));
  await until('only ended ones are shown', 10_000, async () => (await page.locator('tr[data-incident]').count()) >= Math.min(ended.length, 1));
  await page.getByLabel('State').selectOption('all');
  await page.locator('a.open').first().focus();
  await page.keyboard.press('Enter');
  await page.getByRole('article', { name: 'Incident' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('article', { name: 'Incident' }).waitFor({ state: 'detached' });
  const fresh = await openPage(browser, { scheme: 'dark' });
  await fresh.page.goto(`${demo.url}#/executions/${execution}`);
  await fresh.page.getByRole('region', { name: 'Graph of steps' }).locator('[data-step]').first().waitFor();
  assert.deepEqual(await accessibility(fresh.page), []);
  await fresh.page.screenshot({ path: join(out, 'execution-dark.png') });
  await fresh.page.goto(`${demo.url}#/learned`);
  await fresh.page.getByRole('heading', { name: 'What helps' }).waitFor();
  assert.deepEqual(await accessibility(fresh.page), []);
  assert.deepEqual(fresh.troubles, []);
  await fresh.context.close();
});

await check('when the connection breaks the page says so, comes back by itself and is up to date', async () => {
  await tab('Incidents').click();
  await view.context.setOffline(true);
  await page.locator('#link', { hasText: 'reconnecting' }).waitFor({ timeout: 60_000 });
  await page.screenshot({ path: join(out, 'reconnecting.png') });
  troubles.length = 0;
  await view.context.setOffline(false);
  await page.locator('#link', { hasText: /^live$/ }).waitFor({ timeout: 60_000 });
  const ids = (await demo.api('incidents?limit=100')).items.map((i) => i.id);
  for (const id of ids.slice(0, 5)) await row(id).waitFor();
  // The browser itself reports the tries of the time in between.
  const own = troubles.filter((line) => !line.includes('ERR_INTERNET_DISCONNECTED'));
  troubles.splice(0, troubles.length, ...own);
});

await check('the console stayed clean and the demo ends cleanly', async () => {
  assert.deepEqual(troubles, []);
  await page.screenshot({ path: join(out, 'incidents.png') });
  await browser.close();
  assert.equal(await demo.stop(), 0, demo.output());
});

await browser.close().catch(() => {});
await demo.stop();
console.log(`1..${count}\n${failures === 0 ? 'all passed' : `${failures} failed`}; pictures in ${out}`);
process.exit(failures === 0 ? 0 : 1);
