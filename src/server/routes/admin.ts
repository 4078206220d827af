/** /flush_cache, /save_cache and /abort_request. */
import type { Context } from 'hono';
import { callerOf } from '../auth.js';
import type { ServerContext } from '../context.js';
import { fault, RequestError } from '../error-response.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse } from '../responses.js';
import { abortShape } from '../schemas/abort.js';
import { parseRequest } from '../schemas/parse.js';

export function flushCache(server: ServerContext): Response {
  if (server.lifecycle.numActive > 0 || !server.runtime.flushCache()) throw inUse(server);
  return jsonResponse({ success: true, message: 'Cache flushed.' });
}

export async function saveCache(server: ServerContext): Promise<Response> {
  if (!server.saveSession) throw new RequestError('there is no session file: the server needs --session-file');
  if (server.lifecycle.numActive > 0) throw inUse(server);
  const tokens = await server.saveSession();
  return jsonResponse({ success: true, message: 'Cache saved.', tokens });
}

function inUse({ runtime }: ServerContext): RequestError {
  const { numRunning, numQueued } = runtime.stats();
  return new RequestError(`the cache is in use: ${numRunning} requests running, ${numQueued} waiting`);
}

/** `{"rid": "..."}` or `{"abort_all": true}`, of the caller's own requests. An unknown id is no error: the request may just have ended. */
export async function abortRequest(server: ServerContext, c: Context): Promise<Response> {
  const { rid, abort_all: isAll } = parseRequest(abortShape, await readJsonObject(c));
  const caller = callerOf(c);
  if (isAll) return jsonResponse({ success: true, aborted: server.lifecycle.abort(caller) });
  if (!rid) throw fault('rid', 'must be the id of a request, unless abort_all is true');
  return jsonResponse({ success: true, aborted: server.lifecycle.abort(caller, rid) });
}
