// Starts `kubernaut demo` on a free port and knows how to ask its API, beside the page.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './browser.mjs';

export function binary() {
  return [process.env.KUBERNAUT_BIN, join(root, 'build/dev/apps/kubernaut/kubernaut')].find((path) => path && existsSync(path));
}

export async function startDemo(args, { limit = 60_000 } = {}) {
  const child = spawn(binary(), ['demo', '--listen', '127.0.0.1:0', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let stopping = false;
  const ended = new Promise((done) => child.on('exit', (code, signal) => done(signal ?? code)));
  const url = await new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`the demo named no page within ${limit} ms:\n${output}`)), limit);
    const hear = (data) => {
      output += data;
      const found = /https?:\/\/127\.0\.0\.1:(\d+)/.exec(output);
      if (found && found[1] !== '0') {
        clearTimeout(timer);
        done(`${found[0]}/`);
      }
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    void ended.then((code) => fail(new Error(`the demo ended with ${code}:\n${output}`)));
  });
  const api = async (path) => {
    const response = await fetch(`${url}api/v1/${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  return {
    url,
    api,
    output: () => output,
    /** Fails when the demo ends before it was asked to. */
    death: ended.then((code) => {
      if (!stopping) throw new Error(`the demo ended by itself with ${code}:\n${output.slice(-4000)}`);
      return new Promise(() => {});
    }),
    /** The exit code, or the signal that was needed. */
    async stop() {
      stopping = true;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      const code = await ended;
      clearTimeout(timer);
      return code;
    },
  };
}
