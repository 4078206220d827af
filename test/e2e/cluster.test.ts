/** `jsg cluster` over real ssh: two machines are network namespaces with an sshd each. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { Jsg, jsg } from './jsg.js';
import { Network, whyNoNetwork } from './network.js';

const BIN = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));
const STANDIN = fileURLToPath(new URL('../fixtures/sglang', import.meta.url));
const whyNot = whyNoNetwork();
if (whyNot !== null) console.log(`jsg cluster over ssh is not tested: ${whyNot}`);

let scratch = '';
let network: Network;

beforeAll(async () => {
  scratch = mkdtempSync(join(tmpdir(), 'jsg-cluster-'));
  if (whyNot !== null) return;
  network = new Network(scratch, ['orin-1', 'orin-2']);
  await network.start();
});
afterAll(() => {
  network?.stop();
  rmSync(scratch, { recursive: true, force: true });
});

const JSG = `${process.execPath} ${BIN}`;
const withStandIn = (behaviour: string) =>
  `env PYTHONPATH=${STANDIN} STANDIN=${behaviour} XDG_STATE_HOME=${join(scratch, 'state')} ${JSG}`;

function clusterFile(name: string, content: object): string {
  const path = join(scratch, `${name}.yaml`);
  writeFileSync(path, stringify({ 'ssh-config': network?.sshConfig ?? 'none', ...content }));
  return path;
}

/** Both machines run one model by the stand-in of SGLang. */
const oneModel = (name: string, behaviours: [string, string]) =>
  clusterFile(name, {
    profile: 'two-orin-tp2',
    settings: { python: 'python3', port: 30000 },
    hosts: network.machines.map(({ name: ssh, address }, index) => ({
      ssh,
      address,
      jsg: withStandIn(behaviours[index] as string),
    })),
  });

const allQuiet = async () => {
  for (const machine of network.machines) {
    await expect.poll(() => network.processesOf(machine), { timeout: 15_000 }).toEqual([]);
  }
};

describe.skipIf(whyNot !== null)('jsg cluster up', () => {
  it('starts independent servers, each with doctor before it, and ends them in order', async () => {
    const file = clusterFile('independent', {
      profile: 'smollm2',
      settings: { 'num-threads': 1, 'max-total-tokens': 8192, 'log-level': 'info' },
      hosts: network.machines.map(({ name: ssh, address }) => ({
        ssh,
        address,
        jsg: JSG,
        settings: { host: address },
      })),
    });
    const running = new Jsg(['cluster', 'up', '-f', file], { JSG_API_KEY: 's3cret' });
    await running.waitFor(/HOST .*URL\n(?:.*\n){2}/);
    for (const { name, address } of network.machines) {
      expect(running.stdout).toMatch(new RegExp(`^${name} +${address} +0 .* serving +http://${address}:30000$`, 'm'));
      expect((await fetch(`http://${address}:30000/v1/models`)).status).toBe(401);
      const headers = { authorization: 'Bearer s3cret' };
      expect((await fetch(`http://${address}:30000/v1/models`, { headers })).status).toBe(200);
    }
    const shown = network.machines.flatMap((machine) => network.processesOf(machine)).join('\n');
    expect(shown).toContain('launch --model-path smollm2');
    expect(shown).not.toContain('s3cret');
    expect((await running.end('SIGINT')).code).toBe(0);
    await allQuiet();
  });

  it('starts one model over both, with ranks and the place where they meet', async () => {
    const running = new Jsg(['cluster', 'up', '-f', oneModel('tp2', ['ok', 'ok']), '--force']);
    await running.waitFor(/HOST .*URL\n(?:.*\n){2}/);
    const [first, second] = network.machines;
    expect(running.stdout).toMatch(/^orin-1 .* 0 .* serving +http:\/\/127\.0\.0\.1:30000$/m);
    expect(running.stdout).toMatch(/^orin-2 .* 1 .* serving +-$/m);
    for (const [rank, machine] of [first, second].entries()) {
      const command = network.processesOf(machine as never).find((line) => line.includes('-m sglang.launch_server'));
      expect(command).toContain(`--tp-size 2 --nnodes 2 --node-rank ${rank} --dist-init-addr ${first?.address}:20000`);
    }
    expect((await running.end()).code).toBe(0);
    await allQuiet();
  });

  it('ends the others when one falls, and says which and why', async () => {
    const running = new Jsg(['cluster', 'up', '-f', oneModel('falls', ['ok', 'no-kernel-image']), '--force']);
    const { code, stderr } = await running.finished;
    expect(code).toBe(6);
    expect(stderr).toContain('jsg: orin-2 ended with exit code 5; the others were ended too');
    expect(stderr).toContain('no kernel image is available');
    await allQuiet();
  });

  it('starts nothing where the doctor says that it would fail', async () => {
    const { code, stderr } = await jsg(['cluster', 'up', '-f', oneModel('unfit', ['ok', 'ok'])]);
    expect(code).toBe(5);
    expect(stderr).toContain('orin-1, orin-2 would fail; nothing was started');
    expect(stderr).toMatch(/orin-2: profile: two-orin-tp2 needs CUDA/);
  });

  it('check shows one table', async () => {
    const { code, stdout } = await jsg(['cluster', 'check', '-f', oneModel('check', ['ok', 'ok'])]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^HOST +ADDRESS +NODE +JSG +DOCTOR +STATE +URL$/m);
    expect(stdout).toMatch(/^orin-2 .* fails: .*profile/m);
  });

  it.each([
    ['a machine that is not there', { ssh: 'no.such.host.invalid' }, 1, /no\.such\.host\.invalid: .*resolve/],
    ['a machine without jsg', { ssh: 'orin-2', jsg: '/opt/none/jsg' }, 1, /orin-2: `\/opt\/none\/jsg` is not there/],
  ])('says what is wrong with %s', async (_, host, exitCode, message) => {
    const file = clusterFile('faulty', { profile: 'smollm2', hosts: [{ ssh: 'orin-1', jsg: JSG }, host] });
    const { code, stderr } = await jsg(['cluster', 'up', '-f', file]);
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(message);
    await allQuiet();
  });

  it('ends what runs on a machine whose cable is pulled, and the others', async () => {
    const running = new Jsg(['cluster', 'up', '-f', oneModel('cable', ['ok', 'ok']), '--force']);
    await running.waitFor(/HOST .*URL\n(?:.*\n){2}/);
    const [, second] = network.machines;
    network.setCable(second as never, false);
    const { code, stderr } = await running.finished;
    expect(code).toBe(1);
    expect(stderr).toMatch(/jsg: orin-2: .*/);
    for (const machine of network.machines) {
      await expect.poll(() => network.processesOf(machine), { timeout: 45_000 }).toEqual([]);
    }
    network.setCable(second as never, true);
  });

  it('leaves nothing running where it is killed itself', async () => {
    const running = new Jsg(['cluster', 'up', '-f', oneModel('cut', ['ok', 'ok']), '--force']);
    await running.waitFor(/HOST .*URL\n(?:.*\n){2}/);
    await running.end('SIGKILL');
    await allQuiet();
  });
});
