/** The events of a streamed response, numbered, each with its type. */

import type { JsgError } from '../../errors.js';
import type { Block, BlockListener } from '../answer-blocks.js';
import type { ScoredToken } from '../sequence-text.js';
import { type SseStream, typedEvent } from '../sse.js';
import { contentPart, outputItem, textLogprobs } from './output-items.js';
import type { ResponseBody, ResponseRecord } from './response-record.js';

export class ResponseStream implements BlockListener {
  #sequenceNumber = 0;

  constructor(
    private readonly record: ResponseRecord,
    private readonly stream: SseStream,
  ) {}

  start(): void {
    const response = this.record.inProgress();
    this.#send('response.created', { response });
    this.#send('response.in_progress', { response });
  }

  begin(block: Block, index: number): void {
    const item = outputItem(this.record.server, block, this.record.itemId(block, index), 'in_progress');
    this.#send('response.output_item.added', { output_index: index, item });
    if (block.kind === 'call') return;
    const part = contentPart(this.record.server, { ...block, text: '', tokens: [] });
    this.#send('response.content_part.added', { ...this.#part(block, index), part });
  }

  delta(block: Block, index: number, text: string, tokens: readonly ScoredToken[]): void {
    if (block.kind === 'call') {
      this.#send('response.function_call_arguments.delta', { ...this.#item(block, index), delta: text });
    } else if (block.kind === 'reasoning') {
      this.#send('response.reasoning_text.delta', { ...this.#part(block, index), delta: text });
    } else {
      const logprobs = textLogprobs(this.record.server, tokens);
      this.#send('response.output_text.delta', { ...this.#part(block, index), delta: text, logprobs });
    }
  }

  end(block: Block, index: number, isCut: boolean): void {
    const { server } = this.record;
    if (block.call) {
      const { name } = block.call;
      const done = { ...this.#item(block, index), name, arguments: block.text };
      this.#send('response.function_call_arguments.done', done);
    } else {
      const logprobs = block.kind === 'text' ? { logprobs: textLogprobs(server, block.tokens) } : {};
      const type = block.kind === 'text' ? 'response.output_text.done' : 'response.reasoning_text.done';
      this.#send(type, { ...this.#part(block, index), text: block.text, ...logprobs });
      this.#send('response.content_part.done', { ...this.#part(block, index), part: contentPart(server, block) });
    }
    const item = outputItem(server, block, this.record.itemId(block, index), isCut ? 'incomplete' : 'completed');
    this.#send('response.output_item.done', { output_index: index, item });
  }

  /** The last event. */
  last(response: ResponseBody): string {
    return this.#event(`response.${response.status}`, { response });
  }

  failed(error: JsgError): string {
    return this.#event('response.failed', { response: this.record.failed(error) });
  }

  pressure(): Promise<void> | null {
    return this.stream.pressure();
  }

  #item(block: Block, index: number): object {
    return { item_id: this.record.itemId(block, index), output_index: index };
  }

  #part(block: Block, index: number): object {
    return { ...this.#item(block, index), content_index: 0 };
  }

  #send(type: string, fields: object): void {
    this.stream.write(this.#event(type, fields));
  }

  #event(type: string, fields: object): string {
    return typedEvent({ type, sequence_number: this.#sequenceNumber++, ...fields });
  }
}
