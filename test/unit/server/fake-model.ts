/** A tokenizer of bytes and a few words, and a chat template of one line: small enough to compute by hand. */

import { JsgError } from '../../../src/errors.js';
import type { ChatMessage, StreamDecoder, Tokenizer } from '../../../src/model/model.js';
import type { ServerModel } from '../../../src/server/deps.js';

export const BOS = 256;
export const EOS = 257;
/** A special token that a template might write. */
export const TURN = 258;
const SPECIAL: Record<number, string> = { [BOS]: '<s>', [EOS]: '</s>', [TURN]: '<|turn|>' };
/** Tokens of several characters, from id 259. */
export const WORDS = ['Hello', ' world', 'STOP', 'ST', 'OP', ' the', '\n\n', '€', 'é', '👍', 'AB', 'BC'];
const FIRST_WORD = 259;
export const VOCAB_SIZE = FIRST_WORD + WORDS.length;

const encoder = new TextEncoder();

export function wordId(word: string): number {
  const index = WORDS.indexOf(word);
  if (index < 0) throw new Error(`no such word: ${word}`);
  return FIRST_WORD + index;
}

function tokenBytes(id: number): Buffer {
  if (id < 256) return Buffer.of(id);
  return Buffer.from(SPECIAL[id] ?? (WORDS[id - FIRST_WORD] as string));
}

class FakeStream implements StreamDecoder {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  constructor(private readonly skipSpecialTokens: boolean) {}

  push(id: number): string {
    if (id in SPECIAL && this.skipSpecialTokens) return '';
    return this.#decoder.decode(tokenBytes(id), { stream: true });
  }

  end(): string {
    return this.#decoder.decode();
  }
}

export const fakeTokenizer: Tokenizer = {
  vocabSize: VOCAB_SIZE,
  encode(text, options = {}) {
    const ids: number[] = options.addSpecialTokens ? [BOS] : [];
    for (const part of text.split(/(<s>|<\/s>|<\|turn\|>)/)) {
      const special = Object.entries(SPECIAL).find(([, name]) => name === part);
      if (special && options.parseSpecial !== false) ids.push(Number(special[0]));
      else for (const byte of encoder.encode(part)) ids.push(byte);
    }
    return ids;
  },
  decode(ids, options = {}) {
    const stream = this.stream(options);
    return ids.map((id) => stream.push(id)).join('') + stream.end();
  },
  tokenBytes,
  isSpecial: (id) => id in SPECIAL,
  vocabulary: () => {
    throw new Error('the fake compiles no grammars');
  },
  tokenId: (token) => {
    const special = Object.entries(SPECIAL).find(([, name]) => name === token);
    return special ? Number(special[0]) : undefined;
  },
  stream: (options = {}) => new FakeStream(options.skipSpecialTokens ?? true),
};

/** What the template last got, for tests that look. */
export const rendered: { messages: readonly ChatMessage[]; options: object }[] = [];

export function fakeModel(overrides: Partial<ServerModel> = {}): ServerModel {
  return {
    name: 'fake',
    tokenizer: fakeTokenizer,
    chatTemplate: {
      text: '{{ messages }} {{ tools }}',
      render(messages, options = {}) {
        rendered.push({ messages, options });
        if (messages[0]?.role === 'tool') throw new JsgError('E_INVALID_REQUEST', 'roles out of order');
        const lines = messages.map(({ role, content }) => `<|turn|>${role}:${content ?? ''}`);
        return `<s>${lines.join('')}${options.addGenerationPrompt ? '<|turn|>assistant:' : ''}`;
      },
    },
    bosTokenId: BOS,
    eosTokenIds: [EOS],
    generationDefaults: {},
    weights: { config: { vocabSize: VOCAB_SIZE } },
    ...overrides,
  };
}

/** Text as ids: the words of the vocabulary where `words` says so, else bytes. */
export function bytesOf(text: string): number[] {
  return Array.from(encoder.encode(text));
}
