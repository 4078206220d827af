/** /health says whether the server answers with tokens; /health_generate makes one to be sure. */

import { JsgError } from '../../errors.js';
import type { ServerContext } from '../context.js';
import type { Phase } from '../lifecycle.js';
import { jsonResponse } from '../responses.js';

/** As long as SGLang waits. */
const GENERATE_TIMEOUT_MS = 20_000;

const REASONS: Record<Exclude<Phase, 'ready'>, string> = {
  starting: 'the model has not produced a token yet',
  draining: 'the server is shutting down',
  failed: 'the runtime has failed; the server must be restarted',
};

export function health(server: ServerContext): Response {
  const { phase } = server.lifecycle;
  if (phase !== 'ready') throw new JsgError('E_UNAVAILABLE', REASONS[phase]);
  const { residency } = server.runtime;
  return jsonResponse({ status: 'ok', ...(residency && { model: residency }) });
}

export async function healthGenerate(server: ServerContext): Promise<Response> {
  server.lifecycle.admit();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    const late = new JsgError('E_UNAVAILABLE', `no token came within ${GENERATE_TIMEOUT_MS / 1000} s`);
    timer = setTimeout(() => reject(late), GENERATE_TIMEOUT_MS).unref();
  });
  try {
    await Promise.race([server.lifecycle.warmUp(), timeout]);
  } finally {
    clearTimeout(timer);
  }
  return health(server);
}
