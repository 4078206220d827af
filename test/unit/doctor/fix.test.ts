import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../../src/doctor/finding.js';
import { changesBetween, commandLine, mendOf, mendsOf } from '../../../src/doctor/fix.js';
import { parseFix } from '../../../src/doctor/fix-command.js';
import { rootAccess, runMend } from '../../../src/doctor/fix-run.js';

const finding = (id: string, fix: string | null, status: Finding['status'] = 'warn'): Finding => ({
  id,
  group: 'performance',
  status,
  found: 'something',
  expected: 'something else',
  why: 'it matters',
  fix,
});

describe('parseFix', () => {
  it('reads commands, sudo and the note behind them', () => {
    expect(parseFix('sudo nvpmodel -m 0   # asks for a reboot: gated')).toEqual({
      commands: [['nvpmodel', '-m', '0']],
      needsRoot: true,
      note: 'asks for a reboot: gated',
    });
    expect(parseFix('a \'b c\' && d "e f"')?.commands).toEqual([
      ['a', 'b c'],
      ['d', 'e f'],
    ]);
  });

  it.each([
    'a | b',
    'a > /etc/x',
    'rm -rf $HOME',
    'a; b',
    'a `b`',
    'a "$(b)"',
    'a || b',
    'a & b',
    'ls *',
    '. ~/x/bin/activate',
    'a\nb',
    '',
    'sudo',
    'sudo -u root a',
    'free some space, or (else)',
  ])('leaves %j to a person', (fix) => {
    expect(parseFix(fix)).toBeNull();
  });
});

describe('mendOf', () => {
  it.each([
    ['clocks-locked', 'sudo jetson_clocks'],
    ['power-mode', 'sudo nvpmodel -m 2'],
    [
      'swap',
      'sudo fallocate -l 12G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile && sudo swapon /swapfile',
    ],
    ['toolchain', 'sudo apt-get install -y cmake g++'],
    ['gpu-access', 'sudo usermod -aG video,render me   # then log in anew'],
    ['pip-index', "sed -i -e 's#https://a.dev/x#https://a.io/x#' /home/me/.config/pip/pip.conf"],
  ])('%s: %s is safe', (id, fix) => {
    expect(mendOf(finding(id, fix))).toMatchObject({ id, reboots: false, costs: null });
  });

  it.each([
    ['clocks-locked', 'sudo rm -rf /'],
    ['power-mode', 'sudo nvpmodel -m 0 && sudo reboot'],
    ['toolchain', 'sudo apt-get remove cmake'],
    ['swap', 'sudo mkswap /dev/nvme0n1'],
    ['unknown-check', 'sudo jetson_clocks'],
    ['constructor', 'sudo jetson_clocks'],
    ['clocks-locked', null],
  ])('%s: %s is no mend of ours', (id, fix) => {
    expect(mendOf(finding(id, fix))).toBeNull();
  });

  it('has none for what passes or was not looked at', () => {
    expect(mendOf(finding('clocks-locked', 'sudo jetson_clocks', 'pass'))).toBeNull();
    expect(mendOf(finding('clocks-locked', 'sudo jetson_clocks', 'skip'))).toBeNull();
  });

  it('says what reboots and what is lost', () => {
    expect(mendOf(finding('power-mode', 'sudo nvpmodel -m 0   # asks for a reboot'))?.reboots).toBe(true);
    expect(mendOf(finding('desktop', 'sudo systemctl isolate multi-user.target'))?.costs).toMatch(/not saved/);
  });

  it('locks clocks after the mode is set, and reboots last', () => {
    const clocks = finding('clocks-locked', 'sudo jetson_clocks');
    const mode = finding('power-mode', 'sudo nvpmodel -m 2');
    const gated = finding('power-mode', 'sudo nvpmodel -m 0   # asks for a reboot');
    expect(mendsOf([clocks, mode]).map(({ id }) => id)).toEqual(['power-mode', 'clocks-locked']);
    expect(mendsOf([gated, clocks]).map(({ id }) => id)).toEqual(['clocks-locked', 'power-mode']);
  });

  it('shows the command as the finding does', () => {
    for (const fix of ['sudo jetson_clocks', "sed -i -e 's#https://a.dev/x#https://a.io/x#' /etc/pip.conf"]) {
      const parsed = parseFix(fix);
      expect(parsed && commandLine(parsed)).toBe(fix);
    }
  });
});

