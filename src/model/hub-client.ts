/** Talking to a hub: HF_ENDPOINT, HF_TOKEN and proxies honoured, and every failure as one line with what to do. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { JsgError } from '../errors.js';
import { HUB_URL, HubApiError, type HubFile, listFiles, modelInfo } from './hf-hub.js';

/** For questions; downloads have a limit on silence instead. */
const METADATA_TIMEOUT_MS = 10_000;

/** The hub couldn't be reached, or is out of order: what is cached may serve instead. */
export class HubUnreachableError extends JsgError {}

export class HubClient {
  readonly endpoint = (process.env.HF_ENDPOINT || HUB_URL).replace(/\/+$/, '');
  private readonly token = readToken();
  private proxiedFetch: Promise<typeof fetch> | null = null;

  constructor(private readonly signal?: AbortSignal) {}

  /** The commit that a branch, tag or commit names. */
  async resolve(name: string, revision: string): Promise<string> {
    const { sha } = await this.ask(name, revision, (request) =>
      modelInfo({ ...request, name, revision, additionalFields: ['sha'] }),
    );
    if (!/^[0-9a-f]{40}$/.test(sha))
      throw new HubUnreachableError('E_DOWNLOAD_FAILED', `${this.endpoint}: no commit in its answer`);
    return sha;
  }

  async list(name: string, commit: string): Promise<HubFile[]> {
    return this.ask(name, commit, async (request) => {
      const files: HubFile[] = [];
      for await (const file of listFiles({ ...request, repo: name, revision: commit, recursive: true })) {
        if (file.type === 'file') files.push(file);
      }
      return files;
    });
  }

  /** A GET of a file from byte `start` on; the body streams. `signal` ends it. */
  async open(name: string, commit: string, path: string, start: number, signal: AbortSignal): Promise<Response> {
    const url = `${this.endpoint}/${name}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
    const range: Record<string, string> = start > 0 ? { Range: `bytes=${start}-` } : {};
    const response = await this.fetch(url, { headers: { ...range, 'Accept-Encoding': 'identity' }, signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw this.statusError(name, commit, response.status);
    }
    return response;
  }

  private async ask<T>(
    name: string,
    revision: string,
    question: (request: { hubUrl: string; fetch: typeof fetch }) => Promise<T>,
  ): Promise<T> {
    const timeout = AbortSignal.timeout(METADATA_TIMEOUT_MS);
    const signal = this.signal ? AbortSignal.any([timeout, this.signal]) : timeout;
    try {
      return await question({
        hubUrl: this.endpoint,
        fetch: (url, init) => this.fetch(url, { ...init, signal }),
      });
    } catch (error) {
      if (error instanceof HubApiError) throw this.statusError(name, revision, error.statusCode);
      throw this.networkError(error);
    }
  }

  private fetch: typeof fetch = async (input, init) => {
    const headers = new Headers(init?.headers);
    // The token is for the hub alone; fetch itself drops it where a redirect leads elsewhere.
    const isHub = new URL(String(input)).origin === new URL(this.endpoint).origin;
    if (this.token !== null && isHub) headers.set('Authorization', `Bearer ${this.token}`);
    headers.set('User-Agent', 'jsg');
    this.proxiedFetch ??= proxyAwareFetch();
    const send = await this.proxiedFetch;
    return send(input, { ...init, headers });
  };

  networkError(error: unknown): JsgError {
    if (error instanceof JsgError) return error;
    if (this.signal?.aborted) return new JsgError('E_DOWNLOAD_FAILED', 'download stopped');
    const { message, cause } = error instanceof Error ? error : new Error(String(error));
    const reason = cause instanceof Error ? ((cause as NodeJS.ErrnoException).code ?? cause.message) : message;
    return new HubUnreachableError('E_DOWNLOAD_FAILED', `${this.endpoint} can't be reached: ${reason}`, {
      hint: 'check the network and the proxy; HF_ENDPOINT names a mirror, HF_HUB_OFFLINE=1 uses only what is cached',
      cause: error,
    });
  }

  private statusError(name: string, revision: string, status: number): JsgError {
    switch (status) {
      case 401:
      case 403: {
        const hint =
          this.token === null
            ? 'check the name; if the model is private or gated, accept its terms on the hub and set HF_TOKEN'
            : 'check the name; the account of HF_TOKEN must have access: accept the terms of the model on the hub';
        return new JsgError('E_DOWNLOAD_FAILED', `${name}: access denied by the hub (${status})`, { hint });
      }
      case 404:
        return new JsgError('E_MODEL_NOT_FOUND', `${name}: not on the hub at revision ${revision}`, {
          hint: 'check the spelling of the model and the revision; private models need HF_TOKEN',
        });
      case 429:
        return new HubUnreachableError('E_DOWNLOAD_FAILED', `${this.endpoint}: too many requests (429)`, {
          hint: 'wait a few minutes; with HF_TOKEN the limits are wider',
        });
      default: {
        const problem = `${this.endpoint} answered ${status} for ${name}`;
        return new HubUnreachableError('E_DOWNLOAD_FAILED', problem, { hint: 'try again later' });
      }
    }
  }
}

/** $HF_TOKEN, or the token that `hf auth login` wrote; null without one. */
function readToken(): string | null {
  const { HF_TOKEN, HUGGING_FACE_HUB_TOKEN, HF_TOKEN_PATH, HF_HOME, XDG_CACHE_HOME } = process.env;
  const given = (HF_TOKEN ?? HUGGING_FACE_HUB_TOKEN)?.trim();
  if (given) return given;
  const home = HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface');
  try {
    return readFileSync(HF_TOKEN_PATH ?? join(home, 'token'), 'utf8').trim() || null;
  } catch {
    return null;
  }
}

/** Node's own fetch knows nothing of HTTPS_PROXY; undici's does when asked. */
async function proxyAwareFetch(): Promise<typeof fetch> {
  const { HTTP_PROXY, HTTPS_PROXY, http_proxy, https_proxy } = process.env;
  if (!(HTTP_PROXY || HTTPS_PROXY || http_proxy || https_proxy)) return fetch;
  const undici = await import('undici');
  const dispatcher = new undici.EnvHttpProxyAgent();
  return ((url: string, init: object) => undici.fetch(url, { ...init, dispatcher })) as unknown as typeof fetch;
}
