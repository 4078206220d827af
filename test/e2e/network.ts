/** Machines on this machine: network namespaces on a bridge, each with an sshd of its own. Needs root, ip and sshd. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const SSHD = '/usr/sbin/sshd';
const PORT = 2222;

export interface Machine {
  /** What ssh takes. */
  name: string;
  namespace: string;
  address: string;
}

/** Why there can be none here; null: there can. */
export function whyNoNetwork(): string | null {
  if (process.getuid?.() !== 0) return 'it needs root, for network namespaces';
  if (!existsSync(SSHD)) return `there is no ${SSHD} (apt install openssh-server)`;
  if (spawnSync('ssh', ['-V']).status !== 0) return 'there is no ssh (apt install openssh-client)';
  const probe = `jsgp${process.pid}`;
  const made = spawnSync('ip', ['netns', 'add', probe]);
  if (made.status !== 0) return `ip netns add: ${made.error?.message ?? String(made.stderr).trim()}`;
  spawnSync('ip', ['netns', 'del', probe]);
  return null;
}

const run = (line: string) => {
  const [program = '', ...args] = line.split(' ');
  execFileSync(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
};

export class Network {
  readonly machines: Machine[];
  readonly sshConfig: string;
  readonly #bridge = `jsgb${process.pid % 100000}`;
  readonly #daemons: ChildProcess[] = [];
  /** A net of its own, so that two test runs do not meet. */
  readonly #net = `10.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}`;

  constructor(
    private readonly folder: string,
    names: string[],
  ) {
    this.sshConfig = join(folder, 'ssh_config');
    this.machines = names.map((name, index) => ({
      name,
      namespace: `jsg${process.pid}${name}`,
      address: `${this.#net}.${index + 1}`,
    }));
  }

  async start(): Promise<void> {
    run(`ip link add ${this.#bridge} type bridge`);
    run(`ip addr add ${this.#net}.254/24 dev ${this.#bridge}`);
    run(`ip link set ${this.#bridge} up`);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(this.folder, 'id')]);
    mkdirSync('/run/sshd', { recursive: true });
    for (const [index, machine] of this.machines.entries()) this.#startMachine(machine, index);
    writeFileSync(this.sshConfig, this.machines.map((machine) => this.#configOf(machine)).join('\n'));
    for (const { name } of this.machines) await this.#reach(name);
  }

  /** Nobody is told of a pulled cable. */
  setCable(machine: Machine, isIn: boolean): void {
    run(`ip netns exec ${machine.namespace} ip link set eth0 ${isIn ? 'up' : 'down'}`);
  }

  stop(): void {
    for (const daemon of this.#daemons) daemon.kill('SIGKILL');
    for (const { namespace } of this.machines) spawnSync('ip', ['netns', 'del', namespace]);
    spawnSync('ip', ['link', 'del', this.#bridge]);
  }

  /** Processes that run in a machine, its sshd left out. */
  processesOf({ namespace }: Machine): string[] {
    const pids = execFileSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' })
      .trim()
      .split('\n')
      .filter(Boolean);
    return pids
      .map((pid) => spawnSync('ps', ['-o', 'args=', '-p', pid], { encoding: 'utf8' }).stdout.trim())
      .filter((line) => line !== '' && !/^sshd|\/sshd /.test(line));
  }

  #startMachine({ namespace, address }: Machine, index: number): void {
    const outside = `${this.#bridge}v${index}`;
    run(`ip netns add ${namespace}`);
    run(`ip link add ${outside} type veth peer name eth0 netns ${namespace}`);
    run(`ip link set ${outside} master ${this.#bridge} up`);
    run(`ip netns exec ${namespace} ip addr add ${address}/24 dev eth0`);
    run(`ip netns exec ${namespace} ip link set eth0 up`);
    run(`ip netns exec ${namespace} ip link set lo up`);
    const key = join(this.folder, `host-${index}`);
    execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    const config = join(this.folder, `sshd_config-${index}`);
    const lines = [
      `Port ${PORT}`,
      `ListenAddress ${address}`,
      `HostKey ${key}`,
      `AuthorizedKeysFile ${join(this.folder, 'id.pub')}`,
      'PasswordAuthentication no',
      'KbdInteractiveAuthentication no',
      'PermitRootLogin prohibit-password',
      'StrictModes no',
      'UsePAM no',
      `PidFile ${join(this.folder, `sshd-${index}.pid`)}`,
    ];
    writeFileSync(config, `${lines.join('\n')}\n`);
    const args = ['netns', 'exec', namespace, SSHD, '-D', '-e', '-f', config];
    this.#daemons.push(spawn('ip', args, { stdio: 'ignore' }));
  }

  #configOf({ name, address }: Machine): string {
    return [
      `Host ${name}`,
      `  HostName ${address}`,
      `  Port ${PORT}`,
      '  User root',
      `  IdentityFile ${join(this.folder, 'id')}`,
      '  IdentitiesOnly yes',
      `  UserKnownHostsFile ${join(this.folder, 'known_hosts')}`,
      '  StrictHostKeyChecking accept-new',
      '',
    ].join('\n');
  }

  async #reach(name: string): Promise<void> {
    for (let turn = 0; turn < 100; turn++) {
      if (spawnSync('ssh', ['-F', this.sshConfig, '-o', 'BatchMode=yes', name, 'true']).status === 0) return;
      await sleep(100);
    }
    throw new Error(`${name} never answered over ssh`);
  }
}
