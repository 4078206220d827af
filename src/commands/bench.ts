/** `jsg bench`: tokens a second over HTTP, beside what the memory's read bandwidth allows. */
import { loadBinding } from '../addon/binding.js';
import { measure, type Workload } from '../bench/measure.js';
import { formatReport, type Report } from '../bench/report.js';
import { discoverTarget, type Target } from '../bench/target.js';
import { normaliseUrl } from '../client.js';
import { probeDevice } from '../device/probe.js';
import { apiKeysOf, isLoopback } from '../engine/address.js';
import { selectEngine } from '../engine/engine.js';
import { JsgError } from '../errors.js';
import { setLogLevel } from '../log.js';
import { FLAGS } from '../profile/flags.js';
import { requireSuitable } from '../profile/suitability.js';
import { showProgress } from './progress.js';
import { chooseSettings, givenFlags, type Options } from './settings.js';

/** Far beyond every cache, so that memory is what is measured. */
const BANDWIDTH_BYTES = 2 ** 30;

export async function bench(options: Options): Promise<number> {
  const workload = parseWorkload(options);
  const report = await (options.url === undefined ? benchEngine(options, workload) : benchUrl(options, workload));
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  return 0;
}

/** Starts the engine in this process, on a port of the system's choice, and measures it over HTTP. */
async function benchEngine(options: Options, workload: Workload): Promise<Report> {
  const device = probeDevice();
  const maxRunningRequests = String(Math.max(FLAGS['max-running-requests'].default, ...workload.batches));
  const chosen = chooseSettings({ port: '0', logLevel: 'warning', maxRunningRequests, ...options }, device);
  const { settings } = chosen;
  requireSuitable(chosen.subject, settings, device);
  setLogLevel(settings['log-level']);
  // Before the engine's threads are there to compete for the cores.
  const readBandwidthGBs = settings.device === 'cpu' ? await readBandwidth(settings['num-threads']) : null;
  const engine = await selectEngine(settings.engine);
  const running = await engine.start(settings, device, showProgress(tell));
  try {
    const apiKey = apiKeysOf(settings)[0] ?? null;
    const target = await discoverTarget({ url: running.url, apiKey }, null);
    return { ...(await benchTarget(target, workload, readBandwidthGBs)), reference: chosen.profile?.reference ?? null };
  } finally {
    await running.stop();
  }
}

async function benchUrl(options: Options, workload: Workload): Promise<Report> {
  const flags = givenFlags(options);
  const url = normaliseUrl(String(options.url));
  const model = (options.model as string | undefined) ?? null;
  const target = await discoverTarget({ url, apiKey: flags['api-key'] ?? null }, model);
  // A server elsewhere reads its own memory, one on a GPU the GPU's: not what is measured here.
  const isHere = isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, '')) && !isOnGpu(target);
  const readBandwidthGBs = isHere ? await readBandwidth(flags['num-threads'] ?? 0).catch(() => null) : null;
  return benchTarget(target, workload, readBandwidthGBs);
}

async function readBandwidth(numThreads: number): Promise<number> {
  const binding = await loadBinding();
  tell('measuring read bandwidth');
  return binding.measureReadBandwidth(BANDWIDTH_BYTES, numThreads);
}

async function benchTarget(target: Target, workload: Workload, readBandwidthGBs: number | null): Promise<Report> {
  try {
    const figures = await measure(target, workload, readBandwidthGBs, (what) => tell(`measuring ${what}`));
    const { model, url, runtime, weightBytes } = target;
    if (isOnGpu(target)) figures.notes.push('the read bandwidth of a GPU is not measured in this version');
    if (weightBytes === null) figures.notes.push('bytes a token: the server does not tell the size of its weights');
    return { model, url, runtime, readBandwidthGBs, weightBytes, reference: null, ...figures };
  } finally {
    await target.agent.close();
  }
}

/** The runtime names its instruction set, on a GPU as `sm_87`. */
function isOnGpu({ runtime }: Target): boolean {
  return runtime?.startsWith('sm_') === true;
}

/** Plain lines: a spinner would take its share of the cores that are measured. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

function parseWorkload(options: Options): Workload {
  return {
    batches: String(options.batch)
      .split(',')
      .map((text) => wholeNumber('batch', text, 256)),
    promptTokens: wholeNumber('prompt-tokens', options.promptTokens, 1_000_000),
    maxTokens: wholeNumber('max-tokens', options.maxTokens, 100_000, 2),
    repeats: wholeNumber('repeats', options.repeats, 1000),
  };
}

function wholeNumber(flag: string, text: unknown, max: number, min = 1): number {
  const value = /^\d+$/.test(String(text)) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new JsgError('E_USAGE', `--${flag}: '${text}' is not a whole number from ${min} to ${max}`);
}
