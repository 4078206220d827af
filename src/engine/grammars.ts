/** Structured output at launch: on, off, or not to be had. */
import type { NativeBinding } from '../addon/binding.js';
import { NativeGrammars } from '../addon/grammars.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import type { LoadedModel } from '../model/model.js';
import type { Settings } from '../profile/flags.js';
import { THINK_BEGIN, THINK_END } from '../server/tools/reasoning.js';
import { formatOfTemplate, TOOL_FORMATS } from '../server/tools/tool-formats.js';

const REBUILD =
  'npm run build fetches the sources of XGrammar through pip; JSG_XGRAMMAR names an archive that is there';

/**
 * Refuses `--grammar-backend xgrammar` where it was asked for and the addon was built without; where it is merely the
 * default, the server goes without. Throws E_DEVICE_UNSUITABLE.
 */
export function requireGrammars(settings: Settings, binding: NativeBinding, isAskedFor: boolean): void {
  if (settings['grammar-backend'] !== 'xgrammar' || binding.hasGrammars) return;
  const what = 'the native runtime was built without XGrammar';
  if (!isAskedFor) {
    log.warning(`${what}: requests for structured output are refused (${REBUILD})`);
    return;
  }
  throw new JsgError('E_DEVICE_UNSUITABLE', `--grammar-backend xgrammar: ${what}`, {
    hint: `${REBUILD}; or launch with --grammar-backend none`,
  });
}

/** Tokens that begin and end calls and thoughts: special in some vocabularies, and part of the text all the same. */
function spelledTokens(settings: Settings, { tokenizer, chatTemplate }: LoadedModel): Set<number> {
  const format = TOOL_FORMATS[settings['tool-call-parser'] ?? formatOfTemplate(chatTemplate?.text ?? '')];
  const thoughts = settings['reasoning-parser'] === null ? [] : [THINK_BEGIN, THINK_END];
  const ids = [...format.tokens, ...thoughts].map((token) => tokenizer?.tokenId(token));
  return new Set(ids.filter((id) => id !== undefined));
}

/** The compiler of grammars, or why there is none. */
export function startGrammars(
  settings: Settings,
  binding: NativeBinding,
  model: LoadedModel,
): { grammars: NativeGrammars | null; offReason: string } {
  const off = (offReason: string) => ({ grammars: null, offReason });
  if (settings['grammar-backend'] === 'none') return off('it was started with --grammar-backend none');
  if (!binding.hasGrammars) return off('it was built without XGrammar');
  const { tokenizer, eosTokenIds, weights } = model;
  if (!tokenizer) return off('it has no tokenizer');
  if (eosTokenIds.length === 0) return off('the model names no token that ends an answer');
  const { vocabSize } = weights.config;
  const spelled = spelledTokens(settings, model);
  const grammars = new NativeGrammars(binding, () =>
    tokenizer.vocabulary({ vocabSize, stopTokenIds: eosTokenIds, spelled }),
  );
  // On another thread, and early: no request need wait for it.
  grammars.prepare().catch((error: unknown) => log.error(`preparing the vocabulary for grammars failed: ${error}`));
  return { grammars, offReason: '' };
}
