/** HTTP as an index needs it: proxies, limits on silence, redirects that never leave TLS, faults as one short line. */
import { setTimeout as pause } from 'node:timers/promises';
import { EnvHttpProxyAgent, fetch, type Response } from 'undici';
import { version } from '../version.js';
import { ACCEPT, type Page } from './project-page.js';

export interface Limits {
  connectMs: number;
  /** Until the first byte of an answer. */
  firstByteMs: number;
  /** Between two parts of a body. */
  silenceMs: number;
}

export const LIMITS: Limits = { connectMs: 5_000, firstByteMs: 15_000, silenceMs: 30_000 };

/** No page of a project comes near. */
const MAX_PAGE_BYTES = 32 * 2 ** 20;

/** An answer that is no success, or none at all. */
export class HttpFault extends Error {
  constructor(
    message: string,
    /** Null: there was no answer. */
    readonly status: number | null,
  ) {
    super(message);
  }

  /** Whether asking again may help. */
  get isPassing(): boolean {
    return (
      this.status === null || this.status === 408 || this.status === 425 || this.status === 429 || this.status >= 500
    );
  }
}

export class HttpClient {
  private readonly dispatcher: EnvHttpProxyAgent;
  /** Origin -> Authorization. */
  private readonly logins = new Map<string, string>();

  constructor(limits: Limits = LIMITS) {
    this.dispatcher = new EnvHttpProxyAgent({
      connect: { timeout: limits.connectMs },
      headersTimeout: limits.firstByteMs,
      bodyTimeout: limits.silenceMs,
    });
  }

  /** The answer's head; its body is still to be read, or cancelled. Throws HttpFault, or the signal's reason. */
  async open(url: string, headers: Record<string, string>, signal?: AbortSignal): Promise<Response> {
    try {
      const { bare, origin, authorization } = splitCredentials(url);
      // An index's files lie behind the same login as its pages, whose links do not repeat it.
      if (authorization !== null) this.logins.set(origin, authorization);
      const login = this.logins.get(origin);
      const sent = { 'User-Agent': `jsg/${version()}`, ...(login && { Authorization: login }), ...headers };
      const response = await fetch(bare, { headers: sent, dispatcher: this.dispatcher, signal: signal ?? null });
      const leftTls = url.startsWith('https:') && !response.url.startsWith('https:');
      if (response.ok && !leftTls) return response;
      await response.body?.cancel();
      if (leftTls) throw new HttpFault(`redirected from https to ${response.url}`, 400);
      throw new HttpFault(`HTTP ${response.status}`, response.status);
    } catch (error) {
      throw this.faultOf(error, signal);
    }
  }

  async page(url: string, signal?: AbortSignal): Promise<Page> {
    const response = await this.open(url, { Accept: ACCEPT }, signal);
    const chunks: Uint8Array[] = [];
    let numBytes = 0;
    try {
      for await (const chunk of response.body ?? []) {
        numBytes += chunk.length;
        if (numBytes > MAX_PAGE_BYTES) throw new HttpFault(`a page of more than ${MAX_PAGE_BYTES >> 20} MiB`, 400);
        chunks.push(chunk);
      }
    } catch (error) {
      throw this.faultOf(error, signal);
    }
    const text = Buffer.concat(chunks).toString('utf8');
    return { contentType: response.headers.get('content-type') ?? '', text, url: response.url };
  }

  /** What went wrong, as a fault of HTTP; whoever stopped it gets the reason back. */
  faultOf(error: unknown, signal?: AbortSignal): unknown {
    if (signal?.aborted) return signal.reason;
    if (error instanceof HttpFault) return error;
    const { cause, message } = error instanceof Error ? error : new Error(String(error));
    const inner = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    return new HttpFault(REASONS[inner] ?? inner, null);
  }

  async close(): Promise<void> {
    await this.dispatcher.destroy();
  }
}

/** `https://user:token@host/`: fetch takes no such address, and drops the header where a redirect leads elsewhere. */
function splitCredentials(text: string): { bare: string; origin: string; authorization: string | null } {
  const url = new URL(text);
  const { username, password, origin } = url;
  if (username === '' && password === '') return { bare: text, origin, authorization: null };
  url.username = '';
  url.password = '';
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { bare: url.href, origin, authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

/** An address as it may be shown and logged. */
export const withoutCredentials = (url: string) => url.replace(/^(https?:\/\/)[^/@]*@/i, '$1');

const REASONS: Record<string, string> = {
  ENOTFOUND: 'the host is not known (ENOTFOUND)',
  EAI_AGAIN: 'the host cannot be looked up (EAI_AGAIN)',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection cut off',
  UND_ERR_SOCKET: 'connection cut off',
  UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped coming',
};

/** Waits 2^n times `firstMs`, a little more or less so that a hundred boards do not come back together. */
export const backOff = (n: number, firstMs: number, signal?: AbortSignal) =>
  pause(firstMs * 2 ** n * (0.75 + Math.random() / 2), undefined, signal === undefined ? {} : { signal });
