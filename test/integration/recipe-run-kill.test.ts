/** The runner of recipes killed at any moment: the next run makes the same artefact, and nothing is left running. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256OfFile } from '../../src/files.js';
import { buildWheel, installWheel, makeUpstream, planOf, WHEEL } from './recipe-run-spec.js';

const NUM_KILLS = 10;
const root = mkdtempSync(join(tmpdir(), 'jsg-recipe-kill-'));
let upstream: { env: NodeJS.ProcessEnv; commit: string };

beforeAll(() => {
  upstream = makeUpstream(join(root, 'upstream'));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const start = (build: string, slow: string) =>
  execa(process.execPath, [fileURLToPath(new URL('recipe-run-child.mjs', import.meta.url)), plan(), build], {
    env: { ...upstream.env, SLOW: slow },
    reject: false,
    timeout: 60_000,
  });
const plan = () => JSON.stringify(planOf(upstream.commit, [buildWheel, installWheel]));

it('makes the same artefact after kill -9 at random moments', async () => {
  const untouched = join(root, 'untouched');
  expect((await start(untouched, '0')).stdout).toBe('ran 2');
  const build = join(root, 'killed');
  const moments = Array.from({ length: NUM_KILLS }, () => Math.round(200 + Math.random() * 4000));
  for (const moment of moments) {
    const child = start(build, '1');
    await sleep(moment);
    child.kill('SIGKILL');
    await child;
  }
  const last = await start(build, '0');
  expect(last.stdout, `killed after ${moments.join(', ')} ms`).toMatch(/^ran [012]$/);
  expect(await sha256OfFile(join(build, WHEEL))).toBe(await sha256OfFile(join(untouched, WHEEL)));
  const python = join(build, 'venv/bin/python');
  const imported = await execa(python, ['-I', '-c', 'import demo; print(demo.__version__)']);
  expect(imported.stdout).toBe('0.2.0');
  expect((await start(build, '0')).stdout).toBe('ran 0');
});

it('one of two runs at once does the work, the other is refused', async () => {
  const build = join(root, 'twice');
  const results = await Promise.all([start(build, '1'), start(build, '1')]);
  const said = results.map(({ stdout }) => stdout).sort();
  expect(said[0]).toContain('E_UNAVAILABLE: another build');
  expect(said[1]).toBe('ran 2');
  expect(existsSync(join(build, WHEEL))).toBe(true);
});
