/** POST /v1/embeddings: not served, and what to do about it. */
import { RequestError } from '../error-response.js';

export function embeddings(): never {
  throw new RequestError('this server generates text: it makes no embeddings', {
    param: 'model',
    wireCode: 'model_not_supported',
    hint: 'serve an embedding model by SGLang (jsg launch --engine sglang --model-path MODEL -- --is-embedding)',
  });
}
