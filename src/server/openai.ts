/** What the two OpenAI routes have in common. */
import { randomUUID } from 'node:crypto';
import type { JsgError } from '../errors.js';
import type { ServerContext } from './context.js';
import { errorBody, RequestError } from './error-response.js';
import type { Finish } from './sequence-reader.js';
import { SSE_DONE, sseEvent } from './sse.js';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

/** `cachedTokens`: those of the prompt that came from the prefix cache. */
export function usage(promptTokens: number, completionTokens: number, cachedTokens: number): Usage {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  };
}

/** Of a request whose sequences have all ended; its prompts count once. */
export function usageOf(promptTokens: number, finishes: readonly Finish[]): Usage {
  const sum = (field: 'numTokens' | 'cachedTokens') => finishes.reduce((total, finish) => total + finish[field], 0);
  return usage(promptTokens, sum('numTokens'), sum('cachedTokens'));
}

/** The fields that begin every answer and chunk. */
export interface Envelope {
  id: string;
  object: string;
  created: number;
  model: string;
}

export function envelope(server: ServerContext, id: string, object: string): Envelope {
  return { id, object, created: Math.floor(Date.now() / 1000), model: server.options.servedModelName };
}

export function newRequestId(prefix: string): string {
  return `${prefix}-${randomUUID().replaceAll('-', '')}`;
}

/** Ids of newer APIs have an underscore. */
export function newItemId(prefix: string): string {
  return `${prefix}_${randomUUID().replaceAll('-', '')}`;
}

/** Throws E_MODEL_NOT_FOUND for another model's name where the server is strict about it. */
export function checkModelName(server: ServerContext, name: string | undefined): void {
  const { strictModelName, servedModelName } = server.options;
  if (!strictModelName || name === undefined || name === servedModelName) return;
  throw new RequestError(`The model ${JSON.stringify(name)} does not exist; this server serves "${servedModelName}"`, {
    param: 'model',
    code: 'E_MODEL_NOT_FOUND',
    wireCode: 'model_not_found',
  });
}

/** Throws E_INVALID_REQUEST for `stream_options` without `stream`. */
export function checkStreamOptions(request: {
  stream?: boolean | undefined;
  stream_options?: object | undefined;
}): void {
  if (!request.stream_options || request.stream) return;
  throw new RequestError('stream_options: is only allowed with "stream": true', { param: 'stream_options' });
}

/** The end of a stream in which something failed. */
export function failedStream(error: JsgError): string {
  return sseEvent(errorBody(error)) + SSE_DONE;
}

/** The end of a choice; `matched_stop` is SGLang's. */
export function finishFields(finish: Finish): {
  finish_reason: Finish['reason'];
  matched_stop: string | number | null;
} {
  return { finish_reason: finish.reason, matched_stop: finish.matched };
}

/**
 * The constant parts of a stream's chunks, made once: what varies from token to token goes between them as text.
 * `marker` stands in `choice` where the delta goes.
 */
export function chunkParts(
  chunk: Envelope,
  choice: object,
  marker: string,
  withUsage: boolean,
): { before: string; after: string } {
  const json = JSON.stringify({ ...chunk, choices: [choice], ...(withUsage ? { usage: null } : {}) });
  const quoted = JSON.stringify(marker);
  const at = json.lastIndexOf(quoted);
  return { before: `data: ${json.slice(0, at)}`, after: `${json.slice(at + quoted.length)}\n\n` };
}
