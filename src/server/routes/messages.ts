/** POST /v1/messages and /v1/messages/count_tokens: Anthropic's API. */

import type { Context } from 'hono';
import type { JsgError } from '../../errors.js';
import { AnswerBlocks } from '../answer-blocks.js';
import { parseConversation } from '../anthropic/conversation.js';
import { MessageEvents, type MessageOptions, messageBody } from '../anthropic/message-answer.js';
import { parseMessageTools } from '../anthropic/message-tools.js';
import type { Caller } from '../api-keys.js';
import { callerOf } from '../auth.js';
import { type ChatPrompt, type ChatTask, chatPromptIds, planChat } from '../chat-task.js';
import type { ServerContext } from '../context.js';
import { fault } from '../error-response.js';
import { admit, startGeneration } from '../generation.js';
import { type AnswerFormat, schemaFormat } from '../grammar/format-source.js';
import { isObject, isUnset } from '../json-value.js';
import { checkModelName, newItemId } from '../openai.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, type StreamSink, streamResponse } from '../responses.js';
import {
  type CountTokensRequest,
  countTokensShape,
  type MessagesRequest,
  messagesShape,
} from '../schemas/anthropic.js';
import { parseRequest } from '../schemas/parse.js';
import type { AnswerShape } from '../tools/answer-parser.js';

export async function createMessage(server: ServerContext, c: Context): Promise<Response> {
  admit(server);
  const request = parseRequest(messagesShape, await readJsonObject(c));
  checkModelName(server, request.model);
  const { plans, shape, numPromptTokens } = await planChat(server, taskOf(request, callerOf(c)));

  const options: MessageOptions = { id: newItemId('msg'), numPromptTokens };
  const generation = startGeneration(server, request.rid ?? options.id, plans, c);
  if (request.stream) {
    return streamResponse(
      c,
      generation,
      (stream) => new MessageSink(shape, new MessageEvents(server, options, stream)),
    );
  }
  const answer = new AnswerBlocks(shape);
  await generation.run(answer);
  return jsonResponse(messageBody(server, options, answer));
}

export async function countTokens(server: ServerContext, c: Context): Promise<Response> {
  const request = parseRequest(countTokensShape, await readJsonObject(c));
  checkModelName(server, request.model);
  // No part of the prompt, but of what is to be counted for.
  parseOutputFormat(request);
  return jsonResponse({ input_tokens: chatPromptIds(server, promptOf(request)).length });
}

class MessageSink extends AnswerBlocks implements StreamSink {
  constructor(
    shape: AnswerShape,
    private readonly events: MessageEvents,
  ) {
    super(shape, events);
  }

  last(): string {
    return this.events.last(this.ending);
  }

  failed(error: JsgError): string {
    return this.events.failed(error);
  }
}

function promptOf(request: CountTokensRequest): ChatPrompt {
  const { messages, prefill } = parseConversation(request.messages, request.system);
  const thinking = request.thinking?.type;
  const effort = request.output_config?.effort;
  return {
    messages,
    ...(prefill === null ? {} : { prefill }),
    toolUse: parseMessageTools(request),
    templateKwargs: {
      ...(thinking === undefined ? {} : { enable_thinking: thinking !== 'disabled' }),
      ...(effort === undefined ? {} : { reasoning_effort: effort }),
    },
    param: 'messages',
  };
}

function taskOf(request: MessagesRequest, caller: Caller): ChatTask {
  const prompt = promptOf(request);
  return {
    ...prompt,
    caller,
    asked: parseOutputFormat(request),
    separatesReasoning: true,
    streamsReasoning: true,
    sampling: { ...request, stop: request.stop_sequences },
    maxTokens: request.max_tokens,
    maxTokensParam: 'max_tokens',
    topLogprobs: -1,
  };
}

/** `output_config.format`, and its older name. */
function parseOutputFormat({ output_config: config, output_format: older }: CountTokensRequest): AnswerFormat | null {
  const [format, param] = isUnset(config?.format) ? [older, 'output_format'] : [config?.format, 'output_config.format'];
  if (isUnset(format)) return null;
  if (!isObject(format) || format.type !== 'json_schema') throw fault(`${param}.type`, 'must be json_schema');
  if (!isObject(format.schema)) throw fault(`${param}.schema`, 'must be a JSON schema');
  return schemaFormat(format.schema, true, `${param}.schema`);
}
