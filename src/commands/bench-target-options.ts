/** Which server a bench is of, and what it is asked: options, checked before anything starts or is asked. */
import { statSync } from 'node:fs';
import { type EndpointName, ROUTES } from '../bench/request-body.js';
import type { Target } from '../bench/target.js';
import { normaliseUrl } from '../client.js';
import { JsgError } from '../errors.js';
import { FLAG_NAMES, type FlagName } from '../profile/flags.js';
import { choice } from './bench-options.js';
import { givenFlags, type Options } from './settings.js';

/** Of a server that runs; undefined: one is started. Throws E_USAGE. */
export function urlOption({ url, baseUrl }: Options): string | undefined {
  const text = (url ?? baseUrl) as string | undefined;
  if (text === undefined) return undefined;
  const flag = url === undefined ? '--base-url' : '--url';
  try {
    return normaliseUrl(text);
  } catch (error) {
    if (!(error instanceof JsgError)) throw error;
    throw new JsgError(error.code, `${flag}: ${error.message}`, { ...(error.hint ? { hint: error.hint } : {}) });
  }
}

/** What belongs to a server that runs already: its key, and what it computes with. */
const FOR_URL: readonly FlagName[] = ['api-key', 'api-key-file', 'num-threads'];

/** Throws E_USAGE for what would be left unheard. */
export function requireFitting(options: Options): void {
  const url = urlOption(options);
  extraBodyOption(options);
  if (options.ignoreEos && options.disableIgnoreEos) {
    throw new JsgError('E_USAGE', '--ignore-eos and --disable-ignore-eos: one of them');
  }
  if (options.root !== undefined && !statSync(String(options.root), { throwIfNoEntry: false })?.isDirectory()) {
    throw new JsgError('E_USAGE', `--root: ${options.root} is no directory`);
  }
  if (url !== undefined) requireNoEngine(options);
  else if (options.model !== undefined) {
    throw new JsgError('E_USAGE', '--model goes with --url', { hint: 'A model to start is --model-path PATH|ID.' });
  }
}

function requireNoEngine(options: Options): void {
  const given = givenFlags(options);
  const stray =
    options.profile !== undefined ? 'profile' : FLAG_NAMES.find((name) => name in given && !FOR_URL.includes(name));
  if (stray === undefined) return;
  throw new JsgError('E_USAGE', `--${stray} is of an engine that is started, and --url names one that runs`, {
    hint: 'Leave out the one or the other.',
  });
}

/** Fields that a person wants to be sent, or not. */
export function adjust(target: Target, options: Options): Target {
  if (options.ignoreEos === true) target.hasIgnoreEos = true;
  if (options.disableIgnoreEos === true) target.hasIgnoreEos = false;
  target.extraBody = extraBodyOption(options);
  return target;
}

function extraBodyOption({ extraRequestBody: text }: Options): Record<string, unknown> {
  if (text === undefined) return {};
  try {
    const body: unknown = JSON.parse(String(text));
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // said below
  }
  throw new JsgError('E_USAGE', `--extra-request-body: '${text}' is no JSON object`, {
    hint: `For example '{"top_k": 1}'`,
  });
}

/** `--endpoint`: by name, or by its path as vLLM wants it. */
export function endpointOption(options: Options): EndpointName | null {
  const names = Object.keys(ROUTES) as EndpointName[];
  const { backend } = options;
  if (backend !== undefined && options.endpoint === undefined) return byBackend(String(backend));
  const byPath = names.find((name) => ROUTES[name] === options.endpoint);
  return byPath ?? choice(options, 'endpoint', names);
}

/** What SGLang's and vLLM's benches call the same: `vllm`, `sglang-oai`, and with `-chat`. */
function byBackend(backend: string): EndpointName {
  const [, isChat] = /^(?:vllm|openai|sglang-oai|lmdeploy)(-chat)?$/.exec(backend) ?? [null, null];
  if (isChat === null) {
    throw new JsgError(
      'E_USAGE',
      `--backend: '${backend}' is not one of vllm, openai, sglang-oai, lmdeploy, or with -chat`,
      {
        hint: 'Or say --endpoint completions, --endpoint chat.',
      },
    );
  }
  return isChat === undefined ? 'completions' : 'chat';
}
