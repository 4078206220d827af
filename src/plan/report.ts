/** A plan as a person reads it, 80 columns wide, and as JSON. Pure. */
import { formatTable, wrap } from '../table.js';
import { INT8_PREFILL, PREFILL, QUANTISED_BATCH } from './efficiency.js';
import type { Plan } from './plan.js';
import type { DecodeRate } from './speed.js';
import { groupSizeOf } from './weight-format.js';

const COLUMNS = 80;
const MIB = 2 ** 20;

export type Verdict = 'fits' | 'does not fit';

export const verdictOf = ({ fits, loads }: Plan): Verdict => (fits && loads ? 'fits' : 'does not fit');

const KV_NAMES: Record<string, string> = { f16: '16 bits', f32: '32 bits' };

const whole = (n: number) => Math.round(n).toLocaleString('en-US');
const mib = (bytes: number) => whole(bytes / MIB);
const gib = (bytes: number) => `${(bytes / 2 ** 30).toFixed(1)} GiB`;
const rate = (n: number | null) => (n === null ? 'unknown' : n < 100 ? n.toFixed(1) : whole(n));

export function formatPlan(plan: Plan): string {
  const paragraphs = [
    heading(plan),
    memoryTable(plan),
    largestTable(plan),
    speedTable(plan),
    assumed(plan),
    verdict(plan),
  ];
  return `${paragraphs.filter(Boolean).join('\n\n')}\n`;
}

function heading({ request, placement, contextLength, numMachines }: Plan): string {
  const { model, machine, settings, streams } = request;
  const head = settings['lm-head-dtype'];
  const many = numMachines === 1 ? '' : `${numMachines} x `;
  const parameters = model.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const where = { files: 'by its files', config: 'by its config.json', 'known shape': 'by its known shape' }[
    model.source
  ];
  const formats = [
    settings['torchao-config'] ?? (placement.backend === 'cuda' ? '16 bits' : 'as stored'),
    ...(head === 'auto' ? [] : [`head in ${head}`]),
    ...(placement.backend === 'cuda' ? [] : ['on the CPU']),
    `KV cache in ${KV_NAMES[placement.kvCacheDtype] ?? placement.kvCacheDtype}`,
  ];
  return [
    ...wrap(`${model.name}: ${(parameters / 1e9).toFixed(2)} B parameters, ${where}; ${formats.join(', ')}`, COLUMNS),
    ...wrap(
      `on ${many}${machine.name}${machine.mode === null ? '' : `, power mode ${machine.mode}`}; ` +
        `${streams} x ${whole(contextLength)} tokens of context`,
      COLUMNS,
    ),
  ].join('\n');
}

function memoryTable(plan: Plan): string {
  const { machine, settings, streams } = plan.request;
  const parts: [string, number][] = [
    ['weights', plan.weights],
    [`KV cache, ${streams} x ${whole(plan.contextLength)} tokens`, plan.kv],
    ['activations', plan.activations],
    ['CUDA graphs', plan.graphs],
    ['CUDA context and cuBLAS', plan.context],
    ['loading: staging and quantising', plan.staging],
  ];
  const system = machine.systemBytes;
  const memory: [string, number][] = [
    ['memory that Linux sees', machine.totalBytes],
    ...(system === null
      ? ([
          ['in use by others', machine.totalBytes - machine.availableBytes],
          ['of it the desktop', machine.desktopBytes],
        ] as [string, number][])
      : ([
          ['system', system],
          ['desktop', machine.desktopBytes],
        ] as [string, number][])),
    ['available', machine.availableBytes],
  ];
  const rows = [
    [plan.numMachines === 1 ? 'MEMORY' : 'MEMORY OF EACH MACHINE', 'MiB'],
    ...parts.filter(([, bytes]) => bytes > 0).map(([what, bytes]) => [what, mib(bytes)]),
    ['needed', mib(plan.needed)],
    [`available x ${settings['mem-fraction-static']}`, mib(plan.budget)],
    ['load-time peak', mib(plan.loadPeak)],
    ...memory.filter(([, bytes]) => bytes > 0).map(([what, bytes]) => [what, mib(bytes)]),
  ];
  return formatTable(rows, 1).trimEnd();
}

