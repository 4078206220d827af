/** `jsg build` killed at any moment: the next run makes the same artefact. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sha256OfFile } from '../../src/files.js';
import { makeSite, makeVenv, type Site, writeRecipe } from './build-spec.js';
import { Jsg, jsg } from './jsg.js';

/** Builds side by side; each has a virtual environment of its own, but for the builds that make theirs. */
const LANES = 2;
const KILLS_A_LANE = 10;
/** Every so many builds one makes its environment too, which takes longer than the rest. */
const MAKES_VENV = 5;

let site: Site;
let recipe = '';
beforeAll(() => {
  site = makeSite();
  recipe = writeRecipe(site, 'recipe');
});
afterAll(() => rmSync(site.root, { recursive: true, force: true }));

const wheelIn = (folder: string) => join(folder, 'seed/demo/demo-0.2.0-py3-none-any.whl');

it(`makes the same artefact after kill -9 at ${LANES * KILLS_A_LANE} random moments`, async () => {
  const env = { ...site.env, SLOW: '0.5' };
  const build = (folder: string, venv: string | null) => [
    ...['build', recipe, '--build-dir', folder],
    ...(venv === null ? [] : ['--venv', venv]),
  ];
  /** Hash of the wheel, and how long an untouched run takes. */
  const untouched = async (name: string, venv: string | null) => {
    const folder = join(site.root, name);
    const { code, stderr, elapsedMs } = await jsg(build(folder, venv), { env });
    expect(code, stderr).toBe(0);
    return { sha256: await sha256OfFile(wheelIn(folder)), elapsedMs };
  };
  const venvs = Array.from({ length: LANES }, (_, lane) => makeVenv(site, `venv-${lane}`));
  const alone = await untouched('untouched', null);
  const shared = await untouched('untouched-shared', venvs[0] ?? null);
  expect(shared.sha256).toBe(alone.sha256);
  let numKilled = 0;
  const lane = async (number: number) => {
    for (let i = 0; i < KILLS_A_LANE; i++) {
      const folder = join(site.root, `killed-${number}-${i}`);
      const venv = i % MAKES_VENV === 0 ? null : (venvs[number] ?? null);
      const args = build(folder, venv);
      // Before the first 300 ms nothing has begun.
      const moment = Math.round(300 + Math.random() * ((venv === null ? alone : shared).elapsedMs - 300));
      const running = new Jsg(args, env);
      await sleep(moment);
      const killed = await running.end('SIGKILL');
      if (killed.code === null) numKilled += 1;
      const resumed = await jsg(args, { env });
      const context = `lane ${number}, build ${i}, killed after ${moment} ms:\n${killed.stderr}${resumed.stderr}`;
      expect(resumed.code, context).toBe(0);
      expect(await sha256OfFile(wheelIn(folder)), context).toBe(alone.sha256);
      const python = join(venv ?? join(folder, 'seed/venv'), 'bin/python');
      const imported = await execa(python, ['-I', '-c', 'import demo; print(demo.__version__)']);
      expect(imported.stdout, context).toBe('0.2.0');
      rmSync(folder, { recursive: true });
    }
  };
  await Promise.all(venvs.map((_, number) => lane(number)));
  expect(numKilled).toBeGreaterThan((LANES * KILLS_A_LANE) / 2);
});
