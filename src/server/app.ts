/** The HTTP application: which path goes where, and how every error leaves. No port is opened here. */
import { type Context, Hono } from 'hono';
import { anthropicErrorBody } from './anthropic/error-body.js';
import { ApiKeys } from './api-keys.js';
import { requireApiKey } from './auth.js';
import type { ServerContext } from './context.js';
import { allowOrigins, refuseOtherPages } from './cors.js';
import type { ServerDeps } from './deps.js';
import { errorBody, errorResponse, RequestError } from './error-response.js';
import { Lifecycle } from './lifecycle.js';
import { Metrics } from './metrics.js';
import { requireOwnHost } from './own-host.js';
import { ResponseStore } from './responses-api/store.js';
import { abortRequest, flushCache, saveCache } from './routes/admin.js';
import { chatCompletions } from './routes/chat-completions.js';
import { completions } from './routes/completions.js';
import { embeddings } from './routes/embeddings.js';
import { generate } from './routes/generate.js';
import { health, healthGenerate } from './routes/health.js';
import { listModels, load, loads, metrics, modelInfo, retrieveModel, serverInfo } from './routes/info.js';
import { countTokens, createMessage } from './routes/messages.js';
import { openApi } from './routes/openapi.js';
import { pageFile } from './routes/page.js';
import { countInputTokens, createResponse, storedResponse } from './routes/responses.js';
import { status } from './routes/status.js';
import { detokenize, tokenize } from './routes/tokenize.js';
import { StepLog } from './step-log.js';
import { produceToken } from './warm-up.js';

export type { ServerDeps, ServerModel, ServerOptions } from './deps.js';

/** The app, and the handles its owner warms it up, drains it and replaces its keys by. */
export type ServerApp = Hono & { readonly lifecycle: Lifecycle; readonly apiKeys: ApiKeys };

type Route = (server: ServerContext, c: Context) => Response | Promise<Response>;

/** Probes carry no key. */
const OPEN_PATHS = ['/health'];

type RouteEntry = [methods: string[], path: string, route: Route];

export const ROUTES: readonly RouteEntry[] = [
  [['GET'], '/v1/models', listModels],
  [['GET'], '/v1/models/*', retrieveModel],
  [['POST'], '/v1/chat/completions', chatCompletions],
  [['POST'], '/v1/completions', completions],
  [['POST'], '/v1/responses', createResponse],
  [['POST'], '/v1/responses/input_tokens', countInputTokens],
  [['GET', 'DELETE'], '/v1/responses/:id', storedResponse],
  [['POST'], '/v1/messages', createMessage],
  [['POST'], '/v1/messages/count_tokens', countTokens],
  [['POST'], '/v1/embeddings', embeddings],
  [['POST'], '/tokenize', tokenize],
  [['POST'], '/v1/tokenize', tokenize],
  [['POST'], '/detokenize', detokenize],
  [['POST'], '/v1/detokenize', detokenize],
  [['GET'], '/v1/loads', loads],
  [['GET'], '/get_load', load],
  [['GET'], '/v1/status', status],
  [['POST', 'PUT'], '/generate', generate],
  [['GET'], '/health', health],
  [['GET'], '/health_generate', healthGenerate],
  [['GET'], '/get_model_info', modelInfo],
  [['GET'], '/model_info', modelInfo],
  [['GET'], '/get_server_info', serverInfo],
  [['GET'], '/server_info', serverInfo],
  [['GET'], '/metrics', metrics],
  [['GET', 'POST'], '/flush_cache', flushCache],
  [['POST'], '/save_cache', saveCache],
  [['POST'], '/abort_request', abortRequest],
  [['GET'], '/openapi.json', openApi(() => ROUTES, OPEN_PATHS)],
];

export function createApp(deps: ServerDeps): ServerApp {
  const { runtime, model, options } = deps;
  const serverMetrics = new Metrics(options.servedModelName, runtime, options.speculates ?? false);
  const lifecycle: Lifecycle = new Lifecycle(runtime, async () => {
    await produceToken(runtime, model);
    lifecycle.tokenProduced();
  });
  const stepLog = new StepLog({ interval: options.decodeLogInterval, speculates: options.speculates }, (figures) => {
    serverMetrics.genThroughput = figures.tokensPerSecond;
    if (figures.acceptance) serverMetrics.acceptance = figures.acceptance;
  });
  runtime.onStep((stats) => {
    stepLog.step(stats);
    serverMetrics.step(stats);
  });

  const server: ServerContext = { ...deps, lifecycle, metrics: serverMetrics, storedResponses: new ResponseStore() };
  const apiKeys = new ApiKeys(options.apiKeys);
  const app = new Hono();
  if (options.ownHostOnly) app.use(requireOwnHost());
  // Before the keys: a preflight carries none.
  const corsOrigins = options.corsOrigins ?? [];
  if (corsOrigins.length > 0) app.use(allowOrigins(corsOrigins));
  const page = (deps.page ?? []).map((file): RouteEntry => [['GET'], file.path, (_, c) => pageFile(file, c)]);
  // The page must be there to ask for the key; what it shows needs one.
  const openPaths = [...OPEN_PATHS, ...page.map(([, path]) => path)];
  app.use(refuseOtherPages(corsOrigins, openPaths));
  app.use(requireApiKey(apiKeys, openPaths));
  for (const [methods, path, route] of [...ROUTES, ...page]) {
    app.on(methods, path, (c) => route(server, c));
    app.all(path, (c) => methodNotAllowed(c, methods));
  }
  app.notFound((c) => {
    const error = new RequestError(`there is nothing at ${c.req.method} ${c.req.path}`, { code: 'E_NOT_FOUND' });
    return errorResponse(error, errorShape(c));
  });
  app.onError((error, c) => errorResponse(error, errorShape(c)));
  return Object.assign(app, { lifecycle, apiKeys });
}

/** Anthropic's clients know errors of its own shape. */
function errorShape(c: Context): typeof errorBody | typeof anthropicErrorBody {
  return /^\/v1\/messages(\/|$)/.test(c.req.path) ? anthropicErrorBody : errorBody;
}

function methodNotAllowed(c: Context, methods: readonly string[]): Response {
  const allowed = methods.join(', ');
  const response = errorResponse(
    new RequestError(`${c.req.path} takes ${allowed}, not ${c.req.method}`, { code: 'E_METHOD_NOT_ALLOWED' }),
    errorShape(c),
  );
  response.headers.set('Allow', allowed);
  return response;
}
