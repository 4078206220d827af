/** The machines of a cluster: examined, started, watched, ended together. */
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import { flagWords, type Node } from './nodes.js';
import { ask, inSh, RemoteProcess, SILENCE_SECONDS, type SshOptions, shellCommand, sshFault } from './ssh.js';

export interface NodeState {
  node: Node;
  /** `ok`, `2 warnings`, `fails: gpu, memory`; null: not examined yet. */
  doctor: string | null;
  /** What the doctor found that a launch would fail of, with the fix. */
  failures: { id: string; found: string; fix: string | null }[];
  version: string | null;
  /** `starting`, the phase, `serving`, `ended`. */
  state: string;
  url: string | null;
}

export const unexamined = (node: Node): NodeState => ({
  node,
  doctor: null,
  failures: [],
  version: null,
  state: '-',
  url: null,
});

/** jsg doctor there. `profile`: one that every jsg has; null: none. Throws E_UNAVAILABLE, or what is missing there. */
export async function examine(node: Node, ssh: SshOptions, profile: string | null): Promise<NodeState> {
  const version = shellCommand(node.jsg, ['--version']);
  const words = ['doctor', '--json', '--offline', ...(profile === null ? [] : ['--profile', profile])];
  const answer = await ask(node.ssh, ssh, inSh(`${version} && ${shellCommand(node.jsg, words)}`));
  const [first = '', ...rest] = answer.stdout.split('\n');
  const findings = parseFindings(rest.join('\n'));
  if (findings === null) throw noJsg(node, answer.exitCode, answer.stderr);
  const failures = findings.filter(({ status }) => status === 'fail');
  const numWarnings = findings.filter(({ status }) => status === 'warn').length;
  const verdict =
    failures.length > 0
      ? `fails: ${failures.map(({ id }) => id).join(', ')}`
      : numWarnings > 0
        ? `${numWarnings} warnings`
        : 'ok';
  return { ...unexamined(node), doctor: verdict, failures, version: first.trim() };
}

interface Finding {
  id: string;
  status: string;
  found: string;
  fix: string | null;
}

function parseFindings(text: string): Finding[] | null {
  try {
    const { checks } = JSON.parse(text) as { checks?: Finding[] };
    return Array.isArray(checks) ? checks : null;
  } catch {
    return null;
  }
}

function noJsg({ ssh, jsg }: Node, exitCode: number | null, stderr: string): JsgError {
  const said = stderr.trim().split('\n')[0] ?? '';
  if (exitCode === 127 || exitCode === 126) {
    return new JsgError('E_NOT_FOUND', `${ssh}: \`${jsg}\` is not there (${said})`, {
      hint: 'Install jsg there, or name its command: `jsg: node /opt/jsg/bin/jsg.js` under the host.',
    });
  }
  return new JsgError('E_UNAVAILABLE', `${ssh}: jsg doctor gave no answer (exit code ${exitCode}): ${said}`);
}

export interface ClusterOptions {
  ssh: SshOptions;
  /** Handed to each by stdin; null: none. */
  apiKey: string | null;
  /** A machine's start that looks unfit goes on all the same. */
  force: boolean;
  /** How long each may take to end in order. */
  stopTimeoutMs: number;
  /** The state of a machine has changed. */
  onChange(state: NodeState): void;
}

export interface RunningCluster {
  /** Resolves when every machine has ended after `stop`; rejects with the fault of the first that ended by itself. */
  done: Promise<void>;
  stop(): Promise<void>;
}

const LAST_LINES = 12;

/** What jsg prints there once it serves, and what a node without an address of its own says. */
const SERVED = /is served at (\S+)$/;
const RANK_UP = /\] node \d+ of \d+ is up;/;
const PHASE =
  /^\[[\d-]{10} [\d:]{8}\] ((?:starting|importing|loading|allocating|capturing|warming|finding|asking)[^:]*)(?::.*?(\d{1,3} %))?/;

/** Starts every machine at once: the nodes of one model wait for each other. Resolves when all are up. */
export async function startCluster(
  states: NodeState[],
  options: ClusterOptions,
  signal: AbortSignal,
): Promise<RunningCluster> {
  const members = states.map((state) => startMember(state, options));
  let stopping: Promise<void> | null = null;
  const stop = () => {
    stopping ??= Promise.all(members.map((member) => member.process.stop(options.stopTimeoutMs))).then(() => {});
    return stopping;
  };
  const onAbort = () => void stop();
  signal.addEventListener('abort', onAbort, { once: true });
  // One that ends by itself takes the others with it: of one model nothing is left without it.
  const firstFault = Promise.race(
    members.map(async ({ process, faultOf }) => {
      const code = await process.ended;
      if (stopping !== null) return null;
      return faultOf(code);
    }),
  );
  const fallen = firstFault.then(async (fault) => {
    await stop();
    if (fault !== null) throw fault;
  });
  fallen.catch(() => {});
  const allUp = Promise.all(members.map(({ up }) => up));
  try {
    await Promise.race([
      allUp,
      fallen.then(() => Promise.reject(new JsgError('E_UNAVAILABLE', 'the start was interrupted'))),
    ]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
  return { done: fallen, stop };
}

function startMember(state: NodeState, { ssh, apiKey, force, onChange }: ClusterOptions) {
  const { node } = state;
  const words = [
    'launch',
    ...flagWords(node.flags),
    ...(force ? ['--force'] : []),
    '--stop-with-stdin',
    String(SILENCE_SECONDS),
  ];
  // The key is read from stdin, so that no process list there shows it.
  const command =
    apiKey === null
      ? `exec ${shellCommand(node.jsg, words)}`
      : `IFS= read -r JSG_API_KEY; export JSG_API_KEY; exec ${shellCommand(node.jsg, words)}`;
  const tail: string[] = [];
  const change = (to: Partial<NodeState>) => {
    Object.assign(state, to);
    onChange(state);
  };
  let setUp = () => {};
  const up = new Promise<void>((resolve) => {
    setUp = resolve;
  });
  change({ state: 'starting' });
  const process = new RemoteProcess(
    node.ssh,
    ssh,
    inSh(command),
    apiKey === null ? '' : `${apiKey}\n`,
    (line, stream) => {
      log.debug(`${node.ssh}: ${line}`);
      if (stream === 'stderr') {
        tail.push(line);
        if (tail.length > LAST_LINES) tail.shift();
      }
      const url = SERVED.exec(line)?.[1];
      if (url !== undefined || RANK_UP.test(line)) {
        change({ state: 'serving', url: url ?? null });
        setUp();
        return;
      }
      const [, phase, share] = state.state === 'serving' ? [] : (PHASE.exec(line) ?? []);
      if (phase !== undefined) change({ state: share === undefined ? phase : `${phase} ${share}` });
    },
  );
  void process.ended.then(
    () => change({ state: 'ended' }),
    () => change({ state: 'ended' }),
  );
  const faultOf = (code: number | null) => {
    if (code === 255 || code === null) return sshFault(node.ssh, tail.join('\n'));
    const from = tail.findIndex((line) => line.startsWith('jsg: '));
    const said = (from < 0 ? tail.slice(-4) : tail.slice(from))
      .map((line) => `\n     ${line.replace(/^jsg: /, '')}`)
      .join('');
    return new JsgError(
      'E_ENGINE_FAILED',
      `${node.ssh} ended with exit code ${code}; the others were ended too${said}`,
    );
  };
  return { process, up, faultOf };
}
