/** What routes answer with. */

import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { type JsgError, toJsgError } from '../errors.js';
import { logFault } from './error-response.js';
import type { Generation } from './generation.js';
import { CLIENT_GONE } from './lifecycle.js';
import type { GenerationSink } from './sequence-reader.js';
import { SSE_HEADERS, SseStream } from './sse.js';

export function jsonResponse(body: unknown, status = 200): Response {
  // A plain object of headers is what the Node adapter sends without building a Response.
  return new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } });
}

/** A sink that writes to a stream, in the events of its API. */
export interface StreamSink extends GenerationSink {
  /** What comes after the last sequence, the mark of the end included. */
  last(): string;
  /** The end of a stream in which something failed. */
  failed(error: JsgError): string;
}

/**
 * Streams a generation. The answer begins with its first event: what fails before is answered with a status, so that a
 * router can ask another server; what fails later is an event in the stream.
 */
export async function streamResponse(
  c: Context,
  generation: Generation,
  makeSink: (stream: SseStream) => StreamSink,
): Promise<Response> {
  // Over a port the Node adapter lends its response; in tests there is none.
  const { outgoing } = (c.env ?? {}) as Partial<HttpBindings>;
  const stream = new SseStream({
    onGone: () => generation.abort(CLIENT_GONE),
    hangUp: outgoing && (() => outgoing.destroy()),
  });
  const sink = makeSink(stream);
  let early: unknown = null;
  generation
    .run(sink)
    .then(() => stream.write(sink.last()))
    .catch((error: unknown) => {
      if (!stream.hasBegun) early = error ?? new Error('the generation ended without a reason');
      if (early !== null) return;
      const fault = toJsgError(error);
      if (fault.code !== 'E_UNAVAILABLE') logFault(fault);
      stream.write(sink.failed(fault));
    })
    .finally(() => stream.end());
  await stream.begun;
  if (early !== null) throw early;
  return new Response(stream.body, { headers: SSE_HEADERS });
}
