// Chromium, headless, as the tests use it.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const require = createRequire(join(root, 'web/package.json'));

/** The reason why there can be no browser test here, or undefined. */
export function missing() {
  if (!chromiumPath()) return 'no chromium';
  for (const name of ['playwright-core', 'axe-core']) {
    try {
      require.resolve(name);
    } catch {
      return `web/node_modules has no ${name} (make web)`;
    }
  }
  return undefined;
}

export function chromiumPath() {
  return [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => path && existsSync(path));
}

export async function launch() {
  const { chromium } = require('playwright-core');
  return chromium.launch({
    executablePath: chromiumPath(),
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-quic', '--no-first-run', '--disable-dev-shm-usage'],
  });
}

/** A page whose console errors, failed loads and exceptions are collected in `troubles`. */
export async function openPage(browser, { scheme = 'light', width = 1440, height = 900 } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme });
  if (process.env.E2E_PAGE) await servePageFrom(context, process.env.E2E_PAGE);
  const page = await context.newPage();
  const troubles = [];
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') troubles.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => troubles.push(`exception: ${error.message}`));
  page.setDefaultTimeout(20_000);
  return { page, troubles, context };
}

/** For work on the page: its files come from a folder (E2E_PAGE=web/dist) and not from the binary, with the headers that the hub gives to the page. */
async function servePageFrom(context, folder) {
  await context.route((url) => !url.pathname.startsWith('/api/'), async (route) => {
    const { pathname } = new URL(route.request().url());
    const path = join(folder, pathname === '/' ? 'index.html' : pathname);
    if (!existsSync(path)) return route.continue();
    if (pathname === '/') return route.fulfill({ response: await route.fetch(), path });
    return route.fulfill({ path });
  });
}

/** Serious and critical findings of axe-core, as lines. The policy of the page allows no foreign script, so axe runs in the page's own world. */
export async function accessibility(page) {
  const { readFileSync } = await import('node:fs');
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
  const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return result.violations.filter((v) => v.impact === 'serious' || v.impact === 'critical').map((v) => `${v.id} (${v.impact}): ${v.help}; ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.any[0]?.message ?? ''}`).join(' | ')}`);
}
