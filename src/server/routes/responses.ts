/** POST /v1/responses and /v1/responses/input_tokens, GET and DELETE /v1/responses/{id}. */
import type { Context } from 'hono';
import type { JsgError } from '../../errors.js';
import { AnswerBlocks } from '../answer-blocks.js';
import type { Caller } from '../api-keys.js';
import { callerOf } from '../auth.js';
import { type ChatPrompt, type ChatTask, chatPromptIds, planChat } from '../chat-task.js';
import type { ServerContext } from '../context.js';
import { fault, RequestError } from '../error-response.js';
import { admit, startGeneration } from '../generation.js';
import { parseAnswerFormat } from '../grammar/answer-format.js';
import { checkModelName, newItemId } from '../openai.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, type StreamSink, streamResponse } from '../responses.js';
import { Conversation, type Item, inputItems } from '../responses-api/conversation.js';
import { type ResponseBody, ResponseRecord } from '../responses-api/response-record.js';
import { ResponseStream } from '../responses-api/response-stream.js';
import { parseResponseTools } from '../responses-api/response-tools.js';
import { parseTextFormat } from '../responses-api/text-format.js';
import { parseRequest } from '../schemas/parse.js';
import {
  type InputTokensRequest,
  inputTokensShape,
  type ResponsesRequest,
  responsesShape,
} from '../schemas/responses.js';
import type { SequencePlan } from '../sequence-reader.js';
import type { AnswerShape } from '../tools/answer-parser.js';

export async function createResponse(server: ServerContext, c: Context): Promise<Response> {
  admit(server);
  const request = parseRequest(responsesShape, await readJsonObject(c));
  checkModelName(server, request.model);
  const caller = callerOf(c);
  const past = pastItems(server, caller, request.previous_response_id);
  const items = inputItems(request.input);
  const { plans, shape, numPromptTokens } = await planChat(server, taskOf(request, caller, past, items));

  const id = newItemId('resp');
  const record = new ResponseRecord(server, { id, request, plan: plans[0] as SequencePlan, numPromptTokens });
  const finish = (answer: AnswerBlocks): ResponseBody => {
    const response = record.finished(answer);
    const all = [...past, ...items, ...record.output(answer)];
    // A client that left was not told the id of a whole answer, and ended a stream of its own accord.
    const isWanted = request.store !== false && !c.req.raw.signal.aborted;
    if (isWanted) server.storedResponses.add(caller, id, response, all);
    return response;
  };
  const generation = startGeneration(server, request.rid ?? id, plans, c);
  if (request.stream) {
    return streamResponse(
      c,
      generation,
      (stream) => new ResponseSink(shape, new ResponseStream(record, stream), finish),
    );
  }
  const answer = new AnswerBlocks(shape);
  await generation.run(answer);
  return jsonResponse(finish(answer));
}

class ResponseSink extends AnswerBlocks implements StreamSink {
  constructor(
    shape: AnswerShape,
    private readonly events: ResponseStream,
    private readonly complete: (answer: AnswerBlocks) => ResponseBody,
  ) {
    super(shape, events);
  }

  last(): string {
    return this.events.last(this.complete(this));
  }

  failed(error: JsgError): string {
    return this.events.failed(error);
  }
}

/** Counts what a response's prompt would take. */
export async function countInputTokens(server: ServerContext, c: Context): Promise<Response> {
  const request = parseRequest(inputTokensShape, await readJsonObject(c));
  checkModelName(server, request.model);
  const past = pastItems(server, callerOf(c), request.previous_response_id);
  // No part of the prompt, but of what is to be counted for.
  parseTextFormat(request.text);
  const { length } = chatPromptIds(server, promptOf(request, past, inputItems(request.input)));
  return jsonResponse({ object: 'response.input_tokens', input_tokens: length });
}

function promptOf(request: InputTokensRequest, past: readonly Item[], items: readonly Item[]): ChatPrompt {
  const conversation = new Conversation();
  conversation.add(past, 'previous_response_id');
  conversation.add(items, 'input');
  if (request.instructions) conversation.instruct(request.instructions);
  return {
    messages: conversation.messages,
    toolUse: parseResponseTools(request),
    templateKwargs: templateKwargs(request),
    param: 'input',
  };
}

function taskOf(request: ResponsesRequest, caller: Caller, past: readonly Item[], items: readonly Item[]): ChatTask {
  const textFormat = parseTextFormat(request.text);
  const otherFormat = parseAnswerFormat({ ...request, response_format: null });
  if (textFormat && otherFormat) throw fault(otherFormat.param, 'cannot be asked for beside text.format');
  const wantsLogprobs = request.include?.includes('message.output_text.logprobs') || (request.top_logprobs ?? 0) > 0;
  return {
    ...promptOf(request, past, items),
    caller,
    asked: textFormat ?? otherFormat,
    separatesReasoning: true,
    streamsReasoning: true,
    sampling: request,
    maxTokens: request.max_output_tokens,
    maxTokensParam: 'max_output_tokens',
    topLogprobs: wantsLogprobs ? (request.top_logprobs ?? 0) : -1,
  };
}

function templateKwargs({ reasoning, chat_template_kwargs: kwargs }: InputTokensRequest): Record<string, unknown> {
  const effort = reasoning?.effort;
  const own = Object.entries(kwargs ?? {}).filter(([, value]) => value !== undefined);
  return {
    ...(effort === undefined ? {} : { reasoning_effort: effort }),
    ...(effort === 'none' ? { enable_thinking: false } : {}),
    ...Object.fromEntries(own),
  };
}

function pastItems(server: ServerContext, caller: Caller, id: string | undefined): Item[] {
  if (id === undefined) return [];
  const items = server.storedResponses.items(caller, id);
  if (items) return items;
  throw notFound(id, 'previous_response_id');
}

/** Responses are kept for a time only, so that one may have been there. */
function notFound(id: string, param: string): RequestError {
  return new RequestError(`no response with the id ${JSON.stringify(id.slice(0, 64))} is stored`, {
    param,
    // What is wrong is the field there, and the path here.
    ...(param === 'previous_response_id'
      ? { code: 'E_INVALID_REQUEST', wireCode: 'previous_response_not_found' }
      : { code: 'E_NOT_FOUND', wireCode: 'not_found' }),
    hint: 'responses are kept in memory for a day, or until room is needed; send the whole conversation as input',
  });
}

export function storedResponse(server: ServerContext, c: Context): Response {
  const id = c.req.param('id') as string;
  const caller = callerOf(c);
  if (c.req.method === 'DELETE') {
    if (!server.storedResponses.remove(caller, id)) throw notFound(id, 'response_id');
    return jsonResponse({ id, object: 'response', deleted: true });
  }
  if (c.req.query('stream') === 'true') throw fault('stream', 'a stored response is not streamed');
  const response = server.storedResponses.response(caller, id);
  if (response === null) throw notFound(id, 'response_id');
  return new Response(response, { headers: { 'Content-Type': 'application/json' } });
}
