import { describe, expect, it } from 'vitest';
import type { DType, ModelConfig } from '../../../src/addon/binding.js';
import { tensorBytes } from '../../../src/model/dtype.js';
import { planTensors } from '../../../src/model/tensor-plan.js';
import { kvBytesPerToken, type Placement } from '../../../src/plan/footprint.js';
import { describePlan, planMemory } from '../../../src/plan/memory.js';
import type { StoredTensor } from '../../../src/plan/weight-format.js';
import type { GivenSettings } from '../../../src/profile/flags.js';
import { resolveSettings } from '../../../src/profile/resolve.js';
import { laptop } from '../device/machines.js';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

const smollm2: ModelConfig = {
  architecture: 'llama',
  numLayers: 30,
  hiddenSize: 576,
  intermediateSize: 1536,
  numHeads: 9,
  numKvHeads: 3,
  headDim: 64,
  vocabSize: 49152,
  rmsNormEps: 1e-5,
  ropeTheta: 1e5,
  ropeScaling: null,
  ropeInterleaved: false,
  slidingWindow: null,
  tiedEmbeddings: true,
  qkvBias: false,
  qkNorm: false,
  maxContextLength: 8192,
};
const llama8b: ModelConfig = {
  ...smollm2,
  numLayers: 32,
  hiddenSize: 4096,
  intermediateSize: 14336,
  numHeads: 32,
  numKvHeads: 8,
  headDim: 128,
  vocabSize: 128256,
  tiedEmbeddings: false,
  maxContextLength: 131072,
};
const llama1b: ModelConfig = {
  ...llama8b,
  numLayers: 16,
  hiddenSize: 2048,
  intermediateSize: 8192,
  headDim: 64,
  tiedEmbeddings: true,
};

/** Matrices in `dtype`, vectors in F32, as in a GGUF; everything in `dtype` where that is plain. */
function tensorsOf(config: ModelConfig, dtype: DType): StoredTensor[] {
  return planTensors(config).map(({ name, shape }) => {
    const stored = shape.length === 1 && dtype.startsWith('Q') ? 'F32' : dtype;
    return { name, shape, dtype: stored, nbytes: tensorBytes(stored, shape) ?? 0 };
  });
}

const cpu: Placement = {
  backend: 'cpu',
  referenceAttention: false,
  useGraphs: true,
  kvCacheDtype: 'f16',
  integrated: false,
};
const h100: Placement = { ...cpu, backend: 'cuda' };
const orin: Placement = { ...h100, integrated: true };

interface Case {
  config?: ModelConfig;
  dtype?: DType;
  on?: Placement;
  available?: number;
}

function plan(flags: GivenSettings, { config = smollm2, dtype = 'F16', on = cpu, available = 20 * GIB }: Case = {}) {
  const { settings } = resolveSettings(null, laptop, flags);
  return planMemory({ config, tensors: tensorsOf(config, dtype) }, settings, on, available);
}

function refusal(flags: GivenSettings, given: Case): { code: string; message: string; hint: string } {
  try {
    plan(flags, given);
  } catch (error) {
    return error as { code: string; message: string; hint: string };
  }
  throw new Error('it fits');
}

