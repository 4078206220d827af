/** `jsg chat`: talk to any OpenAI-compatible server; on a pipe, one question and its answer. */
import { createInterface, type Interface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import { type Endpoint, normaliseUrl, servedModel, streamChat } from '../client.js';
import { JsgError } from '../errors.js';
import { styleFor } from '../style.js';
import { hideSecrets } from './hide-secrets.js';
import { keyToSend, type Options } from './settings.js';

interface Message {
  role: 'system' | 'user' | 'assistant';
  content: string;
}

interface Server extends Endpoint {
  /** Fields that stand in every request: the model, sampling. */
  fields: Record<string, unknown>;
}

const DEFAULT_SAMPLING = { temperature: 0.5, top_p: 0.9 };

export async function chat(options: Options, [url = 'http://127.0.0.1:30000']: string[]): Promise<number> {
  hideSecrets();
  const server = { url: normaliseUrl(url), apiKey: keyToSend(options), fields: requestFields(options) };
  const messages: Message[] = [];
  if (options.system !== undefined) messages.push({ role: 'system', content: String(options.system) });
  server.fields.model ??= (await servedModel(server)).id;

  if (process.stdin.isTTY) return converse(server, messages);
  const question = (await text(process.stdin)).trim();
  if (question === '') throw new JsgError('E_USAGE', 'nothing to say: stdin is empty', { hint: 'echo hi | jsg chat' });
  await answer(server, [...messages, { role: 'user', content: question }]);
  process.stdout.write('\n');
  return 0;
}

function requestFields(options: Options): Record<string, unknown> {
  const number = (key: string, flag: string) => {
    const given = options[key];
    if (given === undefined) return undefined;
    if (/^\d+(\.\d+)?$/.test(String(given))) return Number(given);
    throw new JsgError('E_USAGE', `--${flag}: '${given}' is not a number from 0`);
  };
  const temperature = number('temperature', 'temperature');
  // OpenAI's default of 1 over the whole vocabulary makes small models ramble.
  const sampling = temperature === undefined ? DEFAULT_SAMPLING : { temperature };
  return { model: options.model, ...sampling, max_tokens: number('maxTokens', 'max-tokens') };
}

/** Question, answer, until end of input or /exit; Ctrl-C stops an answer, and at the prompt ends the talk. */
async function converse(server: Server, system: Message[]): Promise<number> {
  const style = styleFor(process.stdout);
  process.stdout.write(style.dim(`${server.fields.model} at ${server.url}; /clear forgets, /exit or Ctrl-D ends\n`));
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  let messages = [...system];
  for (;;) {
    const line = await nextLine(prompt, style.bold('> '));
    if (line === null || line.trim() === '/exit') break;
    if (line.trim() === '') continue;
    if (line.trim() === '/clear') {
      messages = [...system];
      continue;
    }
    const stop = new AbortController();
    const onInterrupt = () => stop.abort();
    prompt.once('SIGINT', onInterrupt);
    try {
      const asked: Message[] = [...messages, { role: 'user', content: line }];
      messages = [...asked, { role: 'assistant', content: await answer(server, asked, stop.signal) }];
    } catch (error) {
      if (!(error instanceof JsgError)) throw error;
      process.stderr.write(`jsg: ${error.message}\n`);
    } finally {
      prompt.off('SIGINT', onInterrupt);
      process.stdout.write('\n');
    }
  }
  prompt.close();
  return 0;
}

/** Null at the end of input, and for Ctrl-C. */
async function nextLine(prompt: Interface, mark: string): Promise<string | null> {
  const end = new AbortController();
  const onEnd = () => end.abort();
  prompt.once('close', onEnd);
  prompt.once('SIGINT', onEnd);
  try {
    return await prompt.question(mark, { signal: end.signal });
  } catch {
    return null;
  } finally {
    prompt.off('close', onEnd);
    prompt.off('SIGINT', onEnd);
  }
}

/** Streams one answer to stdout; its text. An abort ends it early. */
async function answer(server: Server, messages: Message[], signal?: AbortSignal): Promise<string> {
  let said = '';
  try {
    for await (const piece of streamChat(server, { ...server.fields, messages }, signal)) {
      said += piece;
      process.stdout.write(piece);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return said;
}
