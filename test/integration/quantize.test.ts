/** `jsg quantize` on a tiny model: what comes out is loaded again, is the same every time, and survives being stopped. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { loadBinding } from '../../src/addon/binding.js';
import type { Runtime } from '../../src/addon/runtime.js';
import { openHfModel } from '../../src/model/hf-model.js';
import { loadModel } from '../../src/model/load.js';
import { layOut } from '../../src/quantize/layout.js';
import { finish, makeShards, openWork, planQuantize } from '../../src/quantize/quantize.js';
import { type QuantizeOptions, targetsOf } from '../../src/quantize/scheme.js';
import { writeShards } from '../../src/quantize/write-shards.js';
import { GOLDEN, readGoldens, runGreedy, startRuntime } from './golden-models.js';

const SOURCE = join(GOLDEN, 'tiny', 'llama-bf16');
const scratch = mkdtempSync(join(tmpdir(), 'jsg-quantize-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const INT4: QuantizeOptions = { scheme: 'int4wo-32', method: 'rtn', head: 'auto' };
const AT_ONCE = { numThreads: 2, onProgress: () => {} };

async function quantize(name: string, options: QuantizeOptions, force = false) {
  const plan = planQuantize('tiny', SOURCE, join(scratch, name), options, force);
  const { folder } = openWork(plan);
  return finish(plan, folder, await makeShards(plan, folder, AT_ONCE));
}

const contentOf = (folder: string) =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));

/** Mean distance of the log-probabilities of the golden's prompt from those of the model as it was. */
async function distance(folder: string): Promise<number> {
  const golden = readGoldens('tiny').find(({ name }) => name === 'llama-bf16');
  if (golden === undefined) throw new Error('no golden');
  const scores = async (path: string) => {
    const { weights } = await loadModel({ model: path, loadFormat: 'auto' });
    const runtime: Runtime = await startRuntime(weights, { contextLength: 256, maxTotalTokens: 1024 });
    const events = await runGreedy(runtime, golden.prompt, 1, { scorePrompt: true });
    await runtime.stop();
    return events.slice(1, golden.prompt.length).map(({ logprob }) => logprob);
  };
  const [before, after] = [await scores(SOURCE), await scores(folder)];
  return before.reduce((sum, logprob, i) => sum + Math.abs(logprob - (after[i] ?? Number.NaN)), 0) / before.length;
}

describe('quantised checkpoints', () => {
  it.each<[QuantizeOptions, number, number]>([
    [INT4, 0.12, 1],
    [{ ...INT4, method: 'hqq' }, 0.12, 1],
    [{ ...INT4, head: 'int4' }, 0.12, 1],
    [{ ...INT4, scheme: 'int8wo', head: 'int8' }, 0.012, 0.1],
    [{ ...INT4, scheme: 'w8a8' }, 0.012, 0.15],
  ])('%j: loaded again, near to the model', async (options, error, logprobs) => {
    const made = await quantize(`${options.scheme}-${options.method}-${options.head}`, options);
    expect(made.error).toBeGreaterThan(0);
    expect(made.error).toBeLessThan(error);
    const moved = await distance(made.output);
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThan(logprobs);
    const card = readFileSync(join(made.output, 'README.md'), 'utf8');
    expect(card).toContain(`tiny, ${options.scheme}`);
    expect(card).toContain(`**${(100 * made.error).toFixed(2)} %**`);
    expect(card.includes('CompressedTensorsConfig(dequantize=True)')).toBe(options.scheme === INT4.scheme);
    expect(existsSync(join(made.output, 'tokenizer.json'))).toBe(true);
  });

  it('are the same to the bit every time, with any number of threads', async () => {
    const first = await quantize('first', { ...INT4, method: 'hqq' });
    const plan = planQuantize('tiny', SOURCE, join(scratch, 'second'), { ...INT4, method: 'hqq' }, false);
    const { folder } = openWork(plan);
    const second = finish(plan, folder, await makeShards(plan, folder, { ...AT_ONCE, numThreads: 1 }));
    expect(contentOf(second.output)).toEqual(contentOf(first.output));
  });

  it('a layer whose rows are no whole number of groups stays as it was, and is named so', async () => {
    // 96 columns are no multiple of 64.
    const { output } = await quantize('mixed', { ...INT4, scheme: 'int4wo-64' });
    const { quantization_config: quantization } = JSON.parse(readFileSync(join(output, 'config.json'), 'utf8'));
    expect(quantization.ignore).toContain('model.layers.0.mlp.down_proj');
    expect(quantization.ignore).not.toContain('model.layers.0.mlp.up_proj');
    expect(openHfModel(output).tensors.find(({ name }) => name.endsWith('0.mlp.down_proj.weight'))?.dtype).toBe('BF16');
  });
});

