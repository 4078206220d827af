/** Prometheus metrics under SGLang's names, so that its dashboards work here. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { StepStats } from '../addon/binding.js';
import type { Runtime } from '../addon/runtime.js';
import type { Acceptance } from './draft-counts.js';

// SGLang's bounds, with finer ones at the low end: small models answer faster than its dashboards expect.
const LATENCY_BUCKETS = [
  0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400, 600, 1200, 1800, 2400,
];
const TOKEN_BUCKETS = [
  0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.025, 0.03, 0.035, 0.04, 0.06, 0.08, 0.1, 0.2, 0.4, 0.6, 0.8,
  1, 2, 4, 6, 8,
];

/** Times one sequence. */
export interface SequenceTimer {
  token(): void;
  end(): void;
}

export class Metrics {
  readonly registry = new Registry();
  readonly #promptTokens: Counter.Internal;
  readonly #generationTokens: Counter.Internal;
  readonly #cachedTokens: Counter.Internal;
  readonly #requests: Counter.Internal;
  readonly #timeToFirstToken: Histogram.Internal<'model_name'>;
  readonly #interTokenLatency: Histogram.Internal<'model_name'>;
  readonly #requestLatency: Histogram.Internal<'model_name'>;
  /** Tokens a second over the last interval of the step log; 0 when idle. */
  genThroughput = 0;
  /** Prompt tokens since the start that were found in the prefix cache, and that were computed. */
  #numCached = 0;
  #numPrefilled = 0;

  /** Over the last interval in which something was decoded. */
  acceptance: Acceptance = { acceptLength: 0, acceptRate: 0 };

  constructor(modelName: string, runtime: Runtime, speculates: boolean) {
    const labels = { model_name: modelName };
    const labelNames = ['model_name'] as const;
    const registers = [this.registry];
    // Every series exists from the start: a rate over one that appears later misses its first step.
    const counter = (name: string, help: string) => {
      const metric = new Counter({ name: `sglang:${name}`, help, labelNames, registers });
      metric.inc(labels, 0);
      return metric.labels(labels);
    };
    const histogram = (name: string, help: string, buckets: number[]) => {
      const metric = new Histogram({ name: `sglang:${name}`, help, labelNames, buckets, registers });
      metric.zero(labels);
      return metric.labels(labels);
    };
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name: `sglang:${name}`,
        help,
        labelNames,
        registers,
        collect() {
          this.set(labels, read());
        },
      });

    this.#promptTokens = counter('prompt_tokens_total', 'Number of prefill tokens processed.');
    this.#generationTokens = counter('generation_tokens_total', 'Number of generation tokens processed.');
    this.#cachedTokens = counter('cached_tokens_total', 'Number of cached prompt tokens.');
    this.#requests = counter('num_requests_total', 'Number of requests processed.');
    this.#timeToFirstToken = histogram(
      'time_to_first_token_seconds',
      'Histogram of time to first token in seconds.',
      LATENCY_BUCKETS,
    );
    this.#interTokenLatency = histogram(
      'inter_token_latency_seconds',
      'Histogram of inter-token latency in seconds.',
      TOKEN_BUCKETS,
    );
    this.#requestLatency = histogram(
      'e2e_request_latency_seconds',
      'Histogram of end-to-end request latency in seconds.',
      LATENCY_BUCKETS,
    );
    gauge('num_running_reqs', 'The number of running requests.', () => runtime.stats().numRunning);
    gauge('num_queue_reqs', 'The number of requests in the waiting queue.', () => runtime.stats().numQueued);
    gauge('num_used_tokens', 'The number of used tokens.', () => runtime.stats().usedTokens);
    gauge('max_total_num_tokens', 'Capacity of the KV cache in tokens.', () => runtime.stats().totalTokens);
    gauge('token_usage', 'The token usage.', () => {
      const { usedTokens, totalTokens } = runtime.stats();
      return totalTokens > 0 ? usedTokens / totalTokens : 0;
    });
    gauge('kv_evictable_tokens', 'Cached tokens that no request uses.', () => runtime.stats().evictableTokens);
    gauge('cache_hit_rate', 'The cache hit rate since the start.', () => {
      const total = this.#numCached + this.#numPrefilled;
      return total > 0 ? this.#numCached / total : 0;
    });
    if (runtime.residency) {
      new Gauge({
        name: 'jsg:model_loaded',
        help: 'Whether the model is in memory.',
        labelNames,
        registers,
        collect() {
          this.set(labels, Number(runtime.residency === 'loaded'));
        },
      });
    }
    gauge('gen_throughput', 'The generation throughput (token/s).', () => this.genThroughput);
    if (!speculates) return;
    gauge('spec_accept_length', 'Tokens of a sequence in a step.', () => this.acceptance.acceptLength);
    gauge('spec_accept_rate', 'Share of the drafts that were right.', () => this.acceptance.acceptRate);
  }

  /** Once a step. */
  step({ cachedTokens, prefillTokens }: StepStats): void {
    if (cachedTokens > 0) this.#cachedTokens.inc(cachedTokens);
    this.#numCached += cachedTokens;
    this.#numPrefilled += prefillTokens;
  }

  /** A sequence begins now. */
  sequence(numPromptTokens: number): SequenceTimer {
    this.#requests.inc();
    this.#promptTokens.inc(numPromptTokens);
    const begin = performance.now();
    let last = 0;
    return {
      token: () => {
        const now = performance.now();
        if (last === 0) this.#timeToFirstToken.observe((now - begin) / 1000);
        else this.#interTokenLatency.observe((now - last) / 1000);
        last = now;
        this.#generationTokens.inc();
      },
      end: () => this.#requestLatency.observe((performance.now() - begin) / 1000),
    };
  }
}
