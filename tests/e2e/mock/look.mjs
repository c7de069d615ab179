// Development only: pictures of every view against the mock hub, and the page's troubles and accessibility findings. `node tests/e2e/mock/look.mjs [folder]`
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { accessibility, launch, openPage, root } from '../browser.mjs';
import { startMock } from './server.mjs';

const out = process.argv[2] ?? join(root, 'build/web-look');
mkdirSync(out, { recursive: true });
const hub = await startMock();
const browser = await launch();
for (const scheme of ['light', 'dark']) {
  const { page, troubles, context } = await openPage(browser, { scheme });
  const shot = async (name) => {
    await page.screenshot({ path: join(out, `${scheme}-${name}.png`) });
    for (const line of await accessibility(page)) console.log(`${scheme} ${name}: ${line}`);
  };
  await page.goto(hub.url);
  await page.getByText('live', { exact: true }).waitFor();
  await page.waitForTimeout(400);
  await shot('incidents');
  await page.locator('tr[data-incident]', { hasText: 'awaiting approval' }).first().click();
  await page.getByRole('button', { name: 'Approve' }).waitFor();
  await shot('approval');
  await page.goto(`${hub.url}#/incidents/inc_100000`);
  await page.getByRole('region', { name: 'Evidence' }).waitFor();
  await shot('incident');
  await page.goto(`${hub.url}#/executions`);
  await page.waitForTimeout(300);
  await shot('executions');
  await page.goto(`${hub.url}#/executions/exe_100000`);
  await page.getByRole('region', { name: 'Graph of steps' }).waitFor();
  await shot('execution');
  await page.goto(`${hub.url}#/executions/exe_99995`);
  await page.getByRole('button', { name: 'Cancel…' }).waitFor();
  await shot('running');
  await page.goto(`${hub.url}#/clusters`);
  await page.getByRole('button', { name: 'watches and locks' }).first().click();
  await page.getByText('deployments.apps').waitFor();
  await page.getByRole('button', { name: 'Pause fleet' }).click();
  await page.getByPlaceholder('reason').fill('release freeze');
  await page.getByRole('button', { name: 'Pause everything' }).click();
  await page.getByRole('button', { name: 'Resume fleet' }).waitFor();
  await shot('clusters');
  await page.getByRole('button', { name: 'Resume fleet' }).click();
  await page.goto(`${hub.url}#/learned`);
  await page.waitForTimeout(300);
  await shot('learned');
  await page.setViewportSize({ width: 420, height: 820 });
  await page.goto(`${hub.url}#/incidents`);
  await page.waitForTimeout(300);
  await shot('narrow');
  hub.dropStreams();
  await page.getByText('reconnecting', { exact: true }).waitFor();
  await page.getByText('live', { exact: true }).waitFor();
  console.log(scheme, 'troubles:', troubles);
  await context.close();
}
await browser.close();
hub.stop();
