/** From an answer format to a compiled grammar: what is wrong with it becomes a 400 that names the field. */
import type { NativeGrammar } from '../../addon/binding.js';
import { toJsgError } from '../../errors.js';
import type { ServerContext } from '../context.js';
import { RequestError } from '../error-response.js';
import type { AnswerFormat } from './format-source.js';

/** Throws E_GRAMMAR_INVALID or E_GRAMMAR_LIMIT with the field in `param`; E_INVALID_REQUEST where grammars are off. */
export async function compileFormat(server: ServerContext, format: AnswerFormat | null): Promise<NativeGrammar | null> {
  if (format === null) return null;
  const { param, ...source } = format;
  const { grammars } = server;
  if (!grammars) {
    throw new RequestError(`${param}: structured output is not available on this server`, {
      param,
      hint: server.options.grammarsOffReason,
    });
  }
  try {
    return await grammars.compile(source);
  } catch (thrown) {
    const error = toJsgError(thrown);
    if (error.code !== 'E_GRAMMAR_INVALID' && error.code !== 'E_GRAMMAR_LIMIT') throw error;
    throw new RequestError(`${param}: ${tidy(error.message)}`, { param, code: error.code });
  }
}

/** The library's words without its prefixes; short, since it may quote the whole grammar. */
function tidy(message: string): string {
  const plain = message.replace(/^Invalid (JSON schema|structural tag|JSON) error: /i, '').trim();
  return plain.length > 400 ? `${plain.slice(0, 400)}…` : plain;
}
