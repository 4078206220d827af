/**
 * Every setting of a launch, in one table: the flags of `jsg launch` and the keys of a profile are both made from it. Names
 * and defaults are SGLang's where SGLang has the flag. Plain data, so that `--help` loads nothing else.
 */

interface Described {
  group: 'Model' | 'Device' | 'Capacity' | 'Server' | 'SGLang' | 'Cluster';
  help: string;
}

export type FlagSpec = Described &
  (
    | { kind: 'text'; metavar: string; default: string | null; secret?: true }
    | { kind: 'int' | 'number'; metavar: string; min: number; max: number; default: number | null }
    | { kind: 'choice'; choices: readonly string[]; default: string | null }
    | { kind: 'toggle'; default: boolean }
  );

/** TorchAO's names; SGLang takes the same (wire contract: the group size follows the last dash). */
const TORCHAO_CONFIGS = [
  'int4wo-32',
  'int4wo-64',
  'int4wo-128',
  'int4wo-256',
  'int8wo',
  'int8dq',
  'fp8wo',
  'fp8dq-per_row',
] as const;

/** SGLang's names. The native engine has awq, gptq (both also as Marlin), compressed-tensors, w8a8_int8 and gguf. */
const QUANTIZATIONS = [
  ...['awq', 'awq_marlin', 'gptq', 'gptq_marlin', 'compressed-tensors', 'w8a8_int8', 'gguf'],
  ...['fp8', 'w8a8_fp8', 'marlin', 'bitsandbytes', 'modelopt', 'moe_wna16', 'qoq'],
] as const;

const MAX_INT32 = 2 ** 31 - 1;

