/** Requests to the server that sent this page, and what they say when they fail. */
import { signal } from '@preact/signals';
import { keptForTab } from './kept.js';
import { fieldOf } from './params.js';

/** A failed request as a person reads it. */
export interface Fault {
  title: string;
  /** What the server said, its hint included. */
  message: string;
  /** What to do, where the server did not say it. */
  hint: string | null;
  /** The field of the request at fault. */
  param: string | null;
  /** Null: no answer came. */
  status: number | null;
}

export class RequestFailed extends Error {
  constructor(readonly fault: Fault) {
    super(fault.message);
  }
}

export const apiKey = signal(keptForTab.read('key') ?? '');
/** The server did not take the key that this page has, or has none. */
export const isKeyRefused = signal(false);
/** It is asked for. */
export const keyWanted = signal(false);
/** It has ever done so. */
export const keyKnownToBeNeeded = signal(apiKey.value !== '');

export function setApiKey(key: string): void {
  apiKey.value = key;
  keptForTab.write('key', key);
  keyWanted.value = false;
  isKeyRefused.value = false;
}

/** Throws RequestFailed; an abort is thrown as it is. */
export async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const key = apiKey.value;
  const headers = new Headers(init.headers);
  if (key !== '') headers.set('Authorization', `Bearer ${key}`);
  let response: Response;
  try {
    response = await fetch(path, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new RequestFailed(noAnswer());
  }
  const isRefused = response.status === 401;
  // Another one may have been entered meanwhile.
  if (key === apiKey.value) isKeyRefused.value = isRefused;
  if (response.ok) return response;
  if (isRefused) {
    keyWanted.value = true;
    keyKnownToBeNeeded.value = true;
  }
  throw new RequestFailed(await faultOf(response));
}

export function noAnswer(): Fault {
  return {
    title: 'The server does not answer',
    message: `Nothing is heard from ${location.host}.`,
    hint: 'It may have been stopped: start it again with jsg launch, then retry.',
    param: null,
    status: null,
  };
}

interface ErrorBody {
  error?: { message?: string; param?: string | null };
}

async function faultOf(response: Response): Promise<Fault> {
  const text = await response.text().catch(() => '');
  const retryAfter = response.headers.get('Retry-After');
  return describeFault(response.status, parseError(text) ?? { message: text.slice(0, 300) }, retryAfter);
}

function parseError(text: string): ErrorBody['error'] | null {
  try {
    return (JSON.parse(text) as ErrorBody).error ?? null;
  } catch {
    return null;
  }
}

const TITLES: Record<number, string> = {
  400: 'The server refuses this request',
  401: 'This server asks for an API key',
  404: 'Not found',
  413: 'The request is too large',
  429: 'The server is busy: its queue is full',
  503: 'The server takes no requests now',
};

/** `retryAfter`: seconds, as the header says. Pure. */
export function describeFault(
  status: number,
  error: { message?: string; param?: string | null },
  retryAfter: string | null = null,
): Fault {
  return {
    title: TITLES[status] ?? (status < 500 ? `The request failed (${status})` : `The server failed (${status})`),
    message: error.message || `status ${status}`,
    hint: hintFor(status, error.param ?? null, retryAfter),
    param: error.param ?? null,
    status,
  };
}

function hintFor(status: number, param: string | null, retryAfter: string | null): string | null {
  if (status === 401) return 'Enter the key that the server was started with.';
  if (status === 429)
    return `Try again in ${retryAfter ?? 'a few'} s, or start it with a larger --max-queued-requests.`;
  if (status === 503) return 'It is starting or shutting down. Try again when the light at the top is green.';
  if (status === 400 && fieldOf(param) !== null) return 'Correct it in the settings, then try again.';
  if (status === 413 || param?.startsWith('messages')) {
    return 'Every request holds the whole conversation: make the message shorter, or begin a new chat.';
  }
  return status >= 500 ? 'The log of jsg launch says more.' : null;
}