it('changesBetween tells what reads otherwise', () => {
  const before = [finding('a', null), finding('b', null), finding('c', null)];
  const after = [finding('a', null, 'pass'), finding('b', null)];
  expect(changesBetween(before, after).map(({ id, after: now }) => [id, now?.status ?? null])).toEqual([
    ['a', 'pass'],
    ['c', null],
  ]);
});

describe('runMend', () => {
  let folder = '';
  const path = process.env.PATH;
  const log = () => readFileSync(join(folder, 'log'), 'utf8');
  const command = (name: string, body: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >> "${folder}/log"\n${body}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const mend = (id: string, fix: string) => {
    const found = mendOf(finding(id, fix));
    if (found === null) throw new Error(`no mend for ${fix}`);
    return found;
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'jsg-fix-'));
    process.env.PATH = `${folder}:${path}`;
    writeFileSync(join(folder, 'log'), '');
  });
  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  it('runs the commands in order, and stops at the first that fails', async () => {
    command('fallocate', '');
    command('chmod', 'echo no; exit 3');
    command('mkswap', '');
    const swap = mend('swap', 'sudo fallocate -l 4G /swapfile && sudo chmod 600 /swapfile && sudo mkswap /swapfile');
    await expect(runMend(swap, 'direct')).rejects.toThrow(/chmod 600 \/swapfile: exit code 3: no/);
    expect(log()).toBe('fallocate -l 4G /swapfile\nchmod 600 /swapfile\n');
  });

  it('becomes root by sudo that never asks', async () => {
    command('sudo', 'shift; exec "$@"');
    command('jetson_clocks', '');
    await runMend(mend('clocks-locked', 'sudo jetson_clocks'), 'sudo');
    expect(log()).toBe('sudo -n jetson_clocks\njetson_clocks \n');
  });

  it('answers no question, and explains one that was asked', async () => {
    command(
      'nvpmodel',
      'echo "NVPM WARN: Reboot required for changing to this power mode: 0"; read answer && exit 0; echo "NVPM ERROR: bad input!"; exit 255',
    );
    const failed = runMend(mend('power-mode', 'sudo nvpmodel -m 0'), 'direct');
    await expect(failed).rejects.toMatchObject({ code: 'E_IO_FAILED', hint: expect.stringContaining('nvpmodel -m') });
    const agreed = mend('power-mode', 'sudo nvpmodel -m 0   # asks for a reboot');
    await expect(runMend(agreed, 'direct')).resolves.toBeUndefined();
  });

  it('installs packages without a question', async () => {
    command('apt-get', 'test "$DEBIAN_FRONTEND" = noninteractive');
    await runMend(mend('toolchain', 'sudo apt-get install cmake'), 'direct');
    expect(log()).toBe('apt-get -y -o DPkg::Lock::Timeout=60 install cmake\n');
  });

  it('says that a program is not there', async () => {
    process.env.PATH = folder;
    await expect(runMend(mend('clocks-locked', 'sudo jetson_clocks'), 'direct')).rejects.toThrow(/jetson_clocks/);
  });

  it.runIf(process.getuid?.() !== 0)('has no root unless sudo is allowed and gives it', async () => {
    command('sudo', 'exit 1');
    expect(await rootAccess({ maySudo: false, isTerminal: false })).toBe('none');
    expect(await rootAccess({ maySudo: true, isTerminal: false })).toBe('none');
    command('sudo', 'exit 0');
    expect(await rootAccess({ maySudo: true, isTerminal: false })).toBe('sudo');
    expect(await rootAccess({ maySudo: false, isTerminal: false })).toBe('none');
  });

  it.runIf(process.getuid?.() === 0)('uses no sudo as root', async () => {
    command('sudo', 'exit 0');
    expect(await rootAccess({ maySudo: true, isTerminal: false })).toBe('direct');
    expect(log()).toBe('');
  });
});
