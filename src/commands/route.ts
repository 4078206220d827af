/** `jsg route`: one address for many workers, by sglang-router; `route list`, `add` and `remove` change a running one. */
import { type Endpoint, normaliseUrl } from '../client.js';
import type { Device } from '../device/device.js';
import { clientKeyOf, requireSafeAddress, warnOfFurtherKeys } from '../engine/address.js';
import { type RouterOptions, startRouter } from '../engine/router.js';
import { addWorker, listWorkers, removeWorker } from '../engine/router-client.js';
import { POLICIES, type Policy } from '../engine/router-command.js';
import { JsgError } from '../errors.js';
import { log, setLogLevel } from '../log.js';
import { nearest } from '../nearest.js';
import { resolveSettings } from '../profile/resolve.js';
import { formatTable } from '../table.js';
import { hideSecrets } from './hide-secrets.js';
import { showProgress } from './progress.js';
import { tellSystemd } from './service-notify.js';
import { givenFlags, keyToSend, type Options, withApiKey } from './settings.js';
import { untilStarted, untilStopped } from './signals.js';

/** A router computes nothing. */
const NO_DEVICE = { gpu: null } as Device;

/** `extraArgs`: what stood after `--`. */
export async function route(options: Options, extraArgs: string[]): Promise<number> {
  hideSecrets();
  const flags = resolveSettings(null, NO_DEVICE, withApiKey(givenFlags(options))).settings;
  setLogLevel(flags['log-level']);
  const workers = parseWorkers(options.worker);
  requireSafeAddress(flags);
  warnOfFurtherKeys(flags, 'sglang-router');
  const chosen: RouterOptions = {
    workers,
    host: flags.host,
    port: flags.port,
    metricsPort: flags['metrics-port'],
    policy: parsePolicy(options.policy),
    drainTimeoutSeconds: flags['drain-timeout'],
    startupTimeoutSeconds: flags['startup-timeout'],
    logLevel: flags['log-level'] === 'warning' ? 'warn' : flags['log-level'],
    logDir: flags['log-dir'],
    venv: flags.venv,
    apiKey: clientKeyOf(flags),
    extraArgs,
  };
  await requireOneThatAnswers(workers);
  const running = await untilStarted((signal) => startRouter(chosen, showProgress(), signal));
  if (typeof running === 'number') return running;
  process.stdout.write(`\n${workers.length} workers are served at ${running.url} (${chosen.policy})\n\n`);
  await tellSystemd(`routing at ${running.url}`);
  return untilStopped(running);
}

export async function list(options: Options): Promise<number> {
  const workers = await listWorkers(routerOf(options));
  if (options.json) {
    process.stdout.write(`${JSON.stringify(workers, null, 2)}\n`);
    return 0;
  }
  const rows = workers.map(({ url, model_id, is_healthy, load }) => [
    url,
    model_id,
    is_healthy ? 'yes' : 'no',
    String(load),
  ]);
  process.stdout.write(formatTable([['WORKER', 'MODEL', 'HEALTHY', 'REQUESTS'], ...rows], 3));
  return workers.some(({ is_healthy }) => is_healthy) ? 0 : 1;
}

export async function add(options: Options, [url = '']: string[]): Promise<number> {
  const worker = normaliseUrl(url);
  await addWorker(routerOf(options), worker);
  process.stdout.write(`${worker} is asked for its health; \`jsg route list\` shows when it is in\n`);
  return 0;
}

export async function remove(options: Options, [url = '']: string[]): Promise<number> {
  const worker = normaliseUrl(url);
  await removeWorker(routerOf(options), worker);
  process.stdout.write(`${worker} gets no more requests\n`);
  return 0;
}

/** The router and its key, for the verbs that change it. */
function routerOf(options: Options): Endpoint {
  hideSecrets();
  const url = normaliseUrl(String(options.router ?? 'http://127.0.0.1:30000'));
  return { url, apiKey: keyToSend(options) };
}

function parseWorkers(given: unknown): string[] {
  const texts = Array.isArray(given) ? given.flatMap((text: string) => text.split(',')).filter(Boolean) : [];
  const workers = [...new Set(texts.map(normaliseUrl))];
  if (workers.length > 0) return workers;
  throw new JsgError('E_USAGE', 'no worker is named', {
    hint: 'jsg route --worker http://127.0.0.1:30001 http://127.0.0.1:30002',
  });
}

function parsePolicy(given: unknown): Policy {
  const policy = POLICIES.find((name) => name === (given ?? 'cache_aware'));
  if (policy !== undefined) return policy;
  const near = nearest(String(given), POLICIES);
  throw new JsgError('E_USAGE', `--policy: '${given}' is not one of ${POLICIES.join(', ')}`, {
    ...(near === null ? {} : { hint: `Did you mean --policy ${near}?` }),
  });
}

/** A router without a single worker would be a long wait for nothing; those that answer later are taken in then. */
async function requireOneThatAnswers(workers: string[]): Promise<void> {
  const answers = await Promise.all(
    workers.map((url) =>
      fetch(`${url}/health`, { signal: AbortSignal.timeout(5000) }).then(
        ({ status }) => (status === 200 ? null : `answers ${status}`),
        () => 'does not answer',
      ),
    ),
  );
  const faults = workers.flatMap((url, index) => (answers[index] === null ? [] : [`${url} ${answers[index]}`]));
  if (faults.length === workers.length) {
    throw new JsgError('E_UNAVAILABLE', `no worker is healthy: ${faults.join('; ')}`, {
      hint: 'Start one with `jsg launch --port 30001`, then this again.',
    });
  }
  for (const fault of faults) log.warning(`${fault}: it is taken in when it does`);
}
