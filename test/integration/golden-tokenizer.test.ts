/** SmolLM2's tokenizer, built from the GGUF file, against Hugging Face's tokenizers library (test/oracle/tokenizer.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { loadModel } from '../../src/model/load.js';
import type { Tokenizer } from '../../src/model/model.js';
import { GOLDEN } from './golden-models.js';

interface Entry {
  text: string;
  ids: number[];
  /** Where decoding does not give the text back: bytes that SmolLM2's vocabulary lacks. */
  decoded?: string;
}

const entries: Entry[] = JSON.parse(readFileSync(join(GOLDEN, 'smollm2-tokenizer.json'), 'utf8'));
const conversations: { text: string; prompt: number[]; messages?: { role: string; content: string }[] }[] = JSON.parse(
  readFileSync(join(GOLDEN, 'smollm2.json'), 'utf8'),
);

describe('SmolLM2 tokenizer', () => {
  let tokenizer: Tokenizer;
  let render: (messages: { role: string; content: string }[]) => string;
  beforeAll(async () => {
    const model = await loadModel({ model: 'smollm2', loadFormat: 'auto' });
    if (!model.tokenizer || !model.chatTemplate) throw new Error('the model has lost its text side');
    tokenizer = model.tokenizer;
    const template = model.chatTemplate;
    render = (messages) => template.render(messages, { addGenerationPrompt: true });
  });

  test('encodes every string to the same ids', () => {
    const wrong = entries.filter(({ text, ids }) => tokenizer.encode(text).join() !== ids.join());
    expect(wrong.map(({ text, ids }) => ({ text, ids, got: tokenizer.encode(text) }))).toEqual([]);
  });

  test('decodes every list of ids to the same text, at once and streamed', () => {
    for (const { text, ids, decoded = text } of entries) {
      expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(decoded);
      const stream = tokenizer.stream({ skipSpecialTokens: false });
      const pieces = ids.map((id) => stream.push(id));
      expect(pieces.join('') + stream.end()).toBe(decoded);
    }
  });

  test('renders chats to the same prompt ids', () => {
    const chats = conversations.filter(({ messages }) => messages !== undefined);
    expect(chats.length).toBeGreaterThan(15);
    for (const { messages = [], text, prompt } of chats) {
      expect(render(messages)).toBe(text);
      expect(tokenizer.encode(text)).toEqual(prompt);
    }
  });
});
