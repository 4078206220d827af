/** `jsg bench prefill`: prompt tokens a second by length of the prompt and by number of prompts. */
import { measurePrefills, withPeaks } from '../bench/prefill.js';
import { whole, wholes } from './bench-options.js';
import { runBench } from './bench-session.js';
import { endpointOption } from './bench-target-options.js';
import type { Options } from './settings.js';

export async function benchPrefill(options: Options): Promise<number> {
  const workload = {
    promptTokens: wholes(options, 'prompt-tokens', [128, 512, 2048], { max: 1_000_000 }),
    batches: wholes(options, 'batch', [1], { max: 256 }),
    repeats: whole(options, 'repeats', 3, { max: 1000 }),
  };
  return runBench(options, {
    streams: Math.max(...workload.batches),
    trialTokens: 16,
    endpoint: endpointOption(options),
    async measure(run) {
      return { kind: 'prefill', workload: { ...workload }, ...(await measurePrefills(run, workload)) };
    },
    finish(figures, { peakOfPrefill }) {
      return figures.kind === 'prefill' ? { ...figures, prefill: withPeaks(figures.prefill, peakOfPrefill) } : figures;
    },
  });
}
