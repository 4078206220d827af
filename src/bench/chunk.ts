/** One chunk of a streamed answer, of either OpenAI route, as any server may write it. Pure. */

export interface Usage {
  promptTokens: number | null;
  completionTokens: number | null;
  cachedTokens: number | null;
}

export interface Chunk {
  /** Empty: the chunk carries none (a role, an end, usage). */
  text: string;
  finishReason: string | null;
  usage: Usage | null;
  /** Of an error that the server sent in the stream. */
  error: string | null;
}

interface Wire {
  choices?: {
    text?: string | null;
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      tool_calls?: unknown;
    } | null;
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
  } | null;
  error?: { message?: string } | string | null;
}

/** Throws SyntaxError for what is no JSON. */
export function parseChunk(data: string): Chunk {
  const wire = JSON.parse(data) as Wire;
  const choice = wire.choices?.[0];
  return {
    text: textOf(choice),
    finishReason: choice?.finish_reason ?? null,
    usage: usageOf(wire.usage),
    error: errorOf(wire.error),
  };
}

function textOf(choice: NonNullable<Wire['choices']>[number] | undefined): string {
  if (choice === undefined) return '';
  const { delta } = choice;
  const text = choice.text || delta?.content || delta?.reasoning_content || delta?.reasoning;
  // Arguments of a call are generated like text.
  return text || (delta?.tool_calls ? JSON.stringify(delta.tool_calls) : '');
}

function usageOf(usage: Wire['usage']): Usage | null {
  if (!usage) return null;
  return {
    promptTokens: usage.prompt_tokens ?? null,
    completionTokens: usage.completion_tokens ?? null,
    cachedTokens: usage.prompt_tokens_details?.cached_tokens ?? null,
  };
}

function errorOf(error: Wire['error']): string | null {
  if (error === undefined || error === null) return null;
  return typeof error === 'string' ? error : (error.message ?? JSON.stringify(error));
}