function largestTable({ largest }: Plan): string {
  if (largest.length === 0) return '';
  return formatTable(
    [
      ['STREAMS', ...largest.map(({ streams }) => String(streams))],
      ['longest context of each', ...largest.map(({ context }) => whole(context))],
    ],
    1,
  ).trimEnd();
}

function speedTable({ decode, prefill }: Plan): string {
  const joule = (n: number | null) => (n === null ? 'unknown' : n.toPrecision(2));
  const range = ({ tokensPerSecond, atLeast }: DecodeRate) =>
    atLeast === null ? rate(tokensPerSecond) : `${rate(atLeast)} to ${rate(tokensPerSecond)}`;
  return formatTable(
    [
      ['PREDICTED', 'tok/s', 'tok/J'],
      ...decode.map((row) => [
        `decode, ${row.streams} ${row.streams === 1 ? 'stream' : 'streams'} at ${whole(row.context)} tokens`,
        range(row),
        joule(row.tokensPerJoule),
      ]),
      [`prefill of ${prefill.tokens} tokens`, rate(prefill.tokensPerSecond), ''],
    ],
    1,
  ).trimEnd();
}

/** What the predictions rest on, each with its source. */
export function assumptionsOf({ request, efficiency, decode, placement, numMachines }: Plan): string[] {
  const { machine, settings, streams } = request;
  const { rates, board } = machine;
  const quant = settings['torchao-config'];
  const isShared = numMachines > 1;
  const onGpu = placement.backend === 'cuda' && !isShared;
  const percent = (share: number) => `${Math.round(100 * share)} %`;
  const isPredicted = decode.some(({ tokensPerSecond }) => tokensPerSecond !== null);
  return [
    ...(rates.bandwidthGBs === null
      ? ['the read bandwidth is not known']
      : [`read bandwidth: ${rates.bandwidthGBs.toFixed(1)} GB/s, ${rates.bandwidthIs}`]),
    ...(board?.provenGBs ? [`the most that a run has read on this board: ${board.provenGBs} GB/s`] : []),
    ...(isPredicted ? [`decoding reads at ${percent(efficiency.share)} of it: ${efficiency.source}`] : []),
    ...(onGpu && quant !== null && streams > 1
      ? [`each further stream computes at ${percent(QUANTISED_BATCH.share)} of fp16: ${QUANTISED_BATCH.source}`]
      : []),
    ...(onGpu && rates.fp16Tflops !== null
      ? [
          `prefill at ${percent(PREFILL.share)} of ${rates.fp16Tflops.toFixed(1)} dense fp16 TFLOPS: ${PREFILL.source}`,
          ...(placement.int8Prompts
            ? [`int8 prefill is ${INT8_PREFILL.speedup} x as fast: ${INT8_PREFILL.source}`]
            : []),
        ]
      : []),
    ...(rates.watts === null ? ['the power is not known'] : [`power: ${rates.watts} W, the whole budget of the mode`]),
    ...(decode.some(({ atLeast }) => atLeast !== null)
      ? ['at this GPU clock no run is known to read so fast: the lower rate is what the SMs have been seen to read']
      : []),
    ...(quant !== null && groupSizeOf(quant) !== null ? ['embeddings stay in 16 bits'] : []),
    ...(board !== null && onGpu && settings.engine === 'native' ? ['jsg itself was not yet measured on a Jetson'] : []),
    ...(isShared
      ? [
          `each machine has 1/${numMachines} of every layer and of the KV cache (tensor parallelism)`,
          'what machines send each other in every layer is not known, and so no speed is predicted',
        ]
      : []),
    ...(settings.engine === 'sglang' ? ["bytes are those of jsg's runtime; PyTorch's own are not known"] : []),
    ...machine.notes,
  ];
}

