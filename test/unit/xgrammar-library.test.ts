/** Where XGrammar's sources come from when the addon is built, and what happens where they cannot be had. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readChoice, xgrammarLibrary } from '../../scripts/xgrammar/library.mjs';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'jsg-xgrammar-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const build = (env: Record<string, string>) => {
  const commands: string[][] = [];
  const cmake = (args: string[]) => commands.push(args);
  // No python: nothing is fetched.
  const options = { root, env: { JSG_PYTHON: '/none/python3', ...env }, cmake, jobs: 1, log: () => {} };
  return { result: xgrammarLibrary(options), commands };
};

describe("XGrammar's library", () => {
  it('is chosen by JSG_XGRAMMAR', () => {
    const archive = join(root, 'xgrammar.tar.gz');
    writeFileSync(archive, '');
    expect(readChoice({})).toEqual({ mode: 'AUTO', archive: null });
    expect(readChoice({ JSG_XGRAMMAR: 'off' })).toEqual({ mode: 'OFF', archive: null });
    expect(readChoice({ JSG_XGRAMMAR: archive })).toEqual({ mode: 'ON', archive });
    expect(() => readChoice({ JSG_XGRAMMAR: 'maybe' })).toThrow(/neither AUTO, ON or OFF nor a file/);
  });

  it('is left out, with a line that says why and what to do, where its sources cannot be fetched', () => {
    const { result, commands } = build({});
    expect(result.directory).toBeNull();
    expect(result.note).toMatch(
      /without structured output: pip could not fetch xgrammar==.*JSG_XGRAMMAR=\/path\/to\//s,
    );
    expect(commands).toEqual([]);
    expect(build({ JSG_XGRAMMAR: 'OFF' }).result).toMatchObject({ directory: null });
  });

  it('fails the build where it was asked for', () => {
    expect(() => build({ JSG_XGRAMMAR: 'ON' })).toThrow(/pip could not fetch/);
  });

  it('is built from nothing but the pinned archive', () => {
    const archive = join(root, 'xgrammar.tar.gz');
    writeFileSync(archive, 'something else');
    expect(() => build({ JSG_XGRAMMAR: archive })).toThrow(/has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}/);
  });
});
