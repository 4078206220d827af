/**
 * A request's sequences, from submission to text. Every route goes through here, streamed or not, so that what a stream
 * adds up to is what an unstreamed answer says.
 */
import type { SubmitRequest, TokenEvent } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import type { ServerContext } from './context.js';
import { RequestError } from './error-response.js';
import type { SequenceTimer } from './metrics.js';
import { type ScoredToken, SequenceText, type TextOptions } from './sequence-text.js';

/** One sequence to run: what the runtime gets, and how its tokens become text. */
export interface SequencePlan extends TextOptions {
  submit: SubmitRequest;
}

export interface Finish {
  reason: 'stop' | 'length' | 'abort';
  /** The stop string or stop token that ended it. */
  matched: string | number | null;
  numTokens: number;
  /** Tokens whose text came out with the end. */
  tokens: ScoredToken[];
}

/** Where a generation goes. `index` is the sequence's place in the plans. */
export interface GenerationSink {
  /** The scored prompt, before anything else of this sequence; only with `promptLogprobs`. */
  prompt?(index: number, tokens: TokenEvent[]): void;
  /** Each generated token as it comes, the one that stopped it included; before its text. */
  token?(index: number, event: TokenEvent): void;
  /** Text to add; empty only where `wantsEveryToken`. `tokens`: those it is made of, if tracked. */
  delta(index: number, text: string, tokens: ScoredToken[]): void;
  finish(index: number, finish: Finish): void;
  /** True: `delta` is called for tokens that add no text too. */
  readonly wantsEveryToken?: boolean;
  /** A promise while the reader is behind: nothing more is taken from the runtime until it resolves. */
  pressure?(): Promise<void> | null;
}

export interface Generation {
  /** Feeds the sink until all sequences have ended; the first failure ends them all and is thrown. */
  run(sink: GenerationSink): Promise<void>;
  abort(reason: unknown): void;
}

/**
 * Submits all sequences at once. Throws what the runtime says to any of them (E_QUEUE_FULL, E_INVALID_REQUEST), and
 * then none of them runs. Aborting `signal` (the client is gone) frees them all, and so does `/abort_request` with any
 * of the ids.
 */
export function startGeneration(
  server: ServerContext,
  requestIds: string | readonly string[],
  plans: readonly SequencePlan[],
  signal: AbortSignal,
): Generation {
  server.lifecycle.admit();
  checkCount(server, plans.length);
  const ids = typeof requestIds === 'string' ? [requestIds] : requestIds;
  const controller = server.lifecycle.begin(ids);
  const onGone = () => controller.abort(signal.reason);
  if (signal.aborted) onGone();
  else signal.addEventListener('abort', onGone, { once: true });
  const close = () => {
    signal.removeEventListener('abort', onGone);
    server.lifecycle.end(controller);
  };

  let sequences: AsyncIterable<TokenEvent>[];
  try {
    sequences = plans.map(({ submit }) =>
      submit.maxNewTokens > 0 || submit.promptLogprobs ? server.runtime.submit(submit, controller.signal) : nothing(),
    );
  } catch (error) {
    controller.abort(error);
    close();
    throw error;
  }

  return {
    abort: (reason) => controller.abort(reason),
    async run(sink) {
      try {
        const pumps = sequences.map((events, index) =>
          pump(server, plans[index] as SequencePlan, index, events, sink, controller.signal).catch((error: unknown) => {
            // One failed: its siblings are of no use to anyone.
            controller.abort(error);
            throw error;
          }),
        );
        await settleAll(pumps);
      } finally {
        close();
      }
    },
  };
}

/** Retrying would not help a request that is larger than running and waiting places together. */
function checkCount({ options }: ServerContext, count: number): void {
  const places = options.maxRunningRequests + options.maxQueuedRequests;
  if (count <= places) return;
  throw new RequestError(`the request needs ${count} sequences at once; this server holds at most ${places}`);
}

/** A sequence that is to generate nothing and score nothing: the runtime has no part in it. */
async function* nothing(): AsyncGenerator<TokenEvent> {
  yield { tokenId: -1, finishReason: 'length', isPrompt: false, logprob: Number.NaN, topLogprobs: [] };
}

/** Like Promise.all, but waits for every one to end before it throws the first failure. */
async function settleAll(promises: Promise<void>[]): Promise<void> {
  let failed = false;
  let failure: unknown;
  await Promise.all(
    promises.map((promise) =>
      promise.catch((error: unknown) => {
        if (!failed) failure = error;
        failed = true;
      }),
    ),
  );
  if (failed) throw failure;
}

async function pump(
  server: ServerContext,
  plan: SequencePlan,
  index: number,
  events: AsyncIterable<TokenEvent>,
  sink: GenerationSink,
  signal: AbortSignal,
): Promise<void> {
  const text = new SequenceText(server.model.tokenizer, plan);
  const timer = server.metrics.sequence(plan.submit.promptIds.length);
  const finish = await readEvents(server, plan, index, events, sink, text, timer).finally(() => timer.end());
  if (finish.reason === 'abort' && signal.reason instanceof JsgError) throw signal.reason;
  sink.finish(index, finish);
}

async function readEvents(
  server: ServerContext,
  plan: SequencePlan,
  index: number,
  events: AsyncIterable<TokenEvent>,
  sink: GenerationSink,
  text: SequenceText,
  timer: SequenceTimer,
): Promise<Finish> {
  let promptTokens: TokenEvent[] | null = plan.submit.promptLogprobs ? [] : null;
  let numTokens = 0;
  const end = (reason: Finish['reason'], matched: string | number | null): Finish => {
    const rest = text.end();
    if (rest.text !== '') sink.delta(index, rest.text, rest.tokens);
    const tokens = rest.text === '' ? rest.tokens : [];
    return text.matched === null
      ? { reason, matched, numTokens, tokens }
      : { reason: 'stop', matched: text.matched, numTokens, tokens };
  };

  for await (const event of events) {
    if (event.isPrompt) {
      promptTokens?.push(event);
    } else if (event.tokenId >= 0) {
      if (numTokens === 0) server.lifecycle.tokenProduced();
      numTokens++;
      timer.token();
    }
    if (promptTokens !== null && (!event.isPrompt || event.finishReason !== null)) {
      sink.prompt?.(index, promptTokens);
      promptTokens = null;
    }
    const generated = !event.isPrompt && event.tokenId >= 0;
    if (generated) sink.token?.(index, event);
    const { finishReason } = event;
    if (generated && finishReason !== 'stop') {
      const delta = text.push(event, numTokens > plan.submit.minNewTokens);
      if (delta !== '' || sink.wantsEveryToken) sink.delta(index, delta, text.takeTokens());
      // Leaving the loop cancels the sequence in the runtime.
      if (text.matched !== null) return end('stop', text.matched);
    }
    if (finishReason === 'error') throw new JsgError('E_RUNTIME_FAILED', 'the sequence ended with an error');
    if (finishReason !== null) return end(finishReason, finishReason === 'stop' ? event.tokenId : null);
    const pressure = sink.pressure?.();
    if (pressure) await pressure;
  }
  return end('abort', null);
}
