/** `jsg bench` and `jsg bench decode`: tokens a second over HTTP, beside what the memory's read bandwidth allows. */
import { type DecodeWorkload, measureDecode, withShares } from '../bench/decode.js';
import { withPeaks } from '../bench/prefill.js';
import { whole, wholes } from './bench-options.js';
import { runBench } from './bench-session.js';
import { endpointOption } from './bench-target-options.js';
import type { Options } from './settings.js';

/** Short, so that the keys and values of a prompt weigh little beside the weights. */
const CONTEXT = 24;

export async function bench(options: Options): Promise<number> {
  const workload: DecodeWorkload = {
    batches: wholes(options, 'batch', [1, 2, 4, 8], { max: 256 }),
    contexts: wholes(options, 'context', [CONTEXT], { max: 1_000_000 }),
    maxTokens: whole(options, 'max-tokens', 128, { min: 2, max: 100_000 }),
    repeats: whole(options, 'repeats', 3, { max: 1000 }),
    // 0 leaves it out.
    promptTokens: whole(options, 'prompt-tokens', 512, { min: 0, max: 1_000_000 }) || null,
  };
  return runBench(options, {
    streams: Math.max(...workload.batches),
    trialTokens: workload.maxTokens,
    endpoint: endpointOption(options),
    async measure(run) {
      return { kind: 'decode', workload: { ...workload }, ...(await measureDecode(run, workload)) };
    },
    finish(figures, { readBandwidthGBs, peakOfPrefill }) {
      if (figures.kind !== 'decode') return figures;
      const { decode, prefill } = figures;
      const [row = null] = prefill === null ? [] : withPeaks([prefill], peakOfPrefill);
      return { ...figures, decode: withShares(decode, readBandwidthGBs), prefill: row };
    },
  });
}
