/** One token through the whole of the runtime, and its text. */
import { GREEDY } from '../addon/binding.js';
import type { Runtime } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import type { ServerModel } from './deps.js';

/** Resolves when the token has come. Throws what the runtime throws. */
export async function produceToken(runtime: Runtime, model: ServerModel): Promise<void> {
  const events = runtime.submit({
    promptIds: Int32Array.of(model.bosTokenId ?? model.eosTokenIds[0] ?? 0),
    maxNewTokens: 1,
    minNewTokens: 0,
    stopTokenIds: new Int32Array(0),
    sampling: GREEDY,
    promptLogprobs: false,
    cacheSalt: 0,
  });
  for await (const event of events) {
    if (event.tokenId >= 0) {
      model.tokenizer?.tokenBytes(event.tokenId); // the first call makes those of all
      return;
    }
    if (event.finishReason !== null) break;
  }
  throw new JsgError('E_RUNTIME_FAILED', 'the runtime produced no token');
}
