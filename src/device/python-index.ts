/** Does a package index answer? One question, one second. */

export interface IndexAnswer {
  url: string;
  /** HTTP status; null: no answer. */
  status: number | null;
  /** Why there was none: `ENOTFOUND`, `ECONNREFUSED`, `timeout`. */
  fault: string | null;
}

const TIMEOUT_MS = 1000;

export async function askIndex(url: string): Promise<IndexAnswer> {
  try {
    // Node's own fetch knows nothing of HTTPS_PROXY; undici's does when asked.
    const { EnvHttpProxyAgent, request } = await import('undici');
    const dispatcher = new EnvHttpProxyAgent();
    try {
      const { statusCode } = await request(url, {
        method: 'HEAD',
        dispatcher,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      return { url, status: statusCode, fault: null };
    } finally {
      void dispatcher.destroy();
    }
  } catch (error) {
    const { name, code, message } = error as { name?: string; code?: unknown; message?: string };
    const fault = name === 'TimeoutError' || name === 'AbortError' ? 'timeout' : String(code ?? message ?? name);
    return { url, status: null, fault };
  }
}