describe('the output folder', () => {
  it('is never overwritten without --force, and only when the new one is complete', async () => {
    const place = join(scratch, 'taken');
    mkdirSync(place);
    writeFileSync(join(place, 'mine'), 'x');
    expect(() => planQuantize('tiny', SOURCE, place, INT4, false)).toThrow(/is there already/);
    expect(readdirSync(place)).toEqual(['mine']);
    const { output } = await quantize('taken', INT4, true);
    expect(readdirSync(output)).not.toContain('mine');
    expect(readdirSync(scratch).filter((name) => name.includes('.old'))).toEqual([]);
  });

  it('a stopped run leaves no folder there, and the next one goes on with what is finished', async () => {
    const plan = planQuantize('tiny', SOURCE, join(scratch, 'stopped'), INT4, false);
    plan.shards = layOut(plan.targets, 8_000);
    expect(plan.shards.length).toBeGreaterThan(3);
    const stop = new AbortController();
    const { folder } = openWork(plan);
    const stopping = makeShards(plan, folder, {
      ...AT_ONCE,
      signal: stop.signal,
      onProgress: (_, name) => name === plan.shards[1]?.file && stop.abort(),
    });
    await expect(stopping).rejects.toThrow();
    expect(existsSync(plan.output)).toBe(false);
    expect(readdirSync(folder).filter((name) => name.endsWith('.unfinished'))).toEqual([]);

    const again = openWork(plan);
    expect(again.resumedShards).toBe(2);
    const made: string[] = [];
    const onProgress = (_: number, name: string) => void made.push(name);
    const errors = await makeShards(plan, again.folder, { ...AT_ONCE, onProgress });
    expect(made).not.toContain(plan.shards[0]?.items[0]?.target.name);
    const { output } = finish(plan, again.folder, errors);
    const whole = planQuantize('tiny', SOURCE, join(scratch, 'whole'), INT4, false);
    whole.shards = plan.shards;
    const { folder: fresh } = openWork(whole);
    const unbroken = finish(whole, fresh, await makeShards(whole, fresh, AT_ONCE));
    expect(contentOf(output)).toEqual(contentOf(unbroken.output));
  });

  it('a full disk says so, and leaves no half file', async () => {
    const targets = targetsOf(openHfModel(SOURCE).tensors, true, INT4);
    const folder = join(scratch, 'full');
    mkdirSync(folder);
    const binding = await loadBinding();
    const full = writeShards({
      folder,
      shards: layOut(targets),
      files: [join(SOURCE, 'model.safetensors')],
      method: 'rtn',
      numThreads: 1,
      quantizeMatrix: async (request) => {
        if (request.rows === 96) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
        return binding.quantizeMatrix(request);
      },
      onProgress: () => {},
    });
    await expect(full).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('jsg quantize', () => {
  const run = promisify(execFile);
  const jsg = (...args: string[]) =>
    run(process.execPath, ['bin/jsg.js', 'quantize', ...args], { env: { ...process.env, NO_COLOR: '1' } }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      ({ code, stdout, stderr }) => ({ code, stdout, stderr }),
    );

  it('prints what it made', async () => {
    const output = join(scratch, 'cli');
    const { code, stdout } = await jsg('--model', SOURCE, '--scheme', 'int4wo-32', '--output', output, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ output, matrices: 14 });
  });

  it.each([
    [['--scheme', 'int4wo-128', '--output', 'x'], 2, '--model is missing'],
    [
      ['--model', SOURCE, '--scheme', 'int4wo-100', '--output', 'x'],
      2,
      'needs to be one of [32, 64, 128, 256] but got 100',
    ],
    [['--model', SOURCE, '--scheme', 'int8', '--output', 'x'], 2, 'Did you mean --scheme int8wo?'],
    [
      ['--model', SOURCE, '--scheme', 'int4wo-256', '--output', join(scratch, 'x')],
      3,
      'no matrix has rows of whole groups',
    ],
    [['--model', 'smollm2.gguf', '--scheme', 'w8a8', '--output', 'x'], 3, 'no such'],
  ])('%j', async (args, exit, message) => {
    const { code, stderr } = await jsg(...args);
    expect(code).toBe(exit);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('refuses what is quantised already', async () => {
    const source = join(scratch, 'again');
    cpSync(join(GOLDEN, 'packed', 'awq'), source, { recursive: true });
    const { code, stderr } = await jsg('--model', source, '--scheme', 'w8a8', '--output', join(scratch, 'y'));
    expect(code).toBe(3);
    expect(stderr).toContain('is quantised already');
  });
});
