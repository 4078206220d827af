import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { GREEDY } from '../../src/addon/binding.js';
import { packageRoot } from '../../src/version.js';
import { dummySpec, slowSpec } from './runtime-spec.js';

const addon = resolve(process.env.JSG_ADDON ?? resolve(packageRoot, 'build/Release/jsg.node'));
const child = fileURLToPath(new URL('runtime-exit-child.mjs', import.meta.url));
/** Slow enough to be in the middle of an answer for seconds. */
const small = slowSpec();
const large = dummySpec({}, { hiddenSize: 1024, intermediateSize: 4096, numHeads: 16, headDim: 64, numLayers: 6 });

/** For what it writes. */
const folder = mkdtempSync(join(tmpdir(), 'jsg-exit-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** How the process ended, and what it wrote. A process that hangs is killed, one that crashes has a signal. */
async function end(way: string): Promise<{ code: number; signal: string | null; output: string; said: string }> {
  const args = [child, addon, way, ...[small, large, GREEDY].map((each) => JSON.stringify(each))];
  try {
    const options = { timeout: 60_000, env: { ...process.env, FOLDER: folder } };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options);
    return { code: 0, signal: null, output: stdout, said: stderr };
  } catch (error) {
    const { code, signal, stdout, stderr } = error as { code: number; signal: string; stdout: string; stderr: string };
    return { code, signal, output: stdout, said: stderr };
  }
}

describe('a process with a runtime', () => {
  it.each([
    'exit while loading',
    'exit while running',
    'exit in a listener',
    'exit while stopping',
    'exit while measuring',
    'exit while quantising',
    'exit while saving',
    'exit while compiling',
  ])('can %s', async (way) => {
    expect(await end(way)).toEqual({ code: 7, signal: null, output: '', said: '' });
  });

  it.each(['end idle', 'end after stop'])('can %s: nothing keeps it alive', async (way) => {
    expect(await end(way)).toEqual({ code: 0, signal: null, output: '', said: '' });
  });

  it('lives as long as tokens are to come', async () => {
    expect(await end('end after the last token')).toMatchObject({ code: 0, output: '20 tokens' });
  });

  it('hears of a listener that throws as of any uncaught exception', async () => {
    expect(await end('throw in a listener')).toMatchObject({ code: 7, output: 'caught mine' });
  });

  it('can run it in workers, which end in any way', async () => {
    expect(await end('terminate workers')).toEqual({ code: 0, signal: null, output: 'all gone', said: '' });
  });
});
