/** Checkpoints that others quantised, against the logits of their dequantised weights (test/oracle/packed.py). */
import { afterEach, describe, expect, test } from 'vitest';
import type { Runtime } from '../../src/addon/runtime.js';
import { loadModel } from '../../src/model/load.js';
import { deviationOf, readGoldens, runGreedy, startRuntime } from './golden-models.js';

/** Of 15-bit activations beside exact weights. */
const TOLERANCE = 1e-2;

let runtime: Runtime | undefined;
afterEach(async () => {
  await runtime?.stop();
  runtime = undefined;
});

describe('checkpoints of other tools', () => {
  test.each(readGoldens('packed'))(
    '$name: the same greedy ids, log-probabilities of the exact weights',
    async (golden) => {
      const { weights } = await loadModel({ model: golden.path, loadFormat: 'auto' });
      runtime = await startRuntime(weights, { contextLength: 256, maxTotalTokens: 1024 });
      const events = await runGreedy(runtime, golden.prompt, golden.greedy.length, { scorePrompt: true });
      const generated = events.filter((event) => !event.isPrompt);
      expect(generated.map((event) => event.tokenId)).toEqual(golden.greedy);
      const deviation = deviationOf(golden, events, TOLERANCE);
      expect(deviation.max, `mean distance ${deviation.mean}`).toBeLessThan(TOLERANCE);
    },
  );
});
