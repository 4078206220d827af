/** Prompts of files: JSON lines, ShareGPT's arrays, or plain lines. Pure. */
import { JsgError } from '../errors.js';
import type { Message } from './request-body.js';

/** A conversation of a file: what is asked, turn by turn. */
export interface Conversation {
  /** Said before the first turn, such as a system message. */
  opening: Message[];
  turns: { content: string /** Tokens to ask for; null: the file does not tell. */; outputTokens: number | null }[];
}

type Entry = Record<string, unknown>;

/** Throws E_USAGE naming the line or entry that holds no prompt. */
export function parseDataset(text: string, name: string): Conversation[] {
  const trimmed = text.trim();
  const entries = trimmed.startsWith('[') ? parseArray(trimmed, name) : null;
  const conversations =
    entries !== null
      ? entries.map((entry, i) => fromEntry(entry, `${name}: entry ${i + 1}`))
      : text
          .split('\n')
          .map((line, i) => ({ line: line.trim(), where: `${name}:${i + 1}` }))
          .filter(({ line }) => line !== '')
          .map(({ line, where }) => fromLine(line, where));
  const usable = conversations.filter(({ turns }) => turns.length > 0);
  if (usable.length === 0) throw new JsgError('E_USAGE', `${name} holds no prompt`);
  return usable;
}

/** Null: the text only begins like JSON. */
function parseArray(text: string, name: string): unknown[] | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return Array.isArray(parsed) ? parsed : null;
  } catch (error) {
    // `[{` is an array of entries and nothing else.
    if (!/^\[\s*[{"]/.test(text)) return null;
    throw new JsgError('E_USAGE', `${name}: ${(error as Error).message}`);
  }
}

function fromLine(line: string, where: string): Conversation {
  if (!line.startsWith('{')) return single(line);
  try {
    return fromEntry(JSON.parse(line), where);
  } catch (error) {
    if (error instanceof JsgError) throw error;
    throw new JsgError('E_USAGE', `${where}: ${(error as Error).message}`);
  }
}

const single = (content: string, outputTokens: number | null = null): Conversation => ({
  opening: [],
  turns: [{ content, outputTokens }],
});

function fromEntry(entry: unknown, where: string): Conversation {
  if (typeof entry === 'string') return single(entry);
  if (typeof entry !== 'object' || entry === null) throw new JsgError('E_USAGE', `${where}: no prompt`);
  const fields = entry as Entry;
  const spoken = fields.messages ?? fields.conversations ?? fields.conversation;
  if (Array.isArray(spoken)) return fromSpoken(spoken as Entry[], outputOf(fields));
  const prompt = ['prompt', 'text', 'question', 'input', 'instruction'].map((key) => fields[key]).find(isText);
  if (prompt === undefined) {
    throw new JsgError('E_USAGE', `${where}: neither prompt, text, question, input, messages nor conversations`);
  }
  return single(prompt, outputOf(fields));
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

function outputOf(fields: Entry): number | null {
  const told = ['output_tokens', 'output_len', 'max_tokens', 'max_completion_tokens', 'completion_tokens']
    .map((key) => fields[key])
    .find((value) => Number.isInteger(value) && Number(value) > 0);
  return told === undefined ? null : Number(told);
}

const ROLES: Record<string, string> = { human: 'user', user: 'user', gpt: 'assistant', chatgpt: 'assistant' };

/** ShareGPT says `from` and `value`, OpenAI `role` and `content`. The file's answers only tell how long answers are. */
function fromSpoken(spoken: Entry[], outputTokens: number | null): Conversation {
  const opening: Message[] = [];
  const turns: Conversation['turns'] = [];
  for (const each of spoken.filter((entry) => typeof entry === 'object' && entry !== null)) {
    const told = String(each.role ?? each.from ?? '');
    const role = ROLES[told] ?? told;
    const content = each.content ?? each.value;
    if (!isText(content)) continue;
    const last = turns.at(-1);
    if (role === 'user') turns.push({ content, outputTokens });
    else if (role === 'assistant' && last !== undefined) last.outputTokens ??= estimateTokens(content);
    else if (role === 'system' && last === undefined) opening.push({ role, content });
  }
  return { opening, turns };
}

/** Four characters a token, as English in most vocabularies; 4 to 2,048, as long answers as SGLang's bench takes. */
const estimateTokens = (text: string) => Math.min(2048, Math.max(4, Math.ceil(text.length / 4)));
