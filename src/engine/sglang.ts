/** The SGLang engine: `python -m sglang.launch_server` as the guide types it, supervised. */
import { fetch } from 'undici';
import { log } from '../log.js';
import type { FlagName, Settings } from '../profile/flags.js';
import { reachableHost } from '../server/listen.js';
import { freePort, requireFreePort, requireSafeAddress, warnOfFurtherKeys } from './address.js';
import type { Engine, Progress, Running } from './engine.js';
import { moduleCommand } from './python-module.js';
import { logDirectory, RotatingLog } from './rotating-log.js';
import { type SglangCommand, sglangCommand } from './sglang/command.js';
import { Figures } from './sglang/figures.js';
import { checkArguments } from './sglang/known-flags.js';
import { serveMetrics } from './sglang/metrics-server.js';
import { PhaseTracker } from './sglang/phases.js';
import { findPython, readInstalled, type SglangPython } from './sglang/python.js';
import { parseStepLine } from './sglang/step-lines.js';
import { type Supervised, Supervisor } from './supervisor.js';

export const sglangEngine: Engine = {
  async start(asked, _device, progress, { given = new Set<FlagName>(), extraArgs = [], signal } = {}) {
    const command = sglangCommand(asked, given, extraArgs);
    requireSafeAddress(asked);
    warnOfFurtherKeys(asked, 'SGLang');
    const settings = await withPort(asked);
    if (settings.port !== asked.port) command.args = withOption(command.args, '--port', String(settings.port));
    const python = findPython(settings);
    progress.begin('asking SGLang for its flags');
    const installed = await orFail(
      progress,
      readInstalled(python, {
        withTorchao: command.args.some((argument) => argument.startsWith('--torchao-config')),
        signal,
      }),
    );
    progress.end(`SGLang ${installed.version ?? 'of a checkout'}, ${installed.flags.length} flags`);
    checkArguments(command.args, installed);
    return supervise(settings, python, command, progress, signal);
  },
};

async function supervise(
  settings: Settings,
  python: SglangPython,
  command: SglangCommand,
  progress: Progress,
  signal: AbortSignal | undefined,
): Promise<Running> {
  const modelName = settings['served-model-name'] ?? settings['model-path'] ?? '';
  const figures = new Figures(modelName);
  const metrics = await serveMetrics(figures, settings['metrics-port'], settings.port);
  const url = `http://${reachableHost(settings.host)}:${settings.port}`;
  const start = new StartView(progress);
  const rank = settings['node-rank'];
  const name = `sglang-${settings.port}${rank > 0 ? `-rank${rank}` : ''}`;
  const server: Supervised = {
    name: 'SGLang',
    command: moduleCommand(python, 'sglang.launch_server', command.args, command.apiKey),
    secrets: command.apiKey === null ? [] : [command.apiKey],
    log: new RotatingLog(settings['log-dir'] ?? logDirectory(), name),
    onStart() {
      figures.started();
      start.begin();
    },
    onLine(line) {
      const step = parseStepLine(line);
      if (step !== null) figures.push(step);
      start.push(line);
    },
    describeStart: () => start.tracker.describe(),
    // Nodes beyond the first serve nobody: they are up when their part of the model is.
    isReady: async () => (rank > 0 ? start.tracker.phase === 'warming up' : generates(url, command.apiKey)),
    onReady() {
      figures.isUp = true;
      start.end();
    },
    onDown() {
      figures.down();
      start.fail();
    },
    startupTimeoutMs: settings['startup-timeout'] * 1000,
    drainTimeoutMs: settings['drain-timeout'] * 1000,
    restarts: settings.restart === 'on-failure',
  };
  log.info(`the whole log is kept in ${server.log.path}; /metrics of its lines at ${metrics.url}/metrics`);
  try {
    const { done, stop } = await new Supervisor(server).start(signal);
    void done.then(metrics.close, metrics.close);
    return { url, modelName, done, stop };
  } catch (error) {
    await metrics.close();
    throw error;
  }
}

/** Longer than SGLang itself waits for its token. */
const HEALTH_TIMEOUT_MS = 25_000;

/** Whether a token was generated just now. */
async function generates(url: string, apiKey: string | null): Promise<boolean> {
  try {
    const headers = apiKey === null ? {} : { authorization: `Bearer ${apiKey}` };
    const response = await fetch(`${url}/health_generate`, { headers, signal: AbortSignal.timeout(HEALTH_TIMEOUT_MS) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** The phases of a start on the screen; what SGLang writes while it serves goes to the log as it is. */
class StartView {
  tracker = new PhaseTracker();
  #isStarting = false;

  constructor(private readonly progress: Progress) {}

  begin(): void {
    this.tracker = new PhaseTracker();
    this.#isStarting = true;
    this.progress.begin('starting SGLang');
  }

  push(line: string): void {
    if (!this.#isStarting) {
      log.raw(line);
      return;
    }
    log.debug(line);
    const change = this.tracker.push(line);
    if (change === null) return;
    if (change.begun !== null) {
      this.progress.end(change.ended ?? 'begun');
      this.progress.begin(change.begun);
    }
    if (change.fraction !== null) this.progress.update(change.fraction, this.tracker.phase ?? undefined);
  }

  end(): void {
    if (this.#isStarting) this.progress.end('it answers with tokens');
    this.#isStarting = false;
  }

  fail(): void {
    if (this.#isStarting) this.progress.fail();
    this.#isStarting = false;
  }
}

async function orFail<T>(progress: Progress, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    progress.fail();
    throw error;
  }
}

/** The port is free now; 0 becomes one that is. SGLang itself would only find out after minutes of loading. */
async function withPort(settings: Settings): Promise<Settings> {
  if (settings.port !== 0) {
    await requireFreePort(settings.host, settings.port);
    return settings;
  }
  return { ...settings, port: await freePort(settings.host) };
}

function withOption(args: string[], name: string, value: string): string[] {
  const at = args.indexOf(name);
  return at < 0 ? [...args, name, value] : args.toSpliced(at + 1, 1, value);
}
