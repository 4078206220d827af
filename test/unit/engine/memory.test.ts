import { describe, expect, it } from 'vitest';
import type { ModelConfig } from '../../../src/addon/binding.js';
import { kvBytesPerToken, kvCacheDtype, planMemory } from '../../../src/engine/memory.js';
import type { GivenSettings } from '../../../src/profile/flags.js';
import { resolveSettings } from '../../../src/profile/resolve.js';
import { laptop } from '../device/machines.js';

const config: ModelConfig = {
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
const MIB = 2 ** 20;
const weights = [{ nbytes: 98 * MIB }];
const plan = (flags: GivenSettings, availableBytes = 20 * 1024 * MIB, model = config) =>
  planMemory(model, weights, resolveSettings(null, laptop, flags).settings, availableBytes);

it('a token of SmolLM2 takes 22.5 KiB in half precision', () => {
  expect(kvBytesPerToken(config, 'f16')).toBe(23040);
  expect(kvBytesPerToken(config, 'f32')).toBe(46080);
});

it.each([
  [{ 'kv-cache-dtype': 'auto', dtype: 'auto' }, 'f16'],
  [{ 'kv-cache-dtype': 'auto', dtype: 'float32' }, 'f32'],
  [{ 'kv-cache-dtype': 'float16', dtype: 'float32' }, 'f16'],
  [{ 'kv-cache-dtype': 'float32', dtype: 'half' }, 'f32'],
] as const)('%j -> %s', (settings, dtype) => {
  expect(kvCacheDtype(settings)).toBe(dtype);
});

describe('planMemory', () => {
  it('with room: 65536 tokens, no more', () => {
    expect(plan({})).toMatchObject({ contextLength: 8192, maxTotalTokens: 65536, kvBytes: 65536 * 23040 });
  });

  it('no more than the requests that may run could fill', () => {
    expect(plan({ 'max-running-requests': 2, 'context-length': 1000 }).maxTotalTokens).toBe(2000);
  });

  it('with less room: what fits, in whole blocks', () => {
    const { maxTotalTokens } = plan({}, 600 * MIB);
    expect(maxTotalTokens).toBeLessThan(65536);
    expect(maxTotalTokens).toBeGreaterThan(8192);
    expect(maxTotalTokens % 16).toBe(0);
  });

  it('no context beyond 8192 unless asked for', () => {
    const long = { ...config, maxContextLength: 131072 };
    expect(plan({}, undefined, long).contextLength).toBe(8192);
    expect(plan({ 'context-length': 100_000 }, undefined, long)).toMatchObject({
      contextLength: 100_000,
      maxTotalTokens: 100_000,
    });
  });

  it('a pool that was asked for is taken as it is', () => {
    expect(plan({ 'max-total-tokens': 1000 })).toMatchObject({ contextLength: 1000, maxTotalTokens: 1008 });
  });

  it('refuses a pool that cannot hold the context asked for', () => {
    const refuse = () => plan({ 'context-length': 4096, 'max-total-tokens': 1024 });
    expect(refuse).toThrow(expect.objectContaining({ code: 'E_USAGE' }));
    expect(refuse).toThrow('less than --context-length 4096');
  });

  it('refuses what does not fit, with the bytes and what would', () => {
    const refuse = () => plan({}, 300 * MIB);
    expect(refuse).toThrow(expect.objectContaining({ code: 'E_OUT_OF_MEMORY' }));
    expect(refuse).toThrow(/weights\s+98\.0 MiB\n.*KV cache, 8192 tokens\s+180\.0 MiB\n.*\n.*needed\s+[\d.]+ MiB\n/);
    try {
      refuse();
    } catch (error) {
      const hint = (error as { hint: string }).hint;
      const tokens = Number(/--context-length (\d+)/.exec(hint)?.[1]);
      expect(plan({ 'context-length': tokens, 'max-total-tokens': tokens }, 300 * MIB).maxTotalTokens).toBe(tokens);
    }
  });

  it('says when not even the weights fit', () => {
    expect(() => plan({}, 50 * MIB)).toThrow(expect.objectContaining({ hint: expect.stringContaining('weights') }));
    expect(() => plan({ 'max-total-tokens': 2 ** 31 - 1 })).toThrow(
      expect.objectContaining({ code: 'E_OUT_OF_MEMORY' }),
    );
  });
});
