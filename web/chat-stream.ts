/** One streamed chat completion. */
import { readEvents } from '../src/server-events.js';
import { ask, describeFault, type Fault, noAnswer, RequestFailed } from './api.js';

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
}

export interface Chunk {
  text: string;
  reasoning: string;
  finishReason: string | null;
  usage: Usage | null;
}

interface Event {
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  error?: { message?: string; param?: string | null };
}

/** Throws RequestFailed; an abort is thrown as it is. */
export async function* streamChat(body: object, signal: AbortSignal): AsyncGenerator<Chunk> {
  const response = await ask('v1/chat/completions', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ ...body, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let isFinished = false;
  try {
    for await (const data of readEvents(chunksOf(response.body))) {
      const event = JSON.parse(data) as Event;
      if (event.error) throw new RequestFailed(midStream(event.error));
      const choice = event.choices?.[0];
      if (choice?.finish_reason) isFinished = true;
      yield {
        text: choice?.delta?.content ?? '',
        reasoning: choice?.delta?.reasoning_content ?? '',
        finishReason: choice?.finish_reason ?? null,
        usage: event.usage ?? null,
      };
    }
  } catch (error) {
    if (error instanceof RequestFailed || signal.aborted) throw error;
    throw new RequestFailed(cutOff());
  }
  if (!isFinished) throw new RequestFailed(cutOff());
}

/** Not every browser iterates over a stream by itself. */
async function* chunksOf(body: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) yield part.value;
}

/** The status is gone by then: an error inside a stream is an event. */
function midStream(error: { message?: string; param?: string | null }): Fault {
  return { ...describeFault(503, error), title: 'The server ended the answer' };
}

function cutOff(): Fault {
  return {
    ...noAnswer(),
    title: 'The connection was lost',
    message: 'The answer ends here; the server did not finish it.',
  };
}
