import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkFixOptions, type Examined, fix } from '../../../src/commands/doctor-fix.js';
import type { Facts } from '../../../src/doctor/facts.js';
import type { Finding } from '../../../src/doctor/finding.js';

vi.mock('../../../src/doctor/json.js', () => ({
  toJson: (_: unknown, checks: Finding[]) => ({ checks: checks.map(({ id, status }) => ({ id, status })) }),
}));

/** A board whose clocks are locked once jetson_clocks has run. */
describe('--fix', () => {
  let folder = '';
  let out = '';
  const path = process.env.PATH;
  const ran = () =>
    existsSync(join(folder, 'log')) ? readFileSync(join(folder, 'log'), 'utf8').trim().split('\n') : [];
  const command = (name: string, body: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const check = (id: string, status: Finding['status'], fixText: string | null): Finding => ({
    ...{ id, group: 'performance', status, found: `${id} is ${status}`, expected: 'e', why: 'w', fix: fixText },
  });
  const examine = async (): Promise<Examined> => ({
    facts: {} as Facts,
    findings: [
      check('clocks-locked', ran().includes('jetson_clocks') ? 'pass' : 'warn', 'sudo jetson_clocks'),
      check('power-mode', 'warn', 'sudo nvpmodel -m 0   # asks for a reboot'),
      check('desktop', 'warn', 'sudo systemctl isolate multi-user.target'),
    ],
  });
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jsg-fix-'));
    process.env.PATH = `${folder}:${path}`;
    for (const name of ['jetson_clocks', 'nvpmodel', 'systemctl']) command(name, `echo ${name} >> ${folder}/log`);
    command('sudo', 'shift; exec "$@"');
    out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += text;
      return true;
    });
    vi.spyOn(process.stderr, 'write').mockImplementation(() => true);
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  it('--yes runs what costs nothing, and neither reboots nor ends a session', async () => {
    expect(await fix({ fix: true, yes: true, sudo: true }, examine)).toBe(0);
    expect(ran()).toEqual(['jetson_clocks']);
    expect(out).toContain('done    clocks-locked');
    expect(out).toContain('clocks-locked: warn (clocks-locked is warn) -> pass (clocks-locked is pass)');
    expect(out).toMatch(/skipped power-mode: .*reboots the board at once/);
    expect(out).toMatch(/skipped desktop: .*not saved/);
  });

  it('--dry-run runs nothing', async () => {
    await fix({ fix: true, dryRun: true }, examine);
    expect(ran()).toEqual([]);
    expect(out).toContain('$ sudo jetson_clocks');
  });

  it('--json tells what was done', async () => {
    await fix({ fix: true, yes: true, sudo: true, json: true }, examine);
    const told = JSON.parse(out);
    expect(told.mends).toContainEqual(
      expect.objectContaining({ id: 'clocks-locked', command: 'sudo jetson_clocks', status: 'done' }),
    );
    expect(told.changes).toEqual([{ id: 'clocks-locked', before: 'warn', after: 'pass' }]);
    expect(told.checks[0]).toEqual({ id: 'clocks-locked', status: 'pass' });
  });

  it('a mend that fails is told, and the others still run', async () => {
    command('jetson_clocks', 'echo "Error: Failed to max GPU frequency!"; exit 1');
    await fix({ fix: true, yes: true, sudo: true }, examine);
    expect(out).toMatch(/failed {2}clocks-locked: .*exit code 1: Error: Failed to max GPU frequency!/);
  });

  it.runIf(process.getuid?.() !== 0)('uses no root without --sudo', async () => {
    await fix({ fix: true, yes: true }, examine);
    expect(ran()).toEqual([]);
    expect(out).toContain('add --sudo');
  });

  it.each([
    [{ yes: true }, /--yes: only with --fix/],
    [{ dryRun: true, sudo: true }, /--dry-run, --sudo: only with --fix/],
    [{ fix: true, root: '/x', yes: true }, /--root names another/],
    [{ fix: true }, /this is no terminal/],
  ])('refuses %j', (options, message) => {
    const terminal = process.stdin.isTTY;
    process.stdin.isTTY = false;
    expect(() => checkFixOptions(options)).toThrow(message);
    process.stdin.isTTY = terminal;
  });
});
