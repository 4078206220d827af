/** What the log lines of a supervised SGLang come to, live and as Prometheus metrics under SGLang's names. */
import { Counter, Gauge, Registry } from 'prom-client';
import type { DecodeLine, StepLine } from './step-lines.js';

/** SGLang writes a line every 40 steps at least; after this nothing is being decoded. */
const STALE_MS = 30_000;

interface Seen<T> {
  line: T;
  atMs: number;
}

export class Figures {
  readonly registry = new Registry();
  isUp = false;
  /** By rank: with data parallelism several schedulers write lines. */
  readonly #decode = new Map<string, Seen<DecodeLine>>();
  readonly #newTokens: Counter.Internal;
  readonly #cachedTokens: Counter.Internal;
  readonly #newSeqs: Counter.Internal;
  readonly #restarts: Counter.Internal;

  constructor(
    modelName: string,
    private readonly now: () => number = () => performance.now(),
  ) {
    const labels = { model_name: modelName };
    const registers = [this.registry];
    const labelNames = ['model_name'];
    const counter = (name: string, help: string) => {
      const metric = new Counter({ name, help, labelNames, registers });
      metric.inc(labels, 0);
      return metric.labels(labels);
    };
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({
        name,
        help,
        labelNames,
        registers,
        collect() {
          this.set(labels, read());
        },
      });
    this.#newTokens = counter('sglang:prompt_tokens_total', 'Number of prefill tokens processed.');
    this.#cachedTokens = counter('sglang:cached_tokens_total', 'Number of cached prompt tokens.');
    this.#newSeqs = counter('sglang:num_requests_total', 'Number of requests whose prefill began.');
    this.#restarts = counter('jsg:engine_starts_total', 'How often the engine was started.');
    gauge('jsg:engine_up', 'Whether the engine answers.', () => Number(this.isUp));
    const sum = (read: (line: DecodeLine) => number | null) =>
      this.#live().reduce((total, line) => total + (read(line) ?? 0), 0);
    gauge('sglang:gen_throughput', 'The generation throughput (token/s).', () => this.genThroughput);
    gauge('sglang:num_running_reqs', 'The number of running requests.', () => sum(({ numRunning }) => numRunning));
    gauge('sglang:num_queue_reqs', 'The number of requests in the waiting queue.', () =>
      sum(({ numQueued }) => numQueued),
    );
    gauge('sglang:num_used_tokens', 'The number of used tokens.', () => sum(({ usedTokens }) => usedTokens));
    gauge('sglang:token_usage', 'The token usage.', () =>
      Math.max(0, ...this.#live().map(({ tokenUsage }) => tokenUsage ?? 0)),
    );
  }

  /** Tokens a second, over all ranks; 0 when no line came for a while. */
  get genThroughput(): number {
    return this.#live().reduce((sum, line) => sum + line.genThroughput, 0);
  }

  push(line: StepLine): void {
    if (line.kind === 'decode') {
      this.#decode.set(line.rank, { line, atMs: this.now() });
      return;
    }
    this.#newTokens.inc(line.numNewTokens);
    this.#cachedTokens.inc(line.numCachedTokens);
    this.#newSeqs.inc(line.numNewSeqs);
  }

  started(): void {
    this.#restarts.inc();
    this.down();
  }

  down(): void {
    this.isUp = false;
    this.#decode.clear();
  }

  #live(): DecodeLine[] {
    return [...this.#decode.values()].filter(({ atMs }) => this.now() - atMs < STALE_MS).map(({ line }) => line);
  }
}
