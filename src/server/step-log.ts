/**
 * The log lines of prefill and decode, word for word as SGLang writes them, since tools parse them. A line's throughput
 * is tokens decoded over wall time since the line before it, prefills in between included; time in which nothing ran is
 * not counted.
 */
import type { StepStats } from '../addon/binding.js';
import { log } from '../log.js';
import { type Acceptance, acceptance } from './draft-counts.js';

/** Lines at the end of a stream are no closer than this while other streams go on. */
const MIN_GAP_MS = 100;
/** Nor are lines of steps with prompts, one behind the other, than this: beside streams a long one takes thousands. */
const MIN_PREFILL_GAP_MS = 1000;

export interface StepLogOptions {
  /** Decode steps between two lines. */
  interval: number;
  /** Lines tell how many drafts were right. */
  speculates?: boolean | undefined;
}

/** Of the last interval. */
export interface DecodeFigures {
  tokensPerSecond: number;
  acceptance?: Acceptance | undefined;
}

export class StepLog {
  /** Steps and tokens since the last decode line. */
  #steps = 0;
  #tokens = 0;
  /** Drafts since, those that were right, and the steps of each sequence. */
  #drafts = 0;
  #accepted = 0;
  #sequenceSteps = 0;
  /** When the interval began, ms; null while nothing runs. */
  #begin: number | null = null;
  /** Time that steps took since, ms. */
  #busyMs = 0;
  #previous: StepStats | null = null;
  /** Of steps with prompts that no line has told of: the last one, with the tokens of all. */
  #prompts: StepStats | null = null;
  #lastPrefillLine = Number.NEGATIVE_INFINITY;
  /** By the last step that decoded. */
  #usedGraph = false;

  constructor(
    private readonly options: StepLogOptions,
    private readonly onFigures: (figures: DecodeFigures) => void,
    private readonly write: (line: string) => void = log.info,
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Once a step. */
  step(stats: StepStats): void {
    const now = this.now();
    this.#notePrompts(stats, now);
    if (stats.decodeSeqs > 0) {
      if (this.#begin === null) this.#start(now - stats.elapsedUs / 1000);
      this.#steps++;
      this.#tokens += stats.decodeSeqs + stats.acceptedTokens;
      this.#drafts += stats.draftTokens;
      this.#accepted += stats.acceptedTokens;
      this.#sequenceSteps += stats.decodeSeqs;
      this.#usedGraph = stats.cudaGraph !== 0;
    }
    this.#busyMs += stats.elapsedUs / 1000;
    const isIdle = stats.numRunning === 0;
    if (this.#steps > 0 && this.#isDue(stats, isIdle, now)) this.#writeDecode(stats, now);
    if (isIdle && stats.numQueued === 0) {
      this.#begin = null;
      this.onFigures({ tokensPerSecond: 0 });
    }
    this.#previous = stats;
  }

  #isDue(stats: StepStats, isIdle: boolean, now: number): boolean {
    if (isIdle || this.#steps >= this.options.interval) return true;
    const before = this.#previous;
    const hasEnded = before !== null && stats.numRunning + stats.numRetracted < before.numRunning;
    return hasEnded && now - (this.#begin ?? now) >= MIN_GAP_MS;
  }

  #notePrompts(stats: StepStats, now: number): void {
    const before = this.#prompts;
    if (stats.prefillSeqs > 0) {
      this.#prompts = {
        ...stats,
        prefillSeqs: Math.max(stats.prefillSeqs, before?.prefillSeqs ?? 0),
        prefillTokens: stats.prefillTokens + (before?.prefillTokens ?? 0),
        cachedTokens: stats.cachedTokens + (before?.cachedTokens ?? 0),
      };
      if (stats.numRunning > 0 && now - this.#lastPrefillLine < MIN_PREFILL_GAP_MS) return;
    }
    if (this.#prompts === null) return;
    this.#writePrefill(this.#prompts);
    this.#prompts = null;
    this.#lastPrefillLine = now;
  }

  #writePrefill(stats: StepStats): void {
    this.write(
      `Prefill batch, #new-seq: ${stats.prefillSeqs}, #new-token: ${stats.prefillTokens}, ` +
        `#cached-token: ${stats.cachedTokens}, token usage: ${usage(stats.usedTokens, stats)}, ` +
        `#running-req: ${stats.decodeSeqs}, #queue-req: ${stats.numQueued}`,
    );
  }

  #writeDecode(stats: StepStats, now: number): void {
    // Steps that waited for a busy event loop are heard of all at once; their own time then is the truer one.
    const ms = Math.max(now - (this.#begin ?? now), this.#busyMs);
    const throughput = ms > 0 ? (this.#tokens * 1000) / ms : 0;
    // A step that ended sequences has freed their tokens already; the line tells what the batch ran with.
    const usedTokens = Math.max(stats.usedTokens, stats.numRunning === 0 ? (this.#previous?.usedTokens ?? 0) : 0);
    const accepted = this.options.speculates
      ? acceptance(this.#sequenceSteps, this.#drafts, this.#accepted)
      : undefined;
    const running = Math.max(stats.numRunning, stats.decodeSeqs);
    this.write(
      `Decode batch, #running-req: ${running}, #token: ${usedTokens}, token usage: ${usage(usedTokens, stats)}, ` +
        `${accepted ? describe(accepted) : ''}cuda graph: ${this.#usedGraph ? 'True' : 'False'}, gen throughput (token/s): ${throughput.toFixed(2)}, #queue-req: ${stats.numQueued}`,
    );
    this.onFigures({ tokensPerSecond: throughput, acceptance: accepted });
    this.#start(now);
  }

  #start(now: number): void {
    this.#steps = 0;
    this.#tokens = 0;
    this.#drafts = 0;
    this.#accepted = 0;
    this.#sequenceSteps = 0;
    this.#busyMs = 0;
    this.#begin = now;
  }
}

function usage(usedTokens: number, { totalTokens }: StepStats): string {
  return (totalTokens > 0 ? usedTokens / totalTokens : 0).toFixed(2);
}

/** As SGLang writes it. */
function describe({ acceptLength, acceptRate }: Acceptance): string {
  return `accept len: ${acceptLength.toFixed(2)}, accept rate: ${acceptRate.toFixed(2)}, `;
}
