/** Single tokens as they appear in log-probabilities. */
import type { Tokenizer } from '../model/model.js';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A log-probability that JSON can carry: OpenAI writes -9999 for "practically never". */
export function finiteLogprob(logprob: number): number {
  return Number.isFinite(logprob) ? logprob : -9999;
}

/** The token's bytes as text; a part of a character as `\xNN` escapes, as OpenAI writes it. */
export function tokenText(bytes: Uint8Array): string {
  return decodeUtf8(bytes) ?? escapeBytes(bytes);
}

/** As `tokenText`, in the form of the older completions API: `bytes:\xNN`. */
export function legacyTokenText(bytes: Uint8Array): string {
  return decodeUtf8(bytes) ?? `bytes:${escapeBytes(bytes)}`;
}

/** Text of one token by itself, special tokens by name. */
export function textOfToken(tokenizer: Tokenizer, id: number): string {
  return tokenText(tokenizer.tokenBytes(id));
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function escapeBytes(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}