export const FLAGS = {
  'model-path': {
    group: 'Model',
    kind: 'text',
    metavar: 'PATH|ID',
    default: null,
    help: 'a directory, a .gguf file, a hub id, or `smollm2` (the embedded default)',
  },
  revision: {
    group: 'Model',
    kind: 'text',
    metavar: 'REV',
    default: null,
    help: 'branch, tag or commit of a hub id (default: main)',
  },
  'tokenizer-path': {
    group: 'Model',
    kind: 'text',
    metavar: 'PATH',
    default: null,
    help: 'take the tokenizer from here instead of the model',
  },
  'skip-tokenizer-init': {
    group: 'Model',
    kind: 'toggle',
    default: false,
    help: 'load no tokenizer: only /generate with input_ids works',
  },
  'load-format': {
    group: 'Model',
    kind: 'choice',
    choices: ['auto', 'safetensors', 'gguf', 'dummy'],
    default: 'auto',
    help: 'dummy: random weights of the shape that config.json gives',
  },
  'chat-template': { group: 'Model', kind: 'text', metavar: 'FILE', default: null, help: 'a Jinja chat template' },
  'served-model-name': {
    group: 'Model',
    kind: 'text',
    metavar: 'NAME',
    default: null,
    help: 'the name /v1/models shows (default: the model path)',
  },
  'context-length': {
    group: 'Model',
    kind: 'int',
    metavar: 'TOKENS',
    min: 1,
    max: MAX_INT32,
    default: null,
    help: "longest prompt + answer (default: the model's own, at most 8192)",
  },
  engine: {
    group: 'Device',
    kind: 'choice',
    choices: ['native', 'sglang'],
    default: 'native',
    help: 'what runs the model',
  },
  device: {
    group: 'Device',
    kind: 'choice',
    choices: ['cpu', 'cuda'],
    default: null,
    help: 'where to compute; without it: cuda where there is a GPU',
  },
  dtype: {
    group: 'Device',
    kind: 'choice',
    choices: ['auto', 'half', 'float16', 'bfloat16', 'float32'],
    default: 'auto',
    help: 'number type on a GPU; the CPU computes in float32 over weights as stored',
  },
  'attention-backend': {
    group: 'Device',
    kind: 'choice',
    choices: ['auto', 'flashinfer', 'triton', 'torch_native'],
    default: 'auto',
    help: 'attention kernels; the CPU has one set',
  },
  'disable-cuda-graph': {
    group: 'Device',
    kind: 'toggle',
    default: false,
    help: 'launch the kernels of a decode step one by one instead of replaying a recorded graph',
  },
  'torchao-config': {
    group: 'Device',
    kind: 'choice',
    choices: TORCHAO_CONFIGS,
    default: null,
    help: 'quantise linear layers while loading: 4 or 8 bits, int8dq also the activations (on a CPU); fp8 is not available',
  },
  quantization: {
    group: 'Device',
    kind: 'choice',
    choices: QUANTIZATIONS,
    default: null,
    help: 'what the checkpoint is quantised by, where it must be (default: what its files say)',
  },
  'lm-head-dtype': {
    group: 'Device',
    kind: 'choice',
    choices: ['auto', 'bf16', 'int8', 'int4'],
    default: 'auto',
    help: 'type of the head, which TorchAO leaves alone; auto: as stored',
  },
  'prefill-dtype': {
    group: 'Device',
    kind: 'choice',
    choices: ['auto', 'int8'],
    default: 'auto',
    help: 'activations of prompts where weights have 4 or 8 bits: int8 is faster on Orin, and less exact; auto: 16 bits',
  },
  'grammar-backend': {
    group: 'Device',
    kind: 'choice',
    choices: ['xgrammar', 'none'],
    default: 'xgrammar',
    help: 'structured output: JSON schemas, regular expressions, grammars, tools',
  },
  'tool-call-parser': {
    group: 'Server',
    kind: 'choice',
    choices: ['llama3', 'qwen25', 'mistral', 'deepseek'],
    default: null,
    help: 'how the model writes calls of tools (default: as its chat template says)',
  },
  'reasoning-parser': {
    group: 'Server',
    kind: 'choice',
    choices: ['deepseek-r1', 'qwen3'],
    default: null,
    help: "tell the model's thoughts (up to </think>) apart from its answer",
  },
  'num-threads': {
    group: 'Device',
    kind: 'int',
    metavar: 'N',
    min: 0,
    max: 1024,
    default: 0,
    help: 'CPU threads; 0: one a core this process may use',
  },
  'mem-fraction-static': {
    group: 'Capacity',
    kind: 'number',
    metavar: 'F',
    min: 0.01,
    max: 1,
    default: 0.8,
    help: 'share of the available memory for weights and KV cache',
  },
  'max-total-tokens': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'TOKENS',
    min: 1,
    max: MAX_INT32,
    default: null,
    help: 'size of the KV cache (default: what fits)',
  },
  'max-running-requests': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'N',
    min: 1,
    max: 4096,
    default: 64,
    help: 'sequences that run at the same time',
  },
  'max-queued-requests': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'N',
    min: 0,
    max: 1_000_000,
    default: 256,
    help: 'requests that wait; beyond them the answer is 429',
  },
  'max-queued-tokens': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'TOKENS',
    min: 1,
    max: MAX_INT32,
    default: null,
    help: 'prompt tokens that wait; beyond them the answer is 429 (default: any number)',
  },
  'enable-priority-scheduling': {
    group: 'Capacity',
    kind: 'toggle',
    default: false,
    help: 'requests with a higher `priority` go first, and 10 above a running one they take its place',
  },
  'schedule-low-priority-values-first': {
    group: 'Capacity',
    kind: 'toggle',
    default: false,
    help: 'lower values of `priority` go first',
  },
  'chunked-prefill-size': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'TOKENS',
    min: 1,
    max: 65536,
    default: 512,
    help: 'most prompt tokens one step takes (default: 2048 on a GPU)',
  },
  'disable-radix-cache': {
    group: 'Capacity',
    kind: 'toggle',
    default: false,
    help: 'compute every prompt anew instead of keeping the KV of earlier ones',
  },
  'speculative-algorithm': {
    group: 'Capacity',
    kind: 'choice',
    choices: ['NGRAM'],
    default: null,
    help: 'draft tokens where an answer repeats what was said before, and check several in a step (default: none)',
  },
  'speculative-num-draft-tokens': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'N',
    min: 1,
    max: 64,
    default: null,
    help: 'most drafts of a sequence in a step (default: 15); fewer where they seldom fit or cost too much',
  },
  'speculative-ngram-max-trie-depth': {
    group: 'Capacity',
    kind: 'int',
    metavar: 'TOKENS',
    min: 2,
    max: 1024,
    default: 18,
    help: 'most tokens that are compared to find where an answer goes on',
  },
  'session-file': {
    group: 'Capacity',
    kind: 'text',
    metavar: 'FILE',
    default: null,
    help: 'where the prefix cache is kept from an orderly end (or POST /save_cache) to the next start',
  },
  'kv-cache-dtype': {
    group: 'Capacity',
    kind: 'choice',
    choices: ['auto', 'float16', 'bfloat16', 'float32', 'fp8_e4m3', 'fp8_e5m2', 'int8'],
    default: 'auto',
    help: 'type of keys and values; auto is that of the activations on a GPU, float16 on the CPU (float32 with --dtype float32); 8 bits need a GPU',
  },
  host: { group: 'Server', kind: 'text', metavar: 'ADDRESS', default: '127.0.0.1', help: 'address to listen on' },
  port: {
    group: 'Server',
    kind: 'int',
    metavar: 'PORT',
    min: 0,
    max: 65535,
    default: 30000,
    help: '0: the system chooses',
  },
  'api-key': {
    group: 'Server',
    kind: 'text',
    metavar: 'KEY',
    default: null,
    secret: true,
    help: 'required of every request; several: separated by commas',
  },
  'api-key-file': {
    group: 'Server',
    kind: 'text',
    metavar: 'FILE',
    default: null,
    help: 'read the keys from here, one a line, again when it changes (or from JSG_API_KEY): a command line can be seen by others',
  },
  insecure: {
    group: 'Server',
    kind: 'toggle',
    default: false,
    help: 'listen beyond this machine without an API key, and answer to any name',
  },
  'cors-origin': {
    group: 'Server',
    kind: 'text',
    metavar: 'ORIGIN',
    default: null,
    help: 'web pages of this origin may use the server; several: separated by commas; *: any (default: none)',
  },
  'strict-model-name': {
    group: 'Server',
    kind: 'toggle',
    default: false,
    help: 'a request that names another model is a 404',
  },
  'no-ui': {
    group: 'Server',
    kind: 'toggle',
    default: false,
    help: 'serve no page at /',
  },
  'drain-timeout': {
    group: 'Server',
    kind: 'number',
    metavar: 'SECONDS',
    min: 0,
    max: 86400,
    default: 30,
    help: 'how long running streams may finish after SIGTERM',
  },
  'idle-unload': {
    group: 'Server',
    kind: 'number',
    metavar: 'SECONDS',
    min: 0.1,
    max: 31_536_000,
    default: null,
    help: 'give the memory of the model back after so long without requests; the next one loads it again (default: never)',
  },
  'log-level': {
    group: 'Server',
    kind: 'choice',
    choices: ['debug', 'info', 'warning', 'error'],
    default: 'info',
    help: 'what goes to stderr',
  },
  python: {
    group: 'SGLang',
    kind: 'text',
    metavar: 'FILE',
    default: null,
    help: 'the Python that has sglang (default: that of --venv)',
  },
  venv: {
    group: 'SGLang',
    kind: 'text',
    metavar: 'DIR',
    default: null,
    help: 'the virtual environment that has sglang (default: that of `jsg build sglang`)',
  },
  restart: {
    group: 'SGLang',
    kind: 'choice',
    choices: ['no', 'on-failure'],
    default: 'no',
    help: 'start again after a crash, after 1 s, 2 s, 4 s and so on',
  },
  'startup-timeout': {
    group: 'SGLang',
    kind: 'number',
    metavar: 'SECONDS',
    min: 1,
    max: 86400,
    default: 1800,
    help: 'how long a start may show no progress; the first one compiles kernels for minutes',
  },
  'metrics-port': {
    group: 'SGLang',
    kind: 'int',
    metavar: 'PORT',
    min: 0,
    max: 65535,
    default: null,
    help: 'where this machine finds /metrics of the log lines (default: the port + 1; 0: the system chooses)',
  },
  'log-dir': {
    group: 'SGLang',
    kind: 'text',
    metavar: 'DIR',
    default: null,
    help: 'where the whole log is kept, in five files of 16 MiB (default: ~/.local/state/jsg/logs)',
  },
  'tp-size': {
    group: 'Cluster',
    kind: 'int',
    metavar: 'N',
    min: 1,
    max: 1024,
    default: 1,
    help: 'GPUs that share each layer, over all nodes',
  },
  'dp-size': {
    group: 'Cluster',
    kind: 'int',
    metavar: 'N',
    min: 1,
    max: 1024,
    default: 1,
    help: 'copies of the model that share the requests',
  },
  nnodes: {
    group: 'Cluster',
    kind: 'int',
    metavar: 'N',
    min: 1,
    max: 1024,
    default: 1,
    help: 'machines that run one model together',
  },
  'node-rank': {
    group: 'Cluster',
    kind: 'int',
    metavar: 'R',
    min: 0,
    max: 1023,
    default: 0,
    help: 'which of them this is; 0 answers requests',
  },
  'dist-init-addr': {
    group: 'Cluster',
    kind: 'text',
    metavar: 'HOST:PORT',
    default: null,
    help: 'where they meet: an address of node 0 and a free port there',
  },
} as const satisfies Record<string, FlagSpec>;

export type FlagName = keyof typeof FLAGS;
export const FLAG_NAMES = Object.keys(FLAGS) as FlagName[];

type Given<F> = F extends { kind: 'text' }
  ? string
  : F extends { kind: 'int' | 'number' }
    ? number
    : F extends { kind: 'toggle' }
      ? boolean
      : F extends { choices: readonly (infer C)[] }
        ? C
        : never;

/** Values somebody gave, by flag name. */
export type GivenSettings = { [K in FlagName]?: Given<(typeof FLAGS)[K]> };

/** Every setting of a launch; null: chosen later, from the model and the machine. */
export type Settings = {
  [K in FlagName]: Given<(typeof FLAGS)[K]> | ((typeof FLAGS)[K] extends { default: null } ? null : never);
};
