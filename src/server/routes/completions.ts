/** POST /v1/completions. */
import type { Context } from 'hono';
import type { NativeGrammar } from '../../addon/binding.js';
import { callerOf } from '../auth.js';
import { CompletionAnswer, type CompletionAnswerOptions, CompletionStream } from '../completion-answer.js';
import type { ServerContext } from '../context.js';
import { RequestError } from '../error-response.js';
import { admit, startGeneration } from '../generation.js';
import { parseAnswerFormat } from '../grammar/answer-format.js';
import { compileFormat } from '../grammar/compile.js';
import { checkModelName, checkStreamOptions, newRequestId } from '../openai.js';
import { encodePrompt, requireTokenizer, tokensToGenerate } from '../prompt-tokens.js';
import { readJsonObject } from '../request-body.js';
import { jsonResponse, streamResponse } from '../responses.js';
import { type CompletionRequest, completionShape } from '../schemas/completions.js';
import { parseRequest } from '../schemas/parse.js';
import { type Prompt, parsePrompts } from '../schemas/prompts.js';
import { type PlanOptions, planSequences } from '../sequence-plan.js';
import type { SequencePlan } from '../sequence-reader.js';

/** OpenAI's and SGLang's default. */
const DEFAULT_MAX_TOKENS = 16;

export async function completions(server: ServerContext, c: Context): Promise<Response> {
  admit(server);
  const request = parseRequest(completionShape, await readJsonObject(c));
  checkModelName(server, request.model);
  checkStreamOptions(request);
  checkCombinations(request);
  requireTokenizer(server, 'prompt');
  const { prompts, isBatch } = parsePrompts(request.prompt, 'prompt');

  const grammar = await compileFormat(server, parseAnswerFormat(request));
  const plans: SequencePlan[] = [];
  const echoes: string[] = [];
  let numPromptTokens = 0;
  for (const [index, prompt] of prompts.entries()) {
    const param = isBatch ? `prompt.${index}` : 'prompt';
    const promptIds = encodePrompt(server, prompt, param);
    const ofPrompt = planPrompt(server, request, { promptIds, caller: callerOf(c) }, param, grammar);
    const echo = request.echo ? promptText(server, prompt) : '';
    numPromptTokens += promptIds.length;
    for (const plan of ofPrompt) {
      plans.push(plan);
      echoes.push(echo);
    }
  }

  const id = newRequestId('cmpl');
  const options: CompletionAnswerOptions = {
    id,
    echoes,
    numPromptTokens,
    withLogprobs: request.logprobs !== undefined,
    includeUsage: request.stream_options?.include_usage ?? false,
  };
  const generation = startGeneration(server, request.rid ?? id, plans, c);
  if (request.stream) return streamResponse(c, generation, (stream) => new CompletionStream(server, options, stream));
  const answer = new CompletionAnswer(server, options);
  await generation.run(answer);
  return jsonResponse(answer.body());
}

function checkCombinations(request: CompletionRequest): void {
  if (request.max_tokens === 0 && !request.echo) {
    throw new RequestError('max_tokens: 0 is for scoring a prompt, with "echo": true', { param: 'max_tokens' });
  }
  if (request.best_of !== undefined && request.best_of !== (request.n ?? 1)) {
    throw new RequestError('best_of: choosing among more answers than are returned is not available', {
      param: 'best_of',
    });
  }
}

function planPrompt(
  server: ServerContext,
  request: CompletionRequest,
  { promptIds, caller }: Pick<PlanOptions, 'promptIds' | 'caller'>,
  param: string,
  grammar: NativeGrammar | null,
): SequencePlan[] {
  return planSequences(server, request, {
    promptIds,
    caller,
    maxNewTokens: tokensToGenerate(
      server,
      promptIds.length,
      request.max_tokens,
      { prompt: param, maxTokens: 'max_tokens' },
      DEFAULT_MAX_TOKENS,
    ),
    topLogprobs: request.logprobs ?? -1,
    continuesPrompt: true,
    promptLogprobs: (request.echo ?? false) && request.logprobs !== undefined,
    grammar,
  });
}

function promptText(server: ServerContext, prompt: Prompt): string {
  if ('text' in prompt) return prompt.text;
  return requireTokenizer(server, 'prompt').decode(prompt.ids, { skipSpecialTokens: false });
}
