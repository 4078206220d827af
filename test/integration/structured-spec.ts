/** A tiny random model, which says nothing by itself, over the real runtime and the real XGrammar. */
import { join } from 'node:path';
import { loadBinding } from '../../src/addon/binding.js';
import { NativeGrammars } from '../../src/addon/grammars.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { loadModel } from '../../src/model/load.js';
import type { Tokenizer } from '../../src/model/model.js';
import { createApp, type ServerApp, type ServerOptions } from '../../src/server/app.js';
import { GOLDEN, startRuntime } from './golden-models.js';

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
export type Json = any;

const binding = await loadBinding();
export const { hasGrammars } = binding;
if (!hasGrammars) process.stdout.write('structured output is not tested: the addon was built without XGrammar\n');

const SIZES = { contextLength: 1024, maxRunningRequests: 8 };

export interface StructuredServer {
  runtime: Runtime;
  grammars: NativeGrammars;
  /** A server over them, with grammars unless an option says why there are none. */
  makeApp(options?: Partial<ServerOptions>): ServerApp;
  stop(): Promise<void>;
}

export async function startStructured(): Promise<StructuredServer> {
  const model = await loadModel({ model: join(GOLDEN, 'tiny', 'llama'), loadFormat: 'auto' });
  const { vocabSize } = model.weights.config;
  const tokenizer = model.tokenizer as Tokenizer;
  const eosTokenIds = [tokenizer.tokenId('<|im_end|>') as number];
  const render = (messages: readonly { role: string; content: string | null }[]) =>
    messages.map(({ role, content }) => `${role}: ${content}\n`).join('');
  const runtime = await startRuntime(model.weights, { ...SIZES, maxTotalTokens: 8192 });
  const grammars = new NativeGrammars(binding, () => tokenizer.vocabulary({ vocabSize, stopTokenIds: eosTokenIds }));
  const makeApp = (options: Partial<ServerOptions> = {}) =>
    createApp({
      runtime,
      ...(options.grammarsOffReason === undefined && { grammars }),
      model: { ...model, eosTokenIds, chatTemplate: { text: '{{ messages }}', render } },
      options: {
        ...SIZES,
        servedModelName: 'tiny',
        modelPath: 'tiny',
        maxQueuedRequests: 64,
        apiKeys: [],
        strictModelName: false,
        drainTimeoutMs: 1000,
        decodeLogInterval: 1000,
        serverInfo: {},
        ...options,
      },
    });
  const stop = async () => {
    await grammars.stop();
    await runtime.stop();
  };
  return { runtime, grammars, makeApp, stop };
}

/** `text`: the whole body; `json`: null where it is a stream. */
export async function post(
  app: ServerApp,
  path: string,
  body: object,
): Promise<{ status: number; text: string; json: Json }> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await app.request(path, init);
  const text = await response.text();
  return { status: response.status, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}
