/** Tiny random models of every architecture and storage type, against transformers in float32 (test/oracle). */
import { afterEach, describe, expect, test } from 'vitest';
import { loadBinding, type RuntimeSpec } from '../../src/addon/binding.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { loadModel } from '../../src/model/load.js';
import { deviationOf, type Golden, readGoldens, runGreedy, startRuntime } from './golden-models.js';

/** The project's promise for float32. */
const EXACT = 1e-3;
/** Beside quantised weights the CPU takes activations as 15-bit integers, which leaves a little more. */
const QUANTISED = 1e-2;
const PLAIN_FILES = new Set(['f32', 'f16', 'bf16', 'llama31', 'qwen2', 'qwen3']);

let runtime: Runtime | undefined;
afterEach(async () => {
  await runtime?.stop();
  runtime = undefined;
});

async function scored(golden: Golden, overrides: Partial<RuntimeSpec> = {}) {
  const model = await loadModel({ model: golden.path, loadFormat: 'auto' });
  runtime = await startRuntime(model.weights, { contextLength: 256, maxTotalTokens: 1024, ...overrides });
  return runGreedy(runtime, golden.prompt, golden.greedy.length, { scorePrompt: true });
}

async function expectGolden(golden: Golden, tolerance: number, overrides: Partial<RuntimeSpec> = {}): Promise<void> {
  const events = await scored(golden, overrides);
  const prompt = events.filter((event) => event.isPrompt);
  expect(prompt.map((event) => event.tokenId)).toEqual(golden.prompt);
  expect(prompt[0]?.logprob).toBeNaN();
  const generated = events.filter((event) => !event.isPrompt);
  expect(generated.map((event) => event.tokenId)).toEqual(golden.greedy);
  expect(generated.at(-1)?.finishReason).toBe('length');
  const deviation = deviationOf(golden, events, tolerance);
  expect(deviation.max, `${golden.name}: mean distance ${deviation.mean}`).toBeLessThan(tolerance);
}

describe('Hugging Face directories', () => {
  const goldens = readGoldens('tiny');
  test.each(goldens)('$name: log-probabilities within 1e-3, the same greedy ids', (golden) =>
    expectGolden(golden, EXACT),
  );

  // Chunks that end inside a block of 16 and inside the sliding window.
  test.each(goldens)('$name: the same in prefill chunks of 7', (golden) =>
    expectGolden(golden, EXACT, { chunkedPrefillSize: 7 }),
  );

  test.each(goldens)('$name: close with an fp16 KV cache', async (golden) => {
    const deviation = deviationOf(golden, await scored(golden, { kvCacheDtype: 'f16' }), 0.1);
    expect(deviation.mean).toBeLessThan(5e-3);
    expect(deviation.max).toBeLessThan(0.1);
  });
});

describe('GGUF files', () => {
  const goldens = readGoldens('gguf');
  test.each(goldens)('$name: log-probabilities of the dequantised weights, the same greedy ids', (golden) =>
    expectGolden(golden, PLAIN_FILES.has(golden.name) ? EXACT : QUANTISED),
  );

  test.each(goldens)('$name: the same in prefill chunks of 7', (golden) =>
    expectGolden(golden, PLAIN_FILES.has(golden.name) ? EXACT : QUANTISED, { chunkedPrefillSize: 7 }),
  );
});

describe('every instruction set of this machine', async () => {
  const goldens = [...readGoldens('tiny'), ...readGoldens('gguf')];
  afterEach(() => {
    delete process.env.JSG_ISA;
  });

  test.each((await loadBinding()).isas())('%s', async (isa) => {
    process.env.JSG_ISA = isa;
    for (const golden of goldens) {
      const isPlain = golden.path.endsWith('.gguf') ? PLAIN_FILES.has(golden.name) : true;
      await expectGolden(golden, isPlain ? EXACT : QUANTISED);
      expect(runtime?.info.isa).toBe(isa);
      await runtime?.stop();
    }
  });
});
