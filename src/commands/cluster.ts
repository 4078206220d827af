/** `jsg cluster`: the same profile on several machines, over ssh. */
import { resolve } from 'node:path';
import { type ClusterFile, readClusterFile } from '../cluster/cluster-file.js';
import { type Flags, flagWords, type Node, nodesOf } from '../cluster/nodes.js';
import { shellCommand, sshWords } from '../cluster/ssh.js';
import { examine, type NodeState, startCluster, unexamined } from '../cluster/up.js';
import { apiKeysOf } from '../engine/address.js';
import { JsgError, toJsgError } from '../errors.js';
import { log, setLogLevel } from '../log.js';
import { nearest } from '../nearest.js';
import { FLAG_NAMES } from '../profile/flags.js';
import { isFlagName, loadProfile, type Profile } from '../profile/profile.js';
import { parseFlag } from '../profile/schema.js';
import { quoteWord } from '../shell.js';
import { formatTable } from '../table.js';
import { packageRoot, version } from '../version.js';
import { givenFlags, type Options, withApiKey } from './settings.js';
import { untilStarted, untilStopped } from './signals.js';

/** On top of the time that requests have to finish. */
const STOP_MARGIN_MS = 15_000;

interface Cluster {
  file: ClusterFile;
  nodes: Node[];
  ssh: { config: string | null };
  /** What doctor there is asked about; null: a profile of the user's own, which is not there. */
  doctorProfile: string | null;
}

export async function up(options: Options): Promise<number> {
  const flags = withApiKey(givenFlags(options));
  setLogLevel(flags['log-level'] ?? 'info');
  const cluster = readCluster(options);
  if (options.print) {
    for (const { ssh, jsg, flags: own } of cluster.nodes) {
      const words = sshWords(ssh, cluster.ssh, shellCommand(jsg, ['launch', ...flagWords(own)]));
      process.stdout.write(`${words.map(quoteWord).join(' ')}\n`);
    }
    return 0;
  }
  const states = await examineAll(cluster);
  requireReady(states, options.force === true);
  const drainMs = 1000 * Math.max(...cluster.nodes.map(({ flags: own }) => Number(own['drain-timeout'] ?? 30)));
  const running = await untilStarted((signal) =>
    startCluster(
      states,
      {
        ssh: cluster.ssh,
        apiKey: flags['api-key'] === undefined ? null : apiKeysOf({ 'api-key': flags['api-key'] }).join(','),
        force: options.force === true,
        stopTimeoutMs: drainMs + STOP_MARGIN_MS,
        onChange: ({ node, state }) => log.info(`${node.ssh}: ${state}`),
      },
      signal,
    ),
  );
  if (typeof running === 'number') return running;
  process.stdout.write(`\n${tableOf(states)}\n`);
  return untilStopped(running);
}

/** Doctor on every machine, and the table of it; exit code 1 where one fails. */
export async function check(options: Options): Promise<number> {
  const states = await examineAll(readCluster(options));
  process.stdout.write(tableOf(states));
  tellFailures(states);
  return states.some(({ failures }) => failures.length > 0) ? 1 : 0;
}

function readCluster(options: Options): Cluster {
  if (options.file === undefined) {
    throw new JsgError('E_USAGE', 'no cluster file is named', {
      hint: 'jsg cluster up -f cluster.yaml; see docs/sglang.md for one',
    });
  }
  const file = readClusterFile(String(options.file));
  const profile = loadProfile(file.profile);
  checkFlags(file.settings, `${options.file}: settings`);
  for (const { ssh, settings } of file.hosts) checkFlags(settings, `${options.file}: ${ssh}`);
  const config = file['ssh-config'];
  return {
    file,
    nodes: nodesOf(file, settingsOf(profile)),
    ssh: { config: config === undefined ? null : resolve(config) },
    doctorProfile: profile.path.startsWith(packageRoot) ? profile.name : null,
  };
}

/** Those of the profile, in the table's order: no file of it need be on the machines. */
function settingsOf({ settings }: Profile): Flags {
  return Object.fromEntries(
    FLAG_NAMES.flatMap((name) => {
      const value = settings[name];
      return value === undefined || value === null ? [] : [[name, value]];
    }),
  );
}

function checkFlags(settings: Flags | undefined, where: string): void {
  for (const [name, value] of Object.entries(settings ?? {})) {
    if (name === 'api-key') {
      throw new JsgError('E_USAGE', `${where}: a key is not written into the file`, {
        hint: 'Use --api-key-file, or JSG_API_KEY.',
      });
    }
    if (!isFlagName(name)) {
      const near = nearest(name, FLAG_NAMES);
      throw new JsgError(
        'E_USAGE',
        `${where}: unknown flag '${name}'`,
        near === null ? {} : { hint: `Did you mean ${near}?` },
      );
    }
    try {
      parseFlag(name, typeof value === 'boolean' ? value : String(value));
    } catch (error) {
      throw new JsgError('E_USAGE', `${where}: ${toJsgError(error).message}`);
    }
  }
}

async function examineAll({ nodes, ssh, doctorProfile }: Cluster): Promise<NodeState[]> {
  log.info(`jsg doctor on ${nodes.map((node) => node.ssh).join(', ')}`);
  const results = await Promise.allSettled(nodes.map((node) => examine(node, ssh, doctorProfile)));
  const faults = results.flatMap((result) => (result.status === 'rejected' ? [toJsgError(result.reason)] : []));
  const [first] = faults;
  if (first !== undefined) {
    const message = faults.map(({ message }) => message).join('\n     ');
    throw new JsgError(first.code, message, first.hint === undefined ? {} : { hint: first.hint });
  }
  return results.map((result, index) =>
    result.status === 'fulfilled' ? result.value : unexamined(nodes[index] as Node),
  );
}

function requireReady(states: NodeState[], force: boolean): void {
  for (const { node, version: theirs } of states) {
    if (theirs !== version()) log.warning(`${node.ssh} has jsg ${theirs}, this is ${version()}`);
  }
  if (states.every(({ failures }) => failures.length === 0)) return;
  tellFailures(states);
  if (force) {
    log.warning('started all the same: --force');
    return;
  }
  const unfit = states.filter(({ failures }) => failures.length > 0).map(({ node }) => node.ssh);
  throw new JsgError('E_DEVICE_UNSUITABLE', `${unfit.join(', ')} would fail; nothing was started`, {
    hint: 'Mend what the doctor found there, or --force.',
  });
}

function tellFailures(states: NodeState[]): void {
  for (const { node, failures } of states) {
    for (const { id, found, fix } of failures)
      log.warning(`${node.ssh}: ${id}: ${found}${fix === null ? '' : `\n       fix: ${fix}`}`);
  }
}

function tableOf(states: NodeState[]): string {
  const rows = states.map(({ node, doctor, version: theirs, state, url }) => [
    node.ssh,
    node.address,
    String(node.rank),
    theirs ?? '-',
    doctor ?? '-',
    state,
    url ?? '-',
  ]);
  return formatTable([['HOST', 'ADDRESS', 'NODE', 'JSG', 'DOCTOR', 'STATE', 'URL'], ...rows]);
}
