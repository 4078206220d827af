/** The body of a request: only fields that the server knows. */
import type { Target } from './target.js';

export const ROUTES = { completions: '/v1/completions', chat: '/v1/chat/completions' } as const;
export type EndpointName = keyof typeof ROUTES;

export interface Message {
  role: string;
  content: string;
}

type Asked = Pick<Target, 'model' | 'route' | 'hasIgnoreEos' | 'hasStreamOptions' | 'extraBody'>;

/** Greedy, up to `maxTokens`. Text completions get the messages one after the other. */
export function requestBody(target: Asked, messages: readonly Message[], maxTokens: number): string {
  const isChat = target.route === ROUTES.chat;
  return JSON.stringify({
    model: target.model,
    ...(isChat ? { messages } : { prompt: messages.map(({ content }) => content).join('\n\n') }),
    max_tokens: maxTokens,
    temperature: 0,
    stream: true,
    ...(target.hasStreamOptions ? { stream_options: { include_usage: true } } : {}),
    ...(target.hasIgnoreEos ? { ignore_eos: true } : {}),
    ...target.extraBody,
  });
}
