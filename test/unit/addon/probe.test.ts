import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CONTRACT, loadBinding } from '../../../src/addon/binding.js';
import { explainLoadFailure } from '../../../src/addon/load-failure.js';
import { probeAddon } from '../../../src/addon/probe.js';
import { version } from '../../../src/version.js';

let folder: string;
const { XDG_CACHE_HOME } = process.env;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'jsg-probe-'));
  process.env.XDG_CACHE_HOME = folder;
});
afterEach(() => {
  if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
  else process.env.XDG_CACHE_HOME = XDG_CACHE_HOME;
  rmSync(folder, { recursive: true });
});

/** A stand-in for an addon: the child `require`s it just the same. Each load leaves a mark. */
function write(name: string, body: string): string {
  const path = join(folder, name);
  writeFileSync(path, `require('node:fs').appendFileSync(${JSON.stringify(`${path}.loads`)}, 'x');\n${body}`);
  return path;
}
const numLoads = (path: string) => readFileSync(`${path}.loads`, 'utf8').length;

describe('probeAddon', () => {
  it('tries a file once, and again when it has changed', async () => {
    const path = write('good.cjs', '');
    await probeAddon(path);
    await probeAddon(path);
    expect(numLoads(path)).toBe(1);
    utimesSync(path, 1, 1);
    await probeAddon(path);
    expect(numLoads(path)).toBe(2);
  });

  it.each(['SIGILL', 'SIGSEGV'])('survives a %s and says what it means', async (signal) => {
    const path = write('bad.cjs', `process.kill(process.pid, '${signal}'); setInterval(() => {}, 1000);`);
    const failure = probeAddon(path);
    await expect(failure).rejects.toMatchObject({
      code: 'E_ADDON_LOAD_FAILED',
      message: expect.stringContaining(signal),
      hint: expect.stringContaining('npm run build'),
    });
    await expect(probeAddon(path)).rejects.toThrow();
    expect(numLoads(path)).toBe(2);
  });

  it('says that nothing has been built', async () => {
    await expect(probeAddon(join(folder, 'none.node'))).rejects.toMatchObject({
      code: 'E_ADDON_LOAD_FAILED',
      message: expect.stringContaining('it has not been built'),
      hint: expect.stringContaining('npm run build'),
    });
  });

  it('says that a file is no addon of this machine', async () => {
    const path = join(folder, 'text.node');
    writeFileSync(path, 'this is no shared object, though it is long enough to be looked at by the loader');
    await expect(probeAddon(path)).rejects.toMatchObject({
      message: expect.stringMatching(/damaged, or was built for another machine/),
    });
  });

  it('works without a place to remember', async () => {
    const path = write('good.cjs', '');
    writeFileSync(join(folder, 'file'), '');
    process.env.XDG_CACHE_HOME = join(folder, 'file');
    await probeAddon(path);
    await probeAddon(path);
    expect(numLoads(path)).toBe(2);
  });
});

describe('loadBinding', () => {
  it('refuses an addon of another version, and may be asked again', async () => {
    const path = write('stale.cjs', `module.exports = { version: '0.0.0-old' };`);
    vi.stubEnv('JSG_ADDON', path);
    const stale = { code: 'E_ADDON_LOAD_FAILED', hint: expect.stringContaining('npm run build') };
    await expect(loadBinding()).rejects.toMatchObject({ ...stale, message: expect.stringContaining('0.0.0-old') });
    const fresh = `module.exports = { version: '${version()}', contract: ${CONTRACT} };`;
    vi.stubEnv('JSG_ADDON', write('fresh.cjs', fresh));
    expect((await loadBinding()).version).toBe(version());
    vi.unstubAllEnvs();
  });

  it('refuses an addon of another contract, and one from before there was a number', async () => {
    vi.resetModules();
    const { loadBinding: loadAgain } = await import('../../../src/addon/binding.js');
    for (const [name, contract] of [
      ['older.cjs', CONTRACT - 1],
      ['newer.cjs', CONTRACT + 1],
      ['none.cjs', undefined],
    ] as const) {
      vi.stubEnv('JSG_ADDON', write(name, `module.exports = { version: '${version()}', contract: ${contract} };`));
      await expect(loadAgain()).rejects.toMatchObject({
        code: 'E_ADDON_LOAD_FAILED',
        message: `${join(folder, name)} follows contract ${contract ?? 0} of the addon, jsg ${CONTRACT}`,
        hint: expect.stringContaining('npm run build'),
      });
    }
    vi.unstubAllEnvs();
  });

  it('the native sources name the same contract', () => {
    const source = readFileSync(new URL('../../../native/addon/addon.cpp', import.meta.url), 'utf8');
    expect(source).toContain(`kContract = ${CONTRACT};`);
  });
});

describe('explainLoadFailure', () => {
  it.each([
    ["Error: /lib/libc.so.6: version `GLIBC_2.38' not found (required by /x/jsg.node)", 'newer Linux'],
    ['Error: libstdc++.so.6: cannot open shared object file: No such file or directory', 'system library'],
    ['Error: /x/jsg.node: wrong ELF class: ELFCLASS32', 'another machine'],
    ['Error: Module did not self-register: /x/jsg.node', 'does not fit Node.js'],
    ['Error: /x/jsg.node: failed to map segment from shared object', 'does not let it be loaded'],
  ])('%s', (said, meaning) => {
    const error = explainLoadFailure('/x/jsg.node', `node:internal\n  throw\n\n${said}\n    at x`, null);
    expect(error.message).toContain(meaning);
    expect(error.message).toContain(said.replace('Error: ', ''));
    expect(error.hint).toBeTruthy();
  });
});