describe('bytes', () => {
  it('a token of SmolLM2 takes 22.5 KiB in half precision, one of an 8B model 128 KiB', () => {
    expect(kvBytesPerToken(smollm2, 'f16')).toBe(23040);
    expect(kvBytesPerToken(smollm2, 'f32')).toBe(46080);
    expect(kvBytesPerToken(llama8b, 'f16')).toBe(128 * 1024);
  });

  it('8 bits halve it, but for the scales of int8: one for K and one for V of each KV head', () => {
    expect(kvBytesPerToken(llama8b, 'fp8_e4m3')).toBe(64 * 1024);
    expect(kvBytesPerToken(llama8b, 'fp8_e5m2')).toBe(64 * 1024);
    expect(kvBytesPerToken(llama8b, 'int8')).toBe(64 * 1024 + 32 * 8 * 4);
  });

  it('weights on a GPU take 16 bits each, whatever plain type is stored', () => {
    const [half, float, wide] = (['F16', 'F32', 'Q6_K'] as const).map(
      (dtype) => plan({}, { config: llama8b, dtype, on: h100, available: 78 * GIB }).weights,
    );
    expect(half).toBe(float);
    expect(half).toBe(wide);
    // 8,030,261,248 parameters of two bytes; norms also as fp32.
    expect(half).toBe(2 * 8_030_261_248 + 4 * 65 * 4096);
  });

  it('groups of 4 and 8 bits stay codes on a GPU, and prompts have their largest stack in 16 bits', () => {
    const on = { config: llama8b, on: h100, available: 78 * GIB };
    const vectors = 6 * 65 * 4096;
    const table = 128256 * 4096;
    const linears = 6_979_321_856;
    const half = plan({}, { ...on, dtype: 'F16' });
    const gguf = plan({}, { ...on, dtype: 'Q4_0' });
    expect(gguf.weights).toBe(2 * table + (table + linears) * (20 / 32) + vectors);
    expect(gguf.activations).toBe(half.activations + 2 * 2 * 14336 * 4096);
    const board = { config: llama8b, on: orin, available: 60 * GIB };
    expect(plan({}, { ...board, dtype: 'Q4_0' }).activations).toBe(
      plan({}, { ...board, dtype: 'F16' }).activations + 64 * 2 ** 20,
    );
    expect(plan({}, { ...on, dtype: 'Q8_0' }).weights).toBe(2 * table + (table + linears) * (34 / 32) + vectors);
  });

  it('a tied table of codes is on a GPU twice: the head reads codes, the lookup 16 bits', () => {
    const { weights } = plan({}, { config: llama1b, dtype: 'Q8_0', on: h100 });
    const table = 128256 * 2048;
    const linears = 1_235_814_400 - table - 33 * 2048;
    expect(weights).toBe(2 * table + (table + linears) * (34 / 32) + 6 * 33 * 2048);
  });

  it('a stack of two types is not codes', () => {
    const tensors = tensorsOf(llama8b, 'Q4_K').map((tensor) =>
      tensor.name.includes('v_proj') ? { ...tensor, dtype: 'Q6_K' as const } : tensor,
    );
    const { settings } = resolveSettings(null, laptop, {});
    const mixed = planMemory({ config: llama8b, tensors }, settings, h100, 78 * GIB).weights;
    const qkv = 32 * (4096 + 2 * 1024) * 4096;
    expect(mixed - plan({}, { config: llama8b, dtype: 'Q4_K', on: h100, available: 78 * GIB }).weights).toBe(
      qkv * (2 - 20 / 32),
    );
  });

  it('a tied table is on a GPU once', () => {
    // 1,235,814,400 parameters.
    expect(plan({}, { config: llama1b, on: h100 }).weights).toBe(2 * 1_235_814_400 + 4 * 33 * 2048);
  });

  it('the CPU uses plain weights as they are and packs quantised ones, a tied table beside the stored one', () => {
    const stored = (dtype: DType) => tensorsOf(smollm2, dtype).reduce((sum, { nbytes }) => sum + nbytes, 0);
    expect(plan({}, { dtype: 'BF16' }).weights).toBe(stored('BF16'));
    const table = tensorBytes('Q4_0', [49152, 576]) ?? 0;
    expect(plan({}, { dtype: 'Q4_0' }).weights).toBe(stored('Q4_0') + table);
    // 6 bits become 8: 40 bytes for 32 weights instead of 26.25.
    const wide = { ...smollm2, hiddenSize: 1024, tiedEmbeddings: false };
    expect(
      plan({}, { config: wide, dtype: 'Q6_K' }).weights / tensorsOf(wide, 'Q6_K').reduce((sum, t) => sum + t.nbytes, 0),
    ).toBeGreaterThan(1.2);
  });

  it('plain attention keeps every score: rows x heads x context', () => {
    const case8b = { config: llama8b, available: 78 * GIB };
    const [fast, plain] = [h100, { ...h100, referenceAttention: true }].map(
      (on) => plan({}, { ...case8b, on }).activations,
    );
    expect((plain ?? 0) - (fast ?? 0)).toBe(4 * (512 + 64) * 32 * 8192);
  });

  it('what the host holds counts where the GPU shares its memory', () => {
    const shared = plan({}, { config: llama8b, on: orin, available: 56 * GIB });
    const discrete = plan({}, { config: llama8b, on: h100, available: 56 * GIB });
    expect(shared.staging).toBe(64 * MIB);
    expect(discrete.staging).toBe(0);
    expect(shared.context).toBeGreaterThan(discrete.context);
    expect(shared.maxTotalTokens).toBeLessThan(discrete.maxTotalTokens);
  });
});

describe('the pool on the CPU', () => {
  it('with room: 65536 tokens, no more', () => {
    expect(plan({})).toMatchObject({ contextLength: 8192, maxTotalTokens: 65536, kv: 65536 * 23040 });
  });

  it('no more than the requests that may run could fill', () => {
    expect(plan({ 'max-running-requests': 2, 'context-length': 1000 }).maxTotalTokens).toBe(2000);
  });

  it('with less room: what fits, in whole blocks', () => {
    const { maxTotalTokens } = plan({}, { available: 900 * MIB });
    expect(maxTotalTokens).toBeLessThan(65536);
    expect(maxTotalTokens).toBeGreaterThan(8192);
    expect(maxTotalTokens % 16).toBe(0);
  });

  it('no context beyond 8192 unless asked for', () => {
    const config = { ...smollm2, maxContextLength: 131072 };
    expect(plan({}, { config }).contextLength).toBe(8192);
    expect(plan({ 'context-length': 100_000 }, { config })).toMatchObject({
      contextLength: 100_000,
      maxTotalTokens: 100_000,
    });
  });

  it('a pool that was asked for is taken as it is', () => {
    expect(plan({ 'max-total-tokens': 1000 })).toMatchObject({ contextLength: 1000, maxTotalTokens: 1008 });
  });

  it('refuses a pool that cannot hold the context asked for', () => {
    const { code, message } = refusal({ 'context-length': 4096, 'max-total-tokens': 1024 }, {});
    expect(code).toBe('E_USAGE');
    expect(message).toContain('less than --context-length 4096');
  });
});

