/** The response object: what was asked for, how far it is, what came out. */

import type { JsgError } from '../../errors.js';
import { type AnswerBlocks, type Block, isCut } from '../answer-blocks.js';
import type { ServerContext } from '../context.js';
import { errorBody } from '../error-response.js';
import { isObject } from '../json-value.js';
import type { ResponsesRequest } from '../schemas/responses.js';
import type { SequencePlan } from '../sequence-reader.js';

import type { Item } from './conversation.js';
import { newOutputId, outputItem } from './output-items.js';
import { toolsAsUsed } from './response-tools.js';

export interface RecordOptions {
  id: string;
  request: ResponsesRequest;
  plan: SequencePlan;
  numPromptTokens: number;
}

export interface ResponseBody {
  status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  [field: string]: unknown;
}

export class ResponseRecord {
  readonly #createdAt = Math.floor(Date.now() / 1000);
  readonly #ids: string[] = [];

  constructor(
    readonly server: ServerContext,
    readonly options: RecordOptions,
  ) {}

  /** The same each time that it is asked for. */
  itemId(block: Block, index: number): string {
    this.#ids[index] ??= newOutputId(block);
    return this.#ids[index];
  }

  /** The items of an answer that has ended: the last one may be cut off. */
  output({ blocks, ending }: AnswerBlocks): Item[] {
    return blocks.map((block, index) => {
      const isLast = index === blocks.length - 1;
      const status = isLast && isCut(ending) ? 'incomplete' : 'completed';
      return outputItem(this.server, block, this.itemId(block, index), status);
    });
  }

  inProgress(): ResponseBody {
    return this.#body({ status: 'in_progress' });
  }

  failed(error: JsgError): ResponseBody {
    const { message } = errorBody(error).error;
    return this.#body({ status: 'failed', error: { code: 'server_error', message } });
  }

  finished(answer: AnswerBlocks): ResponseBody {
    const { ending, numReasoningTokens } = answer;
    const { numPromptTokens } = this.options;
    return this.#body({
      status: isCut(ending) ? 'incomplete' : 'completed',
      incomplete_details: isCut(ending)
        ? { reason: ending.reason === 'length' ? 'max_output_tokens' : 'aborted' }
        : null,
      output: this.output(answer),
      usage: {
        input_tokens: numPromptTokens,
        input_tokens_details: { cached_tokens: ending.cachedTokens, cache_write_tokens: 0 },
        output_tokens: ending.numTokens,
        output_tokens_details: { reasoning_tokens: numReasoningTokens },
        total_tokens: numPromptTokens + ending.numTokens,
      },
    });
  }

  #body(state: { status: ResponseBody['status'] } & Record<string, unknown>): ResponseBody {
    const { id, request, plan } = this.options;
    const text = isObject(request.text) ? request.text : {};
    return {
      id,
      object: 'response',
      created_at: this.#createdAt,
      background: false,
      error: null,
      incomplete_details: null,
      instructions: request.instructions ?? null,
      max_output_tokens: request.max_output_tokens ?? null,
      max_tool_calls: request.max_tool_calls ?? null,
      metadata: request.metadata ?? {},
      model: this.server.options.servedModelName,
      output: [],
      parallel_tool_calls: request.parallel_tool_calls ?? true,
      previous_response_id: request.previous_response_id ?? null,
      reasoning: { effort: request.reasoning?.effort ?? null, summary: null },
      service_tier: 'default',
      store: request.store ?? true,
      temperature: plan.submit.sampling.temperature,
      text: { ...text, format: text.format ?? { type: 'text' } },
      tool_choice: request.tool_choice ?? 'auto',
      tools: toolsAsUsed(request.tools),
      top_logprobs: request.top_logprobs ?? 0,
      top_p: plan.submit.sampling.topP,
      truncation: 'disabled',
      usage: null,
      user: request.user ?? null,
      ...state,
    };
  }
}
