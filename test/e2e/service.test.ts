/** `jsg service`: units that systemd accepts, the calls it gets, and the word that a launch is ready. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Jsg, jsg } from './jsg.js';

let scratch = '';
let env: Record<string, string> = {};
const calls = () =>
  existsSync(join(scratch, 'calls')) ? readFileSync(join(scratch, 'calls'), 'utf8').trim().split('\n') : [];

/** A systemctl that writes down what it is told, and fails where it is told to. */
const SYSTEMCTL = `#!/bin/sh
echo "$0 $*" | sed 's/.*systemctl/systemctl/; s/.*journalctl/journalctl/' >> "$CALLS"
case "$*" in
*show*) printf 'ActiveState=active\\nSubState=running\\nStatusText=serving at http://127.0.0.1:30000\\nMainPID=42\\nMemoryCurrent=1048576\\nNRestarts=1\\nResult=success\\n' ;;
*enable*) [ -z "$FAIL_ENABLE" ] || { echo 'Failed to enable unit: no' >&2; exit 1; } ;;
esac
`;

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'jsg-service-'));
  mkdirSync(join(scratch, 'bin'));
  for (const program of ['systemctl', 'journalctl']) {
    writeFileSync(join(scratch, 'bin', program), SYSTEMCTL);
    chmodSync(join(scratch, 'bin', program), 0o755);
  }
  env = {
    PATH: `${join(scratch, 'bin')}:${process.env.PATH}`,
    CALLS: join(scratch, 'calls'),
    XDG_CONFIG_HOME: join(scratch, 'config'),
  };
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('jsg service', () => {
  const unit = () => join(scratch, 'config', 'systemd', 'user', 'jsg-smollm2.service');
  const secrets = () => join(scratch, 'config', 'jsg', 'services', 'smollm2.env');

  it.each([
    ['native', ['--profile', 'smollm2']],
    ['sglang', ['--engine', 'sglang', '--profile', 'flashinfer-fp16', '--', '--served-model-name', 'a b%c']],
  ])('prints a unit for the %s engine that systemd finds no fault with', async (_, flags) => {
    const { code, stdout } = await jsg(['service', 'install', '--print', '--system', ...flags]);
    expect(code).toBe(0);
    const path = join(scratch, 'jsg-checked.service');
    writeFileSync(path, stdout);
    if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
      console.log('not verified: systemd-analyze is not here');
      return;
    }
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    // It looks at other units of the machine too.
    const faults = stderr.split('\n').filter((line) => line.includes('jsg-checked'));
    expect({ status, faults }).toEqual({ status: 0, faults: [] });
  });

  it('installs, with the key in a file that only its owner reads', async () => {
    const args = ['service', 'install', '--user', '--profile', 'smollm2', '--port', '30123', '--api-key', 's3cret'];
    const { code, stdout, stderr } = await jsg(args, { env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('jsg service logs --name smollm2 --follow');
    const text = readFileSync(unit(), 'utf8');
    expect(text).toContain('launch --profile smollm2 --port 30123\n');
    expect(text).not.toContain('s3cret');
    expect(readFileSync(secrets(), 'utf8')).toContain('JSG_API_KEY="s3cret"');
    expect(statSync(secrets()).mode & 0o777).toBe(0o600);
    expect(calls()).toEqual([
      'systemctl --user daemon-reload',
      'systemctl --user enable jsg-smollm2.service',
      'systemctl --user restart --no-block jsg-smollm2.service',
    ]);
  });

  it('tells its state, and shows its journal', async () => {
    const { code, stdout } = await jsg(['service', 'status', '--user', '--json'], { env });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ name: 'smollm2', state: 'active (running)', pid: 42, restarts: 1 });
    expect((await jsg(['service', 'logs', '--user', '--lines', '7'], { env })).code).toBe(0);
    expect(calls().at(-1)).toBe('journalctl --user --user-unit jsg-smollm2.service --lines 7 --no-pager');
  });

  it('uninstalls, and leaves nothing', async () => {
    expect((await jsg(['service', 'uninstall', '--user'], { env })).code).toBe(0);
    expect(existsSync(unit()) || existsSync(secrets())).toBe(false);
    const { code, stderr } = await jsg(['service', 'status', '--user'], { env });
    expect(code).toBe(2);
    expect(stderr).toContain('no user service of jsg is installed');
  });

  it('leaves nothing where systemd refuses', async () => {
    const args = ['service', 'install', '--user', '--profile', 'smollm2'];
    const { code, stderr } = await jsg(args, { env: { ...env, FAIL_ENABLE: '1' } });
    expect(code).toBe(1);
    expect(stderr).toContain('Failed to enable unit: no');
    expect(existsSync(unit())).toBe(false);
  });

  it.each([
    [['install', '--memory-max', 'lots'], "--memory-max: 'lots' is neither a share nor a size"],
    [['install', '--name', '../x'], "--name: '../x' is not letters"],
    [['install', '--host', '0.0.0.0'], 'no API key is set'],
    [['status', '--user', '--system'], '--system and --user are given'],
    [['logs', '--user', '--name', 'nope'], "no user service 'nope' is installed"],
  ])('%j is refused', async (words, message) => {
    const { code, stderr } = await jsg(['service', ...words], { env });
    expect(code).toBeGreaterThan(0);
    expect(stderr).toContain(message);
  });
});

it('a launch tells systemd when the model answers, not before', async (context) => {
  if (spawnSync('systemd-notify', ['--version']).status !== 0) return context.skip('systemd-notify is not here');
  const socket = join(scratch, 'notify');
  const code = `import socket,sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print("bound", flush=True); s.settimeout(60)
while True:
    data = s.recv(4096).decode()
    if "READY=1" in data: print(data); break`;
  const launch = new Jsg(['launch', '--profile', 'smollm2', '--port', '0', '--log-level', 'warning'], {
    NOTIFY_SOCKET: socket,
  });
  const heard = execFileSync('python3', ['-c', code, socket], { encoding: 'utf8', timeout: 60_000 });
  expect(heard).toContain('READY=1');
  expect(heard).toMatch(/STATUS=serving at http:\/\/127\.0\.0\.1:\d+/);
  expect((await launch.end()).code).toBe(0);
});