function assumed(plan: Plan): string {
  const lines = assumptionsOf(plan).flatMap((text) =>
    wrap(text, COLUMNS - 2).map((line, i) => `${i === 0 ? '- ' : '  '}${line}`),
  );
  return ['ASSUMED', ...lines].join('\n');
}

/** One sentence, with what to change. */
export function sentenceOf(plan: Plan): string {
  const { needed, budget, loadPeak, ways, fits, loads, request } = plan;
  const where = plan.numMachines === 1 ? '' : ` on each of the ${plan.numMachines} machines`;
  if (fits && loads) return `It fits${where}: ${gib(needed)} of the ${gib(budget)} that it may take.`;
  const problem = fits
    ? `loading takes ${gib(loadPeak)}, and ${gib(request.machine.availableBytes)} are available`
    : `it needs ${gib(needed)}, and may take ${gib(Math.max(0, budget))}`;
  const advice =
    ways.length === 0
      ? 'no change that jsg knows makes it fit'
      : `what would fit: ${ways.map(({ what }) => what).join('; or ')}`;
  return `It does not fit${where}: ${problem}; ${advice}.`;
}

const verdict = (plan: Plan) => wrap(sentenceOf(plan), COLUMNS).join('\n');

/** Bytes in bytes, rates in tokens a second. */
export function planToJson(plan: Plan) {
  const { request, placement, decode, prefill } = plan;
  const { machine, model, settings } = request;
  const [single] = decode;
  return {
    verdict: verdictOf(plan),
    fits: verdictOf(plan) === 'fits',
    sentence: sentenceOf(plan),
    board: machine.board?.id ?? null,
    machine: machine.name,
    power_mode: machine.mode,
    machines: plan.numMachines,
    model: { name: model.name, source: model.source, path: model.path, architecture: model.config.architecture },
    quant: settings['torchao-config'] ?? 'none',
    lm_head_dtype: settings['lm-head-dtype'],
    kv_cache_dtype: placement.kvCacheDtype,
    backend: placement.backend,
    context_length: plan.contextLength,
    streams: request.streams,
    memory: {
      weights: plan.weights,
      kv_cache: plan.kv,
      activations: plan.activations,
      cuda_graphs: plan.graphs,
      cuda_context: plan.context,
      staging: plan.staging,
      needed: plan.needed,
      load_time_peak: plan.loadPeak,
      budget: plan.budget,
      mem_fraction_static: settings['mem-fraction-static'],
      available: machine.availableBytes,
      total: machine.totalBytes,
      system: machine.systemBytes,
      desktop: machine.desktopBytes,
    },
    room_tokens: Math.max(0, plan.roomTokens),
    largest: plan.largest,
    predicted: {
      decode_tokens_per_second: single?.tokensPerSecond ?? null,
      prefill_tokens_per_second: prefill.tokensPerSecond,
      tokens_per_joule: single?.tokensPerJoule ?? null,
      decode: decode.map((row) => ({
        streams: row.streams,
        context: row.context,
        bytes_read: row.bytes,
        tokens_per_second: row.tokensPerSecond,
        at_least: row.atLeast,
        tokens_per_joule: row.tokensPerJoule,
      })),
      prefill: { tokens: prefill.tokens, tokens_per_second: prefill.tokensPerSecond },
    },
    assumed: {
      bandwidth_gb_s: machine.rates.bandwidthGBs,
      bandwidth_is: machine.rates.bandwidthIs,
      efficiency: plan.efficiency.share,
      efficiency_source: plan.efficiency.source,
      fp16_tflops: machine.rates.fp16Tflops,
      int8_tops: machine.rates.int8Tops,
      watts: machine.rates.watts,
      gpu_mhz: machine.clocks?.gpuMhz ?? null,
      emc_mhz: machine.clocks?.emcMhz ?? null,
      notes: assumptionsOf(plan),
    },
    ways_to_fit: plan.ways.map(({ what }) => what),
  };
}
