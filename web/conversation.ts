/** The conversation: what was asked, what is being answered, and how to stop it. */
import { type Signal, signal } from '@preact/signals';
import { type Fault, RequestFailed } from './api.js';
import { type Chunk, streamChat, type Usage } from './chat-stream.js';
import { keepExchanges, keptExchanges } from './kept-conversation.js';
import { type Choices, choices, fieldOf, requestFields } from './params.js';

export type Phase = 'waiting' | 'answering' | 'done' | 'stopped' | 'failed';

export interface Answer {
  phase: Phase;
  text: string;
  reasoning: string;
  finishReason: string | null;
  fault: Fault | null;
  usage: Usage | null;
  /** Of the sending, the first token and the last one, ms. */
  sentMs: number;
  firstMs: number | null;
  lastMs: number | null;
  /** The form that was asked for; null: text. */
  format: Pick<Choices, 'format' | 'schema'>;
}

export interface Exchange {
  id: number;
  question: string;
  answer: Signal<Answer>;
}

export interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

let nextId = 1;

export const exchanges = signal<readonly Exchange[]>(
  keptExchanges().map(({ question, answer }) => ({ id: nextId++, question, answer: signal(answer) })),
);
/** An answer is on its way. */
export const isBusy = signal(false);
/** Read out by screen readers. */
export const announcement = signal('');
/** The field in the settings that the last request was refused for. */
export const faultyField = signal<string | null>(null);

let running: AbortController | null = null;

export function send(question: string): void {
  if (isBusy.value) return;
  const exchange = { id: nextId++, question, answer: signal(newAnswer()) };
  exchanges.value = [...exchanges.value, exchange];
  void run(exchange);
}

/** Asks the last question again. */
export function retry(): void {
  const last = exchanges.value.at(-1);
  if (!last || isBusy.value) return;
  last.answer.value = newAnswer();
  void run(last);
}

/** The last question, to be written anew; it and its answer are gone then. */
export function takeBack(): string | null {
  const last = exchanges.value.at(-1);
  if (!last || isBusy.value) return null;
  exchanges.value = exchanges.value.slice(0, -1);
  faultyField.value = null;
  return last.question;
}

export function keepConversation(): void {
  keepExchanges(exchanges.value.map(({ question, answer }) => ({ question, answer: answer.value })));
}

export function stop(): void {
  running?.abort();
}

export function startOver(): void {
  stop();
  exchanges.value = [];
  faultyField.value = null;
}

/** The messages of a request: what failed without a word is left out, so that roles alternate. */
export function messagesUpTo(last: Exchange, system: string): Message[] {
  const messages: Message[] = system.trim() === '' ? [] : [{ role: 'system', content: system }];
  for (const exchange of exchanges.value) {
    if (exchange.id === last.id) break;
    const { text } = exchange.answer.value;
    if (text === '') continue;
    messages.push({ role: 'user', content: exchange.question }, { role: 'assistant', content: text });
  }
  return [...messages, { role: 'user', content: last.question }];
}

function newAnswer(): Answer {
  const { format, schema } = choices.value;
  return {
    phase: 'waiting',
    text: '',
    reasoning: '',
    finishReason: null,
    fault: null,
    usage: null,
    sentMs: performance.now(),
    firstMs: null,
    lastMs: null,
    format: { format, schema },
  };
}

async function run(exchange: Exchange): Promise<void> {
  const { answer } = exchange;
  const controller = new AbortController();
  running = controller;
  isBusy.value = true;
  faultyField.value = null;
  announcement.value = 'Waiting for the answer';
  const pieces = new Pieces(answer);
  try {
    const messages = messagesUpTo(exchange, choices.value.system);
    for await (const chunk of streamChat({ messages, ...requestFields(choices.value) }, controller.signal)) {
      pieces.add(chunk);
    }
    pieces.end('done');
  } catch (error) {
    if (controller.signal.aborted) pieces.end('stopped');
    else pieces.end('failed', faultFrom(error));
  } finally {
    if (running === controller) running = null;
    isBusy.value = running !== null;
    announcement.value = describeEnd(answer.value);
  }
}

function faultFrom(error: unknown): Fault {
  if (error instanceof RequestFailed) {
    faultyField.value = fieldOf(error.fault.param);
    return error.fault;
  }
  const isSchema = error instanceof SyntaxError;
  if (isSchema) faultyField.value = 'response_format';
  return {
    title: isSchema ? 'The JSON schema cannot be read' : 'Something went wrong in this page',
    message: error instanceof Error ? error.message : String(error),
    hint: isSchema ? 'It was not sent. Correct it under “Form of the answer”, then retry.' : null,
    param: null,
    status: null,
  };
}

/** The answer itself is read out by the log it stands in, a fault by its notice. */
function describeEnd({ phase }: Answer): string {
  return phase === 'failed' ? 'No complete answer' : phase === 'stopped' ? 'Stopped' : 'The answer is complete';
}

const FRAME_MS = 16;
const MAX_WAIT_MS = 500;

/** Chunks come faster than a screen is drawn: they are shown together, and what is slow to draw is drawn less often. */
class Pieces {
  #next: Answer;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #drawingMs = 0;

  constructor(private readonly answer: Signal<Answer>) {
    this.#next = answer.value;
  }

  add({ text, reasoning, finishReason, usage }: Chunk): void {
    const now = performance.now();
    const hasText = text !== '' || reasoning !== '';
    this.#next = {
      ...this.#next,
      phase: 'answering',
      text: this.#next.text + text,
      reasoning: this.#next.reasoning + reasoning,
      finishReason: finishReason ?? this.#next.finishReason,
      usage: usage ?? this.#next.usage,
      firstMs: this.#next.firstMs ?? (hasText ? now : null),
      lastMs: hasText ? now : this.#next.lastMs,
    };
    this.#timer ??= setTimeout(() => this.#show(), Math.min(MAX_WAIT_MS, Math.max(FRAME_MS, 4 * this.#drawingMs)));
  }

  end(phase: Phase, fault: Fault | null = null): void {
    this.#next = { ...this.#next, phase, fault };
    this.#show();
  }

  #show(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const begunMs = performance.now();
    this.answer.value = this.#next;
    // Elements are made in a microtask that is queued by now, and laid out when their height is asked for.
    queueMicrotask(() => {
      void document.body.offsetHeight;
      this.#drawingMs = performance.now() - begunMs;
    });
  }
}