describe('the pool on a GPU', () => {
  it.each<[string, Case, number, number]>([
    // Tokens, at least and at most: of 0.8 x what is available.
    ['8B on an H100', { config: llama8b, on: h100, available: 78 * GIB }, 350_000, 400_000],
    ['8B on an AGX Orin of 64 GB', { config: llama8b, on: orin, available: 57 * GIB }, 210_000, 250_000],
    ['8B on an AGX Orin of 32 GB', { config: llama8b, on: orin, available: 27 * GIB }, 30_000, 60_000],
    ['1B on an Orin NX of 16 GB', { config: llama1b, on: orin, available: 13.5 * GIB }, 220_000, 290_000],
    ['1B on an Orin Nano of 8 GB', { config: llama1b, on: orin, available: 6.2 * GIB }, 45_000, 90_000],
    ['SmolLM2 on an Orin Nano of 8 GB', { config: smollm2, on: orin, available: 6.2 * GIB }, 170_000, 230_000],
  ])('%s: its share of the memory', (_, given, least, most) => {
    const { maxTotalTokens, budget, kv, weights, activations, graphs, context, staging } = plan({}, given);
    expect(maxTotalTokens).toBeGreaterThan(least);
    expect(maxTotalTokens).toBeLessThan(most);
    const needed = weights + kv + activations + graphs + context + staging;
    expect(needed).toBeLessThanOrEqual(budget);
    expect(needed).toBeGreaterThan(budget - 16 * kvBytesPerToken(given.config ?? smollm2, 'f16'));
  });

  it('no more than the requests that may run could fill', () => {
    const flags = { 'max-running-requests': 4 };
    expect(plan(flags, { config: llama8b, on: h100, available: 78 * GIB }).maxTotalTokens).toBe(4 * 8192);
  });

  it('is told in one line', () => {
    const { settings } = resolveSettings(null, laptop, {});
    const told = describePlan(plan({}, { config: llama8b, on: h100, available: 78 * GIB }), settings);
    expect(told).toMatch(
      /^memory: weights: 153\d\d\.\d MiB; KV cache, \d+ tokens: .*; available x 0\.8: 63897\.6 MiB$/,
    );
    expect(told).not.toContain('staging');
  });
});

describe('what does not fit is refused', () => {
  it('with the bytes of each part, and what would fit', () => {
    const { code, message, hint } = refusal({}, { available: 500 * MIB });
    expect(code).toBe('E_OUT_OF_MEMORY');
    expect(message).toMatch(
      /weights\s+256\.\d MiB\n.*KV cache, 8192 tokens\s+180\.0 MiB\n.*activations\s+[\d.]+ MiB\n/,
    );
    expect(message).toMatch(/needed\s+[\d.]+ MiB\n\s+available x 0\.8\s+400\.0 MiB$/);
    expect(message).not.toContain('CUDA');
    const tokens = Number(/--context-length (\d+)/.exec(hint)?.[1]);
    const fitting = plan({ 'context-length': tokens, 'max-total-tokens': tokens }, { available: 500 * MIB });
    expect(fitting.maxTotalTokens).toBe(tokens);
  });

  it('with the share of the memory that would do, where there is one', () => {
    const given = { config: llama8b, on: h100, available: 20 * GIB };
    const fraction = Number(/--mem-fraction-static ([\d.]+) would fit/.exec(refusal({}, given).hint)?.[1]);
    expect(fraction).toBeLessThanOrEqual(0.95);
    expect(plan({ 'mem-fraction-static': fraction }, given).maxTotalTokens).toBeGreaterThanOrEqual(8192);
  });

  it.each([
    ['an Orin Nano of 8 GB', 6.2],
    ['an Orin NX of 16 GB', 13.5],
  ])('8B in 16 bits on %s, with every part named', (_, available) => {
    const { code, message, hint } = refusal({}, { config: llama8b, on: orin, available: available * GIB });
    expect(code).toBe('E_OUT_OF_MEMORY');
    for (const part of ['weights', 'KV cache, 8192 tokens', 'activations', 'CUDA graphs', 'CUDA context', 'staging']) {
      expect(message).toContain(part);
    }
    expect(hint).toMatch(/^Not even the weights fit: take a smaller model/);
  });

  it('says on the CPU that a quantised model may help', () => {
    expect(refusal({}, { available: 50 * MIB }).hint).toBe(
      'Not even the weights fit: take a smaller or a quantised model. --force starts all the same.',
    );
  });

  it('unless forced: then the least that was asked for is planned', () => {
    const { settings } = resolveSettings(null, laptop, {});
    const model = { config: smollm2, tensors: tensorsOf(smollm2, 'F16') };
    const forced = planMemory(model, settings, cpu, 50 * MIB, { force: true });
    expect(forced).toMatchObject({ fits: false, contextLength: 8192, maxTotalTokens: 8192 });
  });

  it('a pool of billions of tokens', () => {
    expect(refusal({ 'max-total-tokens': 2 ** 31 - 1 }, {}).code).toBe('E_OUT_OF_MEMORY');
  });
});
