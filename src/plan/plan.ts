/** `jsg plan`: will it fit, what is the most that does, and how fast will it be? Pure. */
import { JsgError } from '../errors.js';
import type { Settings } from '../profile/flags.js';
import { UNKNOWN_RATES } from './board.js';
import type { Efficiency } from './efficiency.js';
import type { FoundModel } from './find-model.js';
import type { Placement } from './footprint.js';
import type { PlanMachine } from './machine.js';
import { type Assessment, assessMemory, bytesOf, chooseContext, type Model } from './memory.js';
import { machinesThatShare, shareOf } from './share.js';
import { type DecodeRate, decodeRate, efficiencyOf, prefillRate, workloadOf } from './speed.js';
import { type Change, waysToFit } from './ways.js';
import { asLoaded } from './weight-format.js';

export interface PlanRequest {
  model: FoundModel;
  settings: Settings;
  /** Sequences that are to have a whole context each. */
  streams: number;
  machine: PlanMachine;
}

/** Bytes are those of one machine, where several share the model. */
export interface Plan extends Assessment {
  request: PlanRequest;
  numMachines: number;
  placement: Placement;
  /** All parts and the KV cache of the streams asked for. */
  needed: number;
  /** The most that is held at once while loading, and whether that is there. */
  loadPeak: number;
  loads: boolean;
  /** For numbers of streams, the longest context that fits; those where none does are left out. */
  largest: { streams: number; context: number }[];
  efficiency: Efficiency;
  decode: DecodeRate[];
  prefill: { tokens: number; tokensPerSecond: number | null };
  /** What would make it fit, where it does not; each was checked. */
  ways: Change[];
}

/** A decode rate is quoted at this context: the documented figures are of a few hundred tokens. */
const SHORT_CONTEXT = 512;
const PREFILL_TOKENS = 512;
const STREAMS = [1, 2, 4, 8, 16];
/** Tokens of a block of the KV cache. */
const BLOCK = 16;
/** A context below this is none to work with. */
const LEAST_CONTEXT = 256;

export function makePlan(request: PlanRequest): Plan {
  const loaded = loadedModel(request);
  const plan = assess(request, loaded);
  const { machine, streams } = request;
  const workload = workloadOf(loaded, plan, plan.placement);
  // What machines tell each other in every layer takes its time, and nobody knows how long.
  const rates = plan.numMachines === 1 ? machine.rates : UNKNOWN_RATES;
  const rate = (n: number, context: number) => decodeRate(workload, rates, machine.clocks, { streams: n, context });
  const short = Math.min(SHORT_CONTEXT, plan.contextLength);
  const contexts = [...new Set([short, plan.contextLength])];
  return {
    ...plan,
    largest: largestOf(request, loaded),
    efficiency: efficiencyOf(workload, rates),
    decode: [...new Set([1, streams])].flatMap((n) => contexts.map((context) => rate(n, context))),
    prefill: { tokens: PREFILL_TOKENS, tokensPerSecond: prefillRate(workload, rates, PREFILL_TOKENS) },
    ways: plan.fits && plan.loads ? [] : waysToFit(request, (changed) => fits(changed)),
  };
}

/** As one machine has it. */
const loadedModel = ({ model, settings }: PlanRequest): Model =>
  asLoaded(shareOf<Model>(model, machinesThatShare(settings)), settings);

type Bytes = Omit<Plan, 'largest' | 'efficiency' | 'decode' | 'prefill' | 'ways'>;

const fits = (request: PlanRequest, loaded: Model = loadedModel(request)): boolean => {
  const plan = assess(request, loaded);
  return plan.fits && plan.loads;
};

/** `loaded`: the model as the settings have it loaded on each machine. */
function assess(request: PlanRequest, loaded: Model): Bytes {
  const { machine, streams } = request;
  const contextLength = contextOf(request);
  const perStream = Math.ceil(contextLength / BLOCK) * BLOCK;
  const settings = {
    ...request.settings,
    'context-length': contextLength,
    'max-total-tokens': Math.max(request.settings['max-total-tokens'] ?? 0, streams * perStream),
    'max-running-requests': Math.max(request.settings['max-running-requests'], streams),
  };
  const placement = placementOf(request);
  const assessment = assessMemory(loaded, settings, placement, machine.availableBytes);
  const needed = bytesOf(assessment) + assessment.kv;
  const loadPeak = Math.max(needed, wholeModelFirst(request, assessment.context));
  const numMachines = machinesThatShare(settings);
  const loads = loadPeak <= machine.availableBytes;
  return { ...assessment, request, numMachines, placement, needed, loadPeak, loads };
}

function contextOf({ model, settings }: PlanRequest): number {
  const asked = settings['context-length'];
  const most = model.config.maxContextLength;
  if (asked !== null && asked > most) {
    throw new JsgError('E_USAGE', `--context-length ${asked} is more than the ${most} the model was trained for`);
  }
  return chooseContext(model.config, settings);
}

/** SGLang loads a model in 16 bits and quantises it then. */
function wholeModelFirst({ settings, model }: PlanRequest, context: number): number {
  if (settings.engine !== 'sglang' || settings['torchao-config'] === null) return 0;
  const { tensors } = shareOf<Model>(model, machinesThatShare(settings));
  return context + tensors.reduce((sum, { shape }) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0);
}

export function placementOf({ settings, machine }: PlanRequest): Placement {
  const backend = settings.device === 'cuda' ? 'cuda' : 'cpu';
  const asked = settings['kv-cache-dtype'];
  const isWide = asked === 'float32' || (asked === 'auto' && settings.dtype === 'float32');
  const isNarrow = asked === 'fp8_e4m3' || asked === 'fp8_e5m2' || asked === 'int8';
  return {
    backend,
    referenceAttention: backend === 'cuda' && settings['attention-backend'] === 'torch_native',
    useGraphs: !settings['disable-cuda-graph'],
    // jsg keeps int8dq's activations in 16 bits on a GPU.
    int8Prompts:
      backend === 'cuda' &&
      (settings.engine === 'sglang' ? settings['torchao-config'] === 'int8dq' : settings['prefill-dtype'] === 'int8'),
    kvCacheDtype: isNarrow ? asked : backend === 'cpu' && isWide ? 'f32' : 'f16',
    integrated: machine.integrated,
  };
}

/** By bisection: what one context more takes is not the KV cache alone. */
function largestOf(request: PlanRequest, loaded: Model): Plan['largest'] {
  const most = request.model.config.maxContextLength;
  const fitsWith = (streams: number, context: number) =>
    fits(
      {
        ...request,
        streams,
        settings: { ...request.settings, 'context-length': context, 'max-total-tokens': null },
      },
      loaded,
    );
  return [...new Set([...STREAMS, request.streams])]
    .sort((a, b) => a - b)
    .flatMap((streams) => {
      if (fitsWith(streams, most)) return [{ streams, context: most }];
      let [blocks, tooMany] = [0, Math.ceil(most / BLOCK)];
      while (tooMany - blocks > 1) {
        const middle = Math.floor((blocks + tooMany) / 2);
        if (fitsWith(streams, middle * BLOCK)) blocks = middle;
        else tooMany = middle;
      }
      const context = blocks * BLOCK;
      return context >= LEAST_CONTEXT ? [{ streams, context }] : [];
    });
}
