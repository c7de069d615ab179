import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// The hub serves dist/ with a policy that allows nothing inline and nothing from elsewhere. Relative paths: it may sit behind any prefix.
export default defineConfig({
  base: './',
  plugins: [svelte({ configFile: false })],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: true,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8080' } },
  // One worker in this process' threads: on a busy machine the start of several would run into Vitest's own limit.
  test: { include: ['tests/**/*.test.ts'], pool: 'threads', maxWorkers: 1, isolate: false, testTimeout: 60_000 },
});
