/** Answers of /v1/messages, whole and as events. */
import type { JsgError } from '../../errors.js';
import type { AnswerBlocks, Block, BlockListener } from '../answer-blocks.js';
import type { ServerContext } from '../context.js';
import type { Finish } from '../sequence-reader.js';
import { type SseStream, typedEvent } from '../sse.js';
import { anthropicErrorBody } from './error-body.js';

export interface MessageOptions {
  id: string;
  numPromptTokens: number;
}

const STOP_REASONS: Record<Finish['reason'], string> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
  // Whoever aborted it knows; to everyone else it is cut off.
  abort: 'max_tokens',
};

function stopFields({ reason, matched }: Finish): { stop_reason: string; stop_sequence: string | null } {
  const isSequence = reason === 'stop' && typeof matched === 'string';
  return {
    stop_reason: isSequence ? 'stop_sequence' : STOP_REASONS[reason],
    stop_sequence: isSequence ? matched : null,
  };
}

/** What came from the cache is not part of `input_tokens`, as Anthropic counts. */
function usage(numPromptTokens: number, cachedTokens: number, outputTokens: number): object {
  return {
    input_tokens: numPromptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: outputTokens,
  };
}

function contentBlock(block: Block, isDone: boolean): object {
  const text = isDone ? block.text : '';
  if (block.call) {
    const id = block.call.id.replace(/^call_/, 'toolu_');
    return { type: 'tool_use', id, name: block.call.name, input: isDone ? parseInput(text) : {} };
  }
  // Nobody signs thoughts here; clients hand back what they got.
  return block.kind === 'reasoning' ? { type: 'thinking', thinking: text, signature: '' } : { type: 'text', text };
}

/** Arguments that were cut off are no object. */
function parseInput(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

export function messageBody(server: ServerContext, options: MessageOptions, { blocks, ending }: AnswerBlocks): object {
  return {
    id: options.id,
    type: 'message',
    role: 'assistant',
    model: server.options.servedModelName,
    content: blocks.map((block) => contentBlock(block, true)),
    ...stopFields(ending),
    usage: usage(options.numPromptTokens, ending.cachedTokens, ending.numTokens),
  };
}

const DELTAS: Record<Block['kind'], (text: string) => object> = {
  text: (text) => ({ type: 'text_delta', text }),
  reasoning: (thinking) => ({ type: 'thinking_delta', thinking }),
  call: (json) => ({ type: 'input_json_delta', partial_json: json }),
};

export class MessageEvents implements BlockListener {
  constructor(
    private readonly server: ServerContext,
    private readonly options: MessageOptions,
    private readonly stream: SseStream,
  ) {}

  start(cachedTokens: number): void {
    const message = {
      id: this.options.id,
      type: 'message',
      role: 'assistant',
      model: this.server.options.servedModelName,
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usage(this.options.numPromptTokens, cachedTokens, 1),
    };
    this.stream.write(typedEvent({ type: 'message_start', message }) + typedEvent({ type: 'ping' }));
  }

  begin(block: Block, index: number): void {
    this.#send('content_block_start', { index, content_block: contentBlock(block, false) });
  }

  delta({ kind }: Block, index: number, text: string): void {
    this.#send('content_block_delta', { index, delta: DELTAS[kind](text) });
  }

  end({ kind }: Block, index: number): void {
    if (kind === 'reasoning')
      this.#send('content_block_delta', { index, delta: { type: 'signature_delta', signature: '' } });
    this.#send('content_block_stop', { index });
  }

  last(finish: Finish): string {
    const { numPromptTokens } = this.options;
    const total = usage(numPromptTokens, finish.cachedTokens, finish.numTokens);
    const delta = typedEvent({ type: 'message_delta', delta: stopFields(finish), usage: total });
    return delta + typedEvent({ type: 'message_stop' });
  }

  failed(error: JsgError): string {
    return typedEvent({ ...anthropicErrorBody(error) });
  }

  pressure(): Promise<void> | null {
    return this.stream.pressure();
  }

  #send(type: string, fields: object): void {
    this.stream.write(typedEvent({ type, ...fields }));
  }
}
