// node dummy-model.mjs SHAPE DIRECTORY: what `--load-format dummy` needs to serve random weights in a well-known shape over HTTP: a
// config.json, and a tokenizer that has a text for every id, so that each token is an event of a stream.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const SHAPES = {
  '8b': {
    num_hidden_layers: 32,
    hidden_size: 4096,
    intermediate_size: 14336,
    head_dim: 128,
    tie_word_embeddings: false,
  },
  '1b': { num_hidden_layers: 16, hidden_size: 2048, intermediate_size: 8192, head_dim: 64, tie_word_embeddings: true },
};
const VOCAB_SIZE = 128256;

const [name, directory] = process.argv.slice(2);
const shape = SHAPES[name];
if (!shape || !directory) {
  console.error(`usage: node dummy-model.mjs ${Object.keys(SHAPES).join('|')} DIRECTORY`);
  process.exit(2);
}
mkdirSync(directory, { recursive: true });
const config = {
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  ...shape,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: VOCAB_SIZE,
  max_position_embeddings: 131072,
  rms_norm_eps: 1e-5,
  rope_theta: 500000,
  torch_dtype: 'float16',
  bos_token_id: 1,
  eos_token_id: 2,
};
writeFileSync(join(directory, 'config.json'), JSON.stringify(config));

const golden = new URL('../../test/golden/tiny/llama/', import.meta.url);
const tokenizer = JSON.parse(readFileSync(new URL('tokenizer.json', golden), 'utf8'));
const taken = new Set(Object.values(tokenizer.model.vocab));
for (let id = 0; id < VOCAB_SIZE; ++id) {
  if (!taken.has(id)) tokenizer.model.vocab[`w${id}`] = id;
}
writeFileSync(join(directory, 'tokenizer.json'), JSON.stringify(tokenizer));
writeFileSync(join(directory, 'tokenizer_config.json'), readFileSync(new URL('tokenizer_config.json', golden)));
