import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { run } from '../../src/cli.js';

let stdout = '';
let stderr = '';
beforeEach(() => {
  stdout = '';
  stderr = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    stdout += text;
    return true;
  });
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    stderr += text;
    return true;
  });
});
afterEach(() => vi.restoreAllMocks());

const jsg = (line: string) => run(['node', 'jsg', ...line.split(' ').filter(Boolean)]);

describe('wrong command lines: exit 2, the fault and the nearest that exists', () => {
  it.each([
    ['lunch', "unknown command 'lunch' for jsg", 'Did you mean jsg launch?'],
    [
      'frobnicate',
      "unknown command 'frobnicate'",
      'There are: launch, chat, bench, plan, route, quantize, cluster, service, build, build-flashinfer, build-kernel, bundle, profiles, index, doctor.',
    ],
    ['launch --modle-path x', 'unknown flag --modle-path for jsg launch', 'Did you mean --model-path?'],
    ['launch --attention_backend triton', 'unknown flag --attention_backend', 'Did you mean --attention-backend?'],
    ['launch --context 10', 'unknown flag --context', 'Did you mean --context-length?'],
    ['launch --quantization fp8', '--quantization fp8 is not of the native engine', '--torchao-config'],
    [
      'launch --schedule-policy lpm',
      '--schedule-policy is a flag of SGLang that this version of jsg does not have',
      'With --engine sglang it goes after --',
    ],
    ['launch -- --enable-metrics', '--enable-metrics after -- is for SGLang', 'Add --engine sglang'],
    [
      'launch --engine sglang',
      "`smollm2` is the native engine's embedded model",
      'HuggingFaceTB/SmolLM2-135M-Instruct',
    ],
    ['launch --engine sglang --profile triton --print -- --port 1', '--port belongs before the --', 'Write --port'],
    ['cluster up', 'no cluster file is named', 'jsg cluster up -f cluster.yaml'],
    ['cluster up -f /no/such.yaml', '/no/such.yaml: cannot be read', ''],
    ['cluster dwon', "unknown command 'dwon' for jsg cluster", ''],
    ['service install --profile nope', "no profile 'nope'", ''],
    ['launch --stop-with-stdin soon', "--stop-with-stdin: 'soon' is not a number of seconds", ''],
    ['route', 'no worker is named', 'jsg route --worker http://127.0.0.1:30001'],
    ['route --worker ftp://x', "'ftp://x' is not a URL", ''],
    [
      'route --worker a --policy cache',
      "--policy: 'cache' is not one of cache_aware",
      'Did you mean --policy cache_aware?',
    ],
    ['route lsit', "unknown command 'lsit' for jsg route", 'Did you mean jsg route list?'],
    ['route add', "missing required argument 'url'", 'See jsg route add --help.'],
    ['route --worker a --host 0.0.0.0', '--host 0.0.0.0 is open to other machines and no API key is set', ''],
    ['launch --api-key a --api-key-file b', '--api-key and --api-key-file are given', ''],
    ['launch --api-key-file /dev/null/key', '--api-key-file: /dev/null/key cannot be read (ENOTDIR)', ''],
    ['launch --zzz', 'unknown flag --zzz', 'See jsg launch --help.'],
    ['launch --dtype fp32', "--dtype: 'fp32' is not one of auto, half, float16, bfloat16, float32", ''],
    [
      'launch --torchao-config int4wo-12',
      "--torchao-config: 'int4wo-12' is not one of",
      'Did you mean --torchao-config int4wo-128?',
    ],
    [
      'launch --torchao-config int4wo-100',
      'int4wo groupsize needs to be one of [32, 64, 128, 256] but got 100',
      'Did you mean --torchao-config int4wo-1',
    ],
    ['launch --port', "option '--port <PORT>' argument missing", 'See jsg launch --help.'],
    ['launch extra', 'too many arguments', 'See jsg launch --help.'],
    ['launch --json', '--json goes with --print', 'jsg launch --print --json'],
    ['launch --profile triton2', "no profile 'triton2'", 'Did you mean triton?'],
    ['profiles lst', "unknown command 'lst' for jsg profiles", 'Did you mean jsg profiles list?'],
    ['profiles show', "missing required argument 'profile'", 'See jsg profiles show --help.'],
    ['profiles validate nope', '', ''],
    ['index lss', "unknown command 'lss' for jsg index", 'Did you mean jsg index ls?'],
    ['index ls --platform jp6', "--platform: 'jp6' is not a path of the index", ''],
    ['index status --python 3.10', 'unknown flag --python for jsg index status', ''],
    ['bench --batch 1,x', "--batch: 'x' is not a whole number from 1 to 256", ''],
    ['bench --repeats 0', "--repeats: '0' is not a whole number", ''],
    ['bench --url ftp://x', "'ftp://x' is not a URL", ''],
    ['bench --model x', '--model goes with --url', '--model-path'],
    ['bench --url http://x --profile smollm2', '--profile is of an engine that is started', ''],
    ['bench serve --url http://x --context-length 5', '--context-length is of an engine', ''],
    ['bench srve', "unknown command 'srve' for jsg bench", 'Did you mean jsg bench serve?'],
    ['bench --num-prompts 3', 'unknown flag --num-prompts for jsg bench decode', ''],
    ['bench decode extra', "too many arguments for 'decode'", ''],
    ['bench serve --num-prompt 3', 'unknown flag --num-prompt for jsg bench serve', 'Did you mean --num-prompts?'],
    ['bench serve --request-rate x', "--request-rate: 'x' is not a number", ''],
    ['bench serve --request-rate 1,2 --max-concurrency 1,2', 'are both lists', ''],
    ['bench serve --duration 4', 'has no end', 'Add --max-concurrency N'],
    ['bench serve --goodput ttfb:3', "--goodput: 'ttfb:3'", '--goodput ttft:500 itl:50'],
    ['bench serve --dataset-name sharegpt', '--dataset-name sharegpt needs --dataset-path', ''],
    ['bench serve --dataset-path /no/such', '--dataset-path: /no/such cannot be read (ENOENT)', ''],
    ['bench serve --dataset-name randm', "'randm' is not one of random", 'Did you mean --dataset-name random?'],
    ['bench prefill --endpoint complete', "'complete' is not one of completions, chat", ''],
    ['bench serve --backend trt', "--backend: 'trt' is not one of", '--endpoint chat'],
    ['bench load --cache luke', "--cache: 'luke' is not one of cold, warm, both", ''],
    ['bench load --url x', 'unknown flag --url for jsg bench load', ''],
    ['bench compare /no/a /no/b', '/no/a: ENOENT', ''],
    ['bench card', "missing required argument 'result'", ''],
    ['chat ftp://x', "'ftp://x' is not a URL", ''],
    ['launch --host 0.0.0.0', '--host 0.0.0.0 is open to other machines and no API key is set', 'Add --api-key KEY'],
  ])('jsg %s', async (line, message, hint) => {
    expect(await jsg(line)).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain(hint);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('shows the help where no command is given', async () => {
    expect(await jsg('')).toBe(2);
    expect(stderr).toContain('Usage: jsg');
    expect(stdout).toBe('');
  });
});

describe('launch --print', () => {
  it('tells each value and who decided it', async () => {
    expect(await jsg('launch --profile smollm2 --port 1234 --print')).toBe(0);
    expect(stdout).toMatch(/^port +1234 +flag$/m);
    expect(stdout).toMatch(/^model-path +smollm2 +profile$/m);
    expect(stdout).toMatch(/^host +127\.0\.0\.1 +default$/m);
    expect(stdout).toMatch(/^max-total-tokens +auto +default$/m);
    expect(stderr).toBe('');
  });

  it('serves smollm2 where nothing is named, and nothing else where a model is', async () => {
    await jsg('launch --print --json');
    expect(JSON.parse(stdout)).toMatchObject({ profile: 'smollm2', why_not: null });
    stdout = '';
    await jsg('launch --model-path /m --print --json');
    const printed = JSON.parse(stdout);
    expect(printed.profile).toBeNull();
    expect(printed.settings['model-path']).toEqual({ value: '/m', origin: 'flag' });
  });

  it('works for profiles that cannot run here, and says so', async () => {
    expect(await jsg('launch --profile flashinfer-int4wo-128 --print')).toBe(0);
    expect(stdout).toMatch(/^torchao-config +int4wo-128 +profile$/m);
    expect(stderr).toContain('would not start here: profile flashinfer-int4wo-128 needs CUDA');
  });

  it('never shows a key', async () => {
    await jsg('launch --print --api-key s3cret');
    expect(stdout).toMatch(/^api-key +\*\*\* +flag$/m);
    expect(stdout).not.toContain('s3cret');
  });
});

it('a CUDA profile is refused in one line with exit code 5', async () => {
  expect(await jsg('launch --profile flashinfer-fp16')).toBe(5);
  expect(stderr).toMatch(/^jsg: profile flashinfer-fp16 needs CUDA: [^\n]*`jsg launch --profile smollm2` runs here\n$/);
});

describe('profiles', () => {
  it('are listed with what runs here', async () => {
    expect(await jsg('profiles')).toBe(0);
    expect(stdout).toMatch(/^smollm2 +yes +smollm2 +-$/m);
    expect(stdout).toMatch(/^flashinfer-fp16 +no +deepseek-ai\/DeepSeek-R1-Distill-Llama-8B +11\.19 token\/s$/m);
  });

  it('are shown as written', async () => {
    expect(await jsg('profiles show triton')).toBe(0);
    expect(stdout).toContain('attention-backend: triton');
    stdout = '';
    await jsg('profiles show triton --json');
    expect(JSON.parse(stdout)).toMatchObject({ name: 'triton', reference: { gen_throughput: 11.34 } });
  });

  it('are checked', async () => {
    expect(await jsg('profiles validate triton smollm2')).toBe(0);
    expect(stdout).toBe('valid    triton\nvalid    smollm2\n');
  });
});
