/** POST /generate: SGLang's own API, in text or token ids. */
import type { Context } from 'hono';
import { callerOf } from '../auth.js';
import type { ServerContext } from '../context.js';
import { fault, RequestError } from '../error-response.js';
import { GenerateAnswer, type GenerateItem, GenerateStream, type LogprobOptions } from '../generate-answer.js';
import { admit, startGeneration } from '../generation.js';
import { parseAnswerFormat } from '../grammar/answer-format.js';
import { compileFormat } from '../grammar/compile.js';
import type { AnswerFormat } from '../grammar/format-source.js';
import { withinWork } from '../grammar/work-limit.js';
import { isObject } from '../json-value.js';
import { LIMITS } from '../limits.js';
import { newRequestId } from '../openai.js';
import { encodePrompt, tokensToGenerate } from '../prompt-tokens.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, streamResponse } from '../responses.js';
import { type GenerateParams, generateShape, samplingParamsShape } from '../schemas/generate.js';
import { parseRequest } from '../schemas/parse.js';
import { type Prompts, parsePrompts } from '../schemas/prompts.js';
import { type PlanOptions, planSequences } from '../sequence-plan.js';
import type { SequencePlan } from '../sequence-reader.js';

/** SGLang's default. */
const DEFAULT_MAX_NEW_TOKENS = 128;

export async function generate(server: ServerContext, c: Context): Promise<Response> {
  admit(server);
  const request = parseRequest(generateShape, await readJsonObject(c));
  const inputs = parseInputs(request);
  const requestIds = parseRequestIds(request.rid, inputs);
  const logprobs: LogprobOptions | null = request.return_logprob
    ? {
        startLen: request.logprob_start_len ?? -1,
        topCount: request.top_logprobs_num ?? 0,
        withText: request.return_text_in_logprobs ?? false,
      }
    : null;

  const plans: SequencePlan[] = [];
  const items: GenerateItem[] = [];
  const paramsOf = parseParams(request.sampling_params, inputs);
  for (const [index, prompt] of inputs.prompts.entries()) {
    const { params: own, prefix, format } = paramsOf[index] as PromptParams;
    const params = { ...own, priority: request.priority ?? own.priority, timeout: request.timeout ?? own.timeout };
    const param = inputs.isBatch ? `${inputs.param}.${index}` : inputs.param;
    const promptIds = encodePrompt(server, prompt, param);
    const maxNewTokens = newTokens(server, promptIds.length, params, { prompt: param, prefix });
    const grammar = await compileFormat(server, format);
    for (const plan of planPrompt(
      server,
      params,
      { promptIds, caller: callerOf(c), maxNewTokens, grammar, paramPrefix: prefix },
      logprobs,
    )) {
      items.push({ id: requestIds[index] as string, numPromptTokens: promptIds.length, maxNewTokens, logprobs });
      plans.push(plan);
    }
  }

  const isList = inputs.isBatch || plans.length > 1;
  const generation = startGeneration(server, requestIds, plans, c);
  if (request.stream) {
    return streamResponse(c, generation, (stream) => new GenerateStream(server, items, isList, stream));
  }
  const answer = new GenerateAnswer(server, items);
  await generation.run(answer);
  return jsonResponse(answer.body(isList));
}

interface Inputs extends Prompts {
  param: 'text' | 'input_ids';
}

function parseInputs(request: { text?: unknown; input_ids?: unknown }): Inputs {
  const hasText = request.text !== undefined && request.text !== null;
  const hasIds = request.input_ids !== undefined && request.input_ids !== null;
  if (hasText === hasIds) throw new RequestError('text: send either text or input_ids', { param: 'text' });
  const param = hasText ? 'text' : 'input_ids';
  const inputs = parsePrompts(request[param], param);
  const isText = 'text' in (inputs.prompts[0] ?? {});
  if (isText === hasText) return { ...inputs, param };
  throw fault(param, `must be ${hasText ? 'text' : 'token ids'}`);
}

/** One id for each prompt; `/abort_request` takes any of them. */
function parseRequestIds(rid: unknown, inputs: Inputs): string[] {
  const count = inputs.prompts.length;
  if (rid === undefined || rid === null) return Array.from({ length: count }, () => newRequestId('gen'));
  const ids = inputs.isBatch ? rid : [rid];
  const isId = (id: unknown) => typeof id === 'string' && id !== '' && id.length <= LIMITS.requestIdChars;
  if (Array.isArray(ids) && ids.length === count && ids.every(isId)) return ids as string[];
  throw new RequestError('rid: must be a string, or a list with one for each prompt', { param: 'rid' });
}

interface PromptParams {
  params: GenerateParams;
  format: AnswerFormat | null;
  /** Before field names in errors. */
  prefix: string;
}

/** Of each prompt: those of its own, or the same for all. */
function parseParams(value: unknown, { prompts, isBatch }: Inputs): PromptParams[] {
  if (!Array.isArray(value)) {
    const shared = parsePromptParams(value ?? {}, 'sampling_params');
    return prompts.map(() => shared);
  }
  if (!isBatch || value.length !== prompts.length) {
    throw fault('sampling_params', 'a list must have one object for each prompt');
  }
  return withinWork('sampling_params', () =>
    value.map((own: unknown, index) => parsePromptParams(own, `sampling_params.${index}`)),
  );
}

function parsePromptParams(value: unknown, param: string): PromptParams {
  if (!isObject(value)) throw fault(param, 'must be an object');
  const prefix = `${param}.`;
  const params = parseRequest(samplingParamsShape, value, prefix);
  return { params, prefix, format: parseAnswerFormat(params, prefix) };
}

function newTokens(
  server: ServerContext,
  numPrompt: number,
  params: GenerateParams,
  names: { prompt: string; prefix: string },
): number {
  const at = { prompt: names.prompt, maxTokens: `${names.prefix}max_new_tokens` };
  return tokensToGenerate(server, numPrompt, params.max_new_tokens, at, DEFAULT_MAX_NEW_TOKENS);
}

function planPrompt(
  server: ServerContext,
  params: GenerateParams,
  common: Pick<PlanOptions, 'promptIds' | 'caller' | 'maxNewTokens' | 'grammar' | 'paramPrefix'>,
  logprobs: LogprobOptions | null,
): SequencePlan[] {
  const request = { ...params, seed: params.sampling_seed ?? params.seed, min_tokens: params.min_new_tokens };
  return planSequences(server, request, {
    ...common,
    topLogprobs: logprobs ? logprobs.topCount : -1,
    continuesPrompt: true,
    minTokensField: 'min_new_tokens',
    promptLogprobs: logprobs !== null && logprobs.startLen >= 0,
  });
}
