/** What each route takes and gives, for the description of the API: one entry a path. */
import type { z } from 'zod';
import { abortShape } from '../schemas/abort.js';
import { countTokensShape, messagesShape } from '../schemas/anthropic.js';
import { chatShape } from '../schemas/chat.js';
import { completionShape } from '../schemas/completions.js';
import { generateShape } from '../schemas/generate.js';
import { inputTokensShape, responsesShape } from '../schemas/responses.js';
import { detokenizeShape, tokenizeShape } from '../schemas/tokenize.js';
import * as answers from './answers.js';
import { message, messageEvent, tokenCount } from './messages-answers.js';
import { inputTokens, response, responseDeleted, responseEvent } from './responses-answers.js';

export interface Body {
  name: string;
  schema: z.ZodType;
  /** Fields that must be there though they are checked by hand. */
  required: string[];
}

export interface Answer {
  name: string;
  schema: z.ZodType;
}

export interface Operation {
  summary: string;
  tag: 'OpenAI' | 'Anthropic' | 'SGLang' | 'Server';
  body?: Body;
  /** Of status 200, as JSON. */
  answer?: Answer;
  /** Of one event, where the answer can be streamed. */
  event?: Answer;
  /** Where it is no JSON. */
  mediaType?: string;
  /** Besides 401 and 403, and for bodies 400 and 413. */
  errors?: number[];
}

const body = (name: string, { schema }: { schema: z.ZodType }, ...required: string[]): Body => ({
  name,
  schema,
  required,
});

/** Of everything that generates: the queue is full; starting, draining or failed; out of the time that the request gave. */
const BUSY = [429, 500, 503, 504];

const TOKENIZE: Operation = {
  summary: 'Text or messages to token ids',
  tag: 'SGLang',
  body: body('TokenizeRequest', tokenizeShape),
  answer: { name: 'Tokenized', schema: answers.tokenized },
};
const DETOKENIZE: Operation = {
  summary: 'Token ids to text',
  tag: 'SGLang',
  body: body('DetokenizeRequest', detokenizeShape, 'tokens'),
  answer: { name: 'Detokenized', schema: answers.detokenized },
};
const MODEL_INFO: Operation = {
  summary: 'What is served',
  tag: 'SGLang',
  answer: { name: 'ModelInfo', schema: answers.modelInfo },
};
const SERVER_INFO: Operation = {
  summary: 'Settings and state of the server',
  tag: 'SGLang',
  answer: { name: 'ServerInfo', schema: answers.serverInfo },
};

/** By path; where methods differ, by method and path. */
export const OPERATIONS: Record<string, Operation> = {
  '/v1/models': { summary: 'The model', tag: 'OpenAI', answer: { name: 'ModelList', schema: answers.modelList } },
  '/v1/models/*': {
    summary: 'The model by its name',
    tag: 'OpenAI',
    answer: { name: 'Model', schema: answers.modelCard },
    errors: [404],
  },
  '/v1/chat/completions': {
    summary: 'Answer a chat',
    tag: 'OpenAI',
    body: body('ChatCompletionRequest', chatShape, 'messages'),
    answer: { name: 'ChatCompletion', schema: answers.chatCompletion },
    event: { name: 'ChatCompletionEvent', schema: answers.chatEvent },
    errors: [404, ...BUSY],
  },
  '/v1/completions': {
    summary: 'Go on from a prompt',
    tag: 'OpenAI',
    body: body('CompletionRequest', completionShape, 'prompt'),
    answer: { name: 'Completion', schema: answers.completion },
    event: { name: 'CompletionEvent', schema: answers.completionEvent },
    errors: [404, ...BUSY],
  },
  '/v1/responses': {
    summary: 'Make a response',
    tag: 'OpenAI',
    body: body('ResponseRequest', responsesShape, 'input'),
    answer: { name: 'Response', schema: response },
    event: { name: 'ResponseEvent', schema: responseEvent },
    errors: [404, ...BUSY],
  },
  '/v1/responses/input_tokens': {
    summary: 'Count the tokens of what a response would be made of',
    tag: 'OpenAI',
    body: body('InputTokensRequest', inputTokensShape, 'input'),
    answer: { name: 'InputTokens', schema: inputTokens },
    errors: [404],
  },
  'GET /v1/responses/:id': {
    summary: 'A stored response',
    tag: 'OpenAI',
    answer: { name: 'Response', schema: response },
    errors: [400, 404],
  },
  'DELETE /v1/responses/:id': {
    summary: 'Forget a stored response',
    tag: 'OpenAI',
    answer: { name: 'ResponseDeleted', schema: responseDeleted },
    errors: [404],
  },
  '/v1/embeddings': { summary: 'Refused: says how to serve an embedding model', tag: 'OpenAI', errors: [400] },
  '/v1/messages': {
    summary: 'Answer a conversation',
    tag: 'Anthropic',
    body: body('MessageRequest', messagesShape, 'max_tokens', 'messages'),
    answer: { name: 'Message', schema: message },
    event: { name: 'MessageEvent', schema: messageEvent },
    errors: [404, ...BUSY],
  },
  '/v1/messages/count_tokens': {
    summary: 'Count the tokens of a conversation',
    tag: 'Anthropic',
    body: body('CountTokensRequest', countTokensShape, 'messages'),
    answer: { name: 'TokenCount', schema: tokenCount },
    errors: [404],
  },
  '/tokenize': TOKENIZE,
  '/v1/tokenize': TOKENIZE,
  '/detokenize': DETOKENIZE,
  '/v1/detokenize': DETOKENIZE,
  '/generate': {
    summary: 'Go on from texts or token ids',
    tag: 'SGLang',
    body: body('GenerateRequest', generateShape),
    answer: { name: 'Generated', schema: answers.generated },
    event: { name: 'GeneratedEvent', schema: answers.generatedEvent },
    errors: BUSY,
  },
  '/v1/loads': { summary: 'Load, for routers', tag: 'SGLang', answer: { name: 'Loads', schema: answers.loads } },
  '/get_load': {
    summary: 'Load, for routers of the first generations',
    tag: 'SGLang',
    answer: { name: 'Load', schema: answers.load },
  },
  '/get_model_info': MODEL_INFO,
  '/model_info': MODEL_INFO,
  '/get_server_info': SERVER_INFO,
  '/server_info': SERVER_INFO,
  '/flush_cache': {
    summary: 'Empty the prefix cache',
    tag: 'SGLang',
    answer: { name: 'Flushed', schema: answers.flushed },
    errors: [400],
  },
  '/save_cache': {
    summary: 'Write the prefix cache to the session file',
    tag: 'Server',
    answer: { name: 'Saved', schema: answers.saved },
    errors: [400, 503],
  },
  '/abort_request': {
    summary: 'End a request, or all',
    tag: 'SGLang',
    body: body('AbortRequest', abortShape),
    answer: { name: 'Aborted', schema: answers.aborted },
  },
  '/health': {
    summary: '200 once the model has produced a token, 503 before and while draining',
    tag: 'Server',
    answer: { name: 'Health', schema: answers.health },
    errors: [503],
  },
  '/health_generate': {
    summary: 'The same, after producing a token now',
    tag: 'Server',
    answer: { name: 'Health', schema: answers.health },
    errors: [503],
  },
  '/v1/status': {
    summary: 'Memory, power and heat',
    tag: 'Server',
    answer: { name: 'Status', schema: answers.status },
  },
  '/metrics': { summary: 'Prometheus metrics', tag: 'Server', mediaType: 'text/plain' },
  '/openapi.json': { summary: 'This description', tag: 'Server', mediaType: 'application/json' },
};
