/** `jsg bench`: tokens a second over HTTP, beside what the memory's read bandwidth allows. */
import { loadBinding, type NativeBinding } from '../addon/binding.js';
import { measure, type Workload } from '../bench/measure.js';
import { formatReport, type Report } from '../bench/report.js';
import { discoverTarget, type Target } from '../bench/target.js';
import { normaliseUrl } from '../client.js';
import type { Device } from '../device/device.js';
import { probeDevice } from '../device/probe.js';
import { apiKeysOf, isLoopback } from '../engine/address.js';
import { selectEngine } from '../engine/engine.js';
import { JsgError } from '../errors.js';
import { setLogLevel } from '../log.js';
import { FLAGS } from '../profile/flags.js';
import { requireSuitable } from '../profile/suitability.js';
import { showProgress } from './progress.js';
import { type Chosen, chooseSettings, chosenNames, givenFlags, type Options } from './settings.js';

/** Far beyond every cache, so that memory is what is measured; of a GPU's no more than a quarter of what is free. */
const BANDWIDTH_BYTES = 2 ** 30;
const GPU_BANDWIDTH_BYTES = 2 ** 32;

export async function bench(options: Options): Promise<number> {
  const workload = parseWorkload(options);
  const report = await (options.url === undefined ? benchEngine(options, workload) : benchUrl(options, workload));
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatReport(report));
  return 0;
}

/** Starts the engine in this process, on a port of the system's choice, and measures it over HTTP. */
async function benchEngine(options: Options, workload: Workload): Promise<Report> {
  const device = probeDevice();
  const chosen = chooseForBench(options, workload, device);
  const { settings } = chosen;
  requireSuitable(chosen.subject, settings, device);
  setLogLevel(settings['log-level']);
  // Before the engine is there to compete for cores and memory.
  const readBandwidthGBs =
    settings.device === 'cpu' ? await cpuReadBandwidth(settings['num-threads']) : await gpuReadBandwidth(null);
  const engine = await selectEngine(settings.engine);
  const running = await engine.start(settings, device, showProgress(tell), { given: chosenNames(chosen) });
  try {
    const apiKey = apiKeysOf(settings)[0] ?? null;
    const target = await discoverTarget({ url: running.url, apiKey }, null);
    return { ...(await benchTarget(target, workload, readBandwidthGBs)), reference: chosen.profile?.reference ?? null };
  } finally {
    await running.stop();
  }
}

function chooseForBench(options: Options, workload: Workload, device: Device): Chosen {
  const chosen = chooseSettings({ port: '0', ...options }, device);
  // SGLang is measured as it is documented: with its own limits and its own log.
  if (chosen.settings.engine === 'sglang') return chosen;
  const maxRunningRequests = String(Math.max(FLAGS['max-running-requests'].default, ...workload.batches));
  return chooseSettings({ port: '0', logLevel: 'warning', maxRunningRequests, ...options }, device);
}

async function benchUrl(options: Options, workload: Workload): Promise<Report> {
  const flags = givenFlags(options);
  const url = normaliseUrl(String(options.url));
  const model = (options.model as string | undefined) ?? null;
  const target = await discoverTarget({ url, apiKey: flags['api-key'] ?? null }, model);
  // A server elsewhere reads its own memory: not what is measured here.
  const isHere = isLoopback(new URL(url).hostname.replace(/^\[|\]$/g, ''));
  const readBandwidthGBs = isHere ? await readBandwidthOf(target, flags['num-threads'] ?? 0) : null;
  return benchTarget(target, workload, readBandwidthGBs);
}

async function readBandwidthOf(target: Target, numThreads: number): Promise<number | null> {
  const sm = gpuOf(target);
  return sm === null ? cpuReadBandwidth(numThreads).catch(() => null) : gpuReadBandwidth(sm);
}

async function cpuReadBandwidth(numThreads: number): Promise<number> {
  const binding = await loadBinding();
  tell('measuring read bandwidth');
  return binding.measureReadBandwidth('cpu', BANDWIDTH_BYTES, numThreads);
}

/** Null where this process finds no GPU, or none of the architecture `sm` (null: any). */
async function gpuReadBandwidth(sm: number | null): Promise<number | null> {
  const binding = await loadBinding().catch((): NativeBinding | null => null);
  const gpu = binding?.cudaDevice() ?? null;
  if (binding === null || gpu === null || (sm !== null && gpu.sm !== sm)) return null;
  tell(`measuring read bandwidth of ${gpu.name}`);
  const bytes = Math.min(GPU_BANDWIDTH_BYTES, Math.max(BANDWIDTH_BYTES / 4, Math.floor(gpu.freeBytes / 4)));
  return binding.measureReadBandwidth('cuda', bytes, 0).catch(() => null);
}

async function benchTarget(target: Target, workload: Workload, readBandwidthGBs: number | null): Promise<Report> {
  try {
    const figures = await measure(target, workload, readBandwidthGBs, (what) => tell(`measuring ${what}`));
    const { model, url, runtime, weightBytes } = target;
    if (gpuOf(target) !== null && readBandwidthGBs === null) {
      figures.notes.push("the read bandwidth was not measured: the server's GPU is not one that this process can use");
    }
    if (weightBytes === null) figures.notes.push('bytes a token: the server does not tell the size of its weights');
    return { model, url, runtime, readBandwidthGBs, weightBytes, reference: null, ...figures };
  } finally {
    await target.agent.close();
  }
}

/** The runtime names its instruction set, on a GPU as `sm_87`: 87. Null: it computes on the CPU, or does not tell. */
function gpuOf({ runtime }: Target): number | null {
  const sm = /^sm_(\d+)/.exec(runtime ?? '')?.[1];
  return sm === undefined ? null : Number(sm);
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
