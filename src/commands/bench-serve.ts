/** `jsg bench serve`: throughput and latencies under load, of any OpenAI-compatible server. */
import { parseServiceLevel, type ServiceLevel } from '../bench/goodput.js';
import { doubtsOf, type Load, measureServe, type ServeOptions } from '../bench/serve.js';
import { JsgError } from '../errors.js';
import { isGiven, rates, real, whole, wholes } from './bench-options.js';
import { runBench } from './bench-session.js';
import { endpointOption } from './bench-target-options.js';
import { datasetOption, makeWorkload } from './bench-workload.js';
import type { Options } from './settings.js';

const MOST_PROMPTS = 10_000_000;
const MOST_CONCURRENT = 16_384;
/** Few enough for a board, many enough for percentiles. */
const NUM_PROMPTS = 100;

export async function benchServe(options: Options): Promise<number> {
  const serve = serveOptions(options);
  const dataset = datasetOption(options);
  const endpoint = endpointOption(options) ?? (dataset.isConversation ? 'chat' : null);
  return runBench(options, {
    streams: Math.max(...serve.levels.map(({ maxConcurrency }) => maxConcurrency ?? 1)),
    trialTokens: 16,
    endpoint,
    async measure(run) {
      const { workload, notes } = await makeWorkload(dataset, run);
      const { levels, failure } = await measureServe(run, workload, serve);
      return {
        kind: 'serve',
        workload: { ...describe(serve), ...dataset.described, seed: run.seed },
        serve: levels,
        notes: [...notes, ...levels.flatMap(doubtsOf)],
        failure,
      };
    },
  });
}

function serveOptions(options: Options): ServeOptions {
  const durationS = real(options, 'duration', null, { min: 0.1, max: 1e6 });
  const words = options.goodput as string[] | undefined;
  const levels = levelsOf(options);
  const numPrompts = whole(options, 'num-prompts', durationS === null ? NUM_PROMPTS : null, { max: MOST_PROMPTS });
  if (
    numPrompts === null &&
    levels.some(({ requestRate, maxConcurrency }) => isAtOnce(requestRate) && !maxConcurrency)
  ) {
    throw new JsgError('E_USAGE', '--duration without --request-rate, --max-concurrency or --num-prompts has no end', {
      hint: 'Add --max-concurrency N (closed loop) or --request-rate R (open loop).',
    });
  }
  return {
    levels,
    numPrompts,
    durationS,
    warmupRequests: whole(options, 'warmup-requests', 1, { min: 0, max: 10_000 }),
    serviceLevel: words === undefined ? null : parseServiceLevel(words),
  };
}

const isAtOnce = (requestRate: number) => !Number.isFinite(requestRate);

/** One of the two may be a list: its members are measured one after the other. */
function levelsOf(options: Options): Load[] {
  const requestRates = rates(options, 'request-rate', 1e6);
  const bounds = { max: MOST_CONCURRENT };
  const concurrencies = wholes(options, 'max-concurrency', [], bounds);
  const burstiness = real(options, 'burstiness', 1, { min: 0.01, max: 1000 });
  if (requestRates.length > 1 && concurrencies.length > 1) {
    throw new JsgError(
      'E_USAGE',
      '--request-rate and --max-concurrency are both lists: give one of them a single value',
    );
  }
  if (isGiven(options, 'burstiness') && requestRates.every(isAtOnce)) {
    throw new JsgError('E_USAGE', '--burstiness is of the arrivals at a --request-rate, and there is none');
  }
  const limits = concurrencies.length === 0 ? [null] : concurrencies;
  return requestRates.flatMap((requestRate) =>
    limits.map((maxConcurrency) => ({ requestRate, burstiness, maxConcurrency })),
  );
}

function describe({ levels, numPrompts, durationS, serviceLevel }: ServeOptions) {
  return {
    levels: levels.map(({ requestRate, burstiness, maxConcurrency }) => ({
      requestRate: isAtOnce(requestRate) ? null : requestRate,
      burstiness,
      maxConcurrency,
    })),
    numPrompts,
    durationS,
    goodput: serviceLevel === null ? null : ({ ...serviceLevel } as Record<keyof ServiceLevel, number>),
  };
}
