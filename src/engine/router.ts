/** sglang-router, the real one, in front of workers of either engine: installed into a venv of its own, supervised. */
import { join } from 'node:path';
import { execa } from 'execa';
import { fetch } from 'undici';
import { explain } from '../doctor/failures.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import { buildsFolder } from '../recipe/build-folder.js';
import { ensureVenv, ownVenv, pythonOf } from '../recipe/run/venv.js';
import { reachableHost } from '../server/listen.js';
import { freePort, requireFreePort } from './address.js';
import type { Progress, Running } from './engine.js';
import { moduleCommand } from './python-module.js';
import { logDirectory, RotatingLog } from './rotating-log.js';
import { type RouterSettings, routerArguments } from './router-command.js';
import { Supervisor } from './supervisor.js';

/** The release whose requests to workers are under test here. */
const PACKAGE = 'sglang-router==0.3.2';
const MODULE = 'sglang_router.launch_router';
const INSTALL_TIMEOUT_MS = 20 * 60_000;

export interface RouterOptions extends Omit<RouterSettings, 'metricsPort'> {
  /** Null: the port after the router's, or any where that one is taken. */
  metricsPort: number | null;
  /** One for all: clients have to send it, workers get it. Null: a client's own is passed on. */
  apiKey: string | null;
  /** A virtual environment that has sglang-router; null: its own, made where it is missing. */
  venv: string | null;
  startupTimeoutSeconds: number;
  logDir: string | null;
}

export async function startRouter(options: RouterOptions, progress: Progress, signal: AbortSignal): Promise<Running> {
  await requireFreePort(options.host, options.port);
  const port = options.port === 0 ? await freePort(options.host) : options.port;
  const metricsPort = await chooseMetricsPort(options.metricsPort, port);
  const args = routerArguments({ ...options, port, metricsPort });
  const python = options.venv === null ? await installedRouter(progress, signal) : ownVenv(options.venv).python;
  const url = `http://${reachableHost(options.host)}:${port}`;
  const routerLog = new RotatingLog(options.logDir ?? logDirectory(), `router-${port}`);
  log.info(
    `the whole log is kept in ${routerLog.path}; /metrics of the router at http://127.0.0.1:${metricsPort}/metrics`,
  );
  let isServing = false;
  const supervisor = new Supervisor({
    name: 'sglang-router',
    command: moduleCommand({ path: python, env: process.env }, MODULE, args, options.apiKey),
    secrets: options.apiKey === null ? [] : [options.apiKey],
    log: routerLog,
    onStart: () => progress.begin('waiting for a worker'),
    onLine: (line) => (isServing ? log.raw(line) : log.debug(line)),
    describeStart: () => 'waiting for a worker that answers /health',
    isReady: () => isReady(url),
    onReady() {
      isServing = true;
      progress.end(`${options.workers.length} named, policy ${options.policy}`);
    },
    onDown() {
      if (!isServing) progress.fail();
      isServing = false;
    },
    startupTimeoutMs: options.startupTimeoutSeconds * 1000,
    drainTimeoutMs: options.drainTimeoutSeconds * 1000,
    restarts: true,
  });
  const { done, stop } = await supervisor.start(signal);
  return { url, modelName: 'the router', done, stop };
}

async function chooseMetricsPort(asked: number | null, port: number): Promise<number> {
  if (asked !== null && asked !== 0) {
    await requireFreePort('127.0.0.1', asked);
    return asked;
  }
  if (asked === 0 || port === 65535) return freePort('127.0.0.1');
  const isFree = await requireFreePort('127.0.0.1', port + 1).then(
    () => true,
    () => false,
  );
  return isFree ? port + 1 : freePort('127.0.0.1');
}

/** At least one worker is healthy. */
async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readiness`, { signal: AbortSignal.timeout(5000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** The Python that has the router; 146 MB are installed the first time. */
async function installedRouter(progress: Progress, signal: AbortSignal): Promise<string> {
  const folder = join(buildsFolder(null), 'router', 'venv');
  const { venv } = await ensureVenv(folder, async (path) => {
    progress.begin(`installing ${PACKAGE}`);
    try {
      await python('python3', ['-m', 'venv', path], signal);
      await python(
        pythonOf(path),
        ['-m', 'pip', 'install', '--no-input', '--disable-pip-version-check', PACKAGE],
        signal,
      );
    } catch (error) {
      progress.fail();
      throw error;
    }
    progress.end(path);
  });
  return venv.python;
}

async function python(program: string, args: string[], signal: AbortSignal): Promise<void> {
  const result = await execa(program, args, {
    all: true,
    stdin: 'ignore',
    reject: false,
    timeout: INSTALL_TIMEOUT_MS,
    cancelSignal: signal,
    forceKillAfterDelay: 2000,
  });
  if (!result.failed) return;
  const output = result.all ?? '';
  const [cause] = explain(output);
  const last = output.trim().split('\n').at(-1) ?? '';
  throw new JsgError(
    'E_DOWNLOAD_FAILED',
    `sglang-router could not be installed: ${cause?.line ?? (last || result.shortMessage)}`,
    {
      hint: cause === undefined ? 'Name a virtual environment that has it with --venv DIR.' : `fix: ${cause.fix}`,
    },
  );
}
