/** What is served: /v1/models, /get_model_info, /get_server_info, /get_load, /v1/loads, /metrics. */
import type { Context } from 'hono';
import type { ServerContext } from '../context.js';
import { RequestError } from '../error-response.js';
import { jsonResponse } from '../responses.js';

const startedAt = Math.floor(Date.now() / 1000);

function modelCard({ options }: ServerContext): object {
  return {
    id: options.servedModelName,
    object: 'model',
    created: startedAt,
    owned_by: 'jsg',
    root: options.modelPath,
    max_model_len: options.contextLength,
    // Anthropic's names for the same.
    type: 'model',
    display_name: options.servedModelName,
    created_at: new Date(startedAt * 1000).toISOString(),
  };
}

export function listModels(server: ServerContext): Response {
  const { servedModelName: id } = server.options;
  return jsonResponse({ object: 'list', data: [modelCard(server)], has_more: false, first_id: id, last_id: id });
}

/** Model names hold slashes, so the rest of the path is the name. */
export function retrieveModel(server: ServerContext, c: Context): Response {
  const name = decodeName(c.req.path.slice('/v1/models/'.length));
  if (name === server.options.servedModelName) return jsonResponse(modelCard(server));
  throw new RequestError(`The model ${JSON.stringify(name.slice(0, 256))} does not exist`, {
    param: 'model',
    code: 'E_MODEL_NOT_FOUND',
    wireCode: 'model_not_found',
  });
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function modelInfo({ options, model }: ServerContext): Response {
  return jsonResponse({
    model_path: options.modelPath,
    tokenizer_path: options.modelPath,
    is_generation: true,
    has_tokenizer: model.tokenizer !== null,
    has_chat_template: model.chatTemplate !== null,
    served_model_name: options.servedModelName,
    context_length: options.contextLength,
    vocab_size: model.weights.config.vocabSize,
    preferred_sampling_params: null,
    weight_version: 'default',
  });
}

export function serverInfo({ options, runtime, metrics, lifecycle }: ServerContext): Response {
  const { info } = runtime;
  return jsonResponse({
    ...options.serverInfo,
    status: lifecycle.phase,
    model: runtime.residency ?? 'loaded',
    served_model_name: options.servedModelName,
    max_total_num_tokens: info.totalTokens,
    max_running_requests: options.maxRunningRequests,
    runtime: info,
    internal_states: [{ last_gen_throughput: metrics.genThroughput, ...runtime.stats() }],
  });
}

/** What routers of SGLang's first generations ask for: the load of each copy of the model. */
export function load({ runtime }: ServerContext): Response {
  const { numRunning, numQueued, usedTokens } = runtime.stats();
  return jsonResponse([
    { dp_rank: 0, num_reqs: numRunning + numQueued, num_waiting_reqs: numQueued, num_tokens: usedTokens },
  ]);
}

/** SGLang's figures for routers that balance over several servers. */
export function loads({ options, runtime, metrics }: ServerContext): Response {
  const { numRunning, numQueued, usedTokens, totalTokens } = runtime.stats();
  const tokenUsage = totalTokens > 0 ? usedTokens / totalTokens : 0;
  const load = {
    dp_rank: 0,
    num_running_reqs: numRunning,
    num_waiting_reqs: numQueued,
    num_total_reqs: numRunning + numQueued,
    num_used_tokens: usedTokens,
    max_total_num_tokens: totalTokens,
    max_running_requests: options.maxRunningRequests,
    token_usage: tokenUsage,
    gen_throughput: metrics.genThroughput,
    utilization: options.maxRunningRequests > 0 ? numRunning / options.maxRunningRequests : 0,
  };
  return jsonResponse({
    timestamp: new Date().toISOString(),
    dp_rank_count: 1,
    loads: [load],
    aggregate: {
      total_running_reqs: numRunning,
      total_waiting_reqs: numQueued,
      total_reqs: numRunning + numQueued,
      avg_token_usage: tokenUsage,
      avg_throughput: metrics.genThroughput,
      avg_utilization: load.utilization,
    },
  });
}

export async function metrics(server: ServerContext): Promise<Response> {
  const { registry } = server.metrics;
  return new Response(await registry.metrics(), { headers: { 'Content-Type': registry.contentType } });
}
