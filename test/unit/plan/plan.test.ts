/** The byte model against figures worked out by hand, and against the documented ones. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/device/device.js';
import { findBoard } from '../../../src/plan/board.js';
import { tensorsOf } from '../../../src/plan/find-model.js';
import { machineOfBoard } from '../../../src/plan/machine.js';
import { makePlan, type Plan } from '../../../src/plan/plan.js';
import { knownModel } from '../../../src/plan/shapes.js';
import { decodeRate, prefillPeak, workloadOf } from '../../../src/plan/speed.js';
import { asLoaded } from '../../../src/plan/weight-format.js';
import type { GivenSettings } from '../../../src/profile/flags.js';
import { loadProfile } from '../../../src/profile/profile.js';
import { resolveSettings } from '../../../src/profile/resolve.js';

const MIB = 2 ** 20;
const GPU = { gpu: { name: 'Orin' } } as Device;

interface Case {
  board: string;
  profile?: string;
  flags?: GivenSettings;
  streams?: number;
  mode?: string;
  headless?: boolean;
}

function planOf({ board, profile, flags = {}, streams = 1, mode, headless = false }: Case): Plan {
  const { settings } = resolveSettings(profile === undefined ? null : loadProfile(profile), GPU, flags);
  const name = settings['model-path'] ?? '';
  const known = knownModel(name);
  if (known === null) throw new Error(`${name}: no known shape`);
  const model = { name, source: 'known shape' as const, path: null, ...tensorsOf(known) };
  const machine = machineOfBoard(findBoard(board), { mode: mode ?? null, headless });
  return makePlan({ model, settings, streams, machine });
}

const single = (given: Case) => planOf(given).decode[0]?.tokensPerSecond ?? Number.NaN;
/** At the context that a documented log line tells. */
function decodeAt(given: Case, context: number): number {
  const plan = planOf(given);
  const { model, machine, settings } = plan.request;
  const workload = workloadOf(asLoaded(model, settings), plan, plan.placement);
  return decodeRate(workload, machine.rates, machine.clocks, { streams: 1, context }).tokensPerSecond ?? Number.NaN;
}
const offBy = (predicted: number, documented: number) => Math.abs(predicted / documented - 1);

describe('bytes of Llama 8B', () => {
  // 32 layers of 218,103,808 weights, head and embeddings of 525,336,576 each, 65 norms of 4096.
  const projections = 6_979_321_856;
  const head = 525_336_576;
  const norms = 6 * 65 * 4096;

  it('in 16 bits', () => {
    const plan = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16' });
    expect(plan.weights).toBe(2 * (projections + 2 * head) + norms);
    expect(plan.weightsRead).toBe(2 * (projections + head) + norms);
    expect(plan.kv).toBe(8192 * 131072);
  });

  it.each([
    ['int4wo-32', 'auto', 0.625, 2],
    ['int4wo-64', 'auto', 0.5625, 2],
    ['int4wo-128', 'auto', 0.53125, 2],
    ['int4wo-256', 'bf16', 0.515625, 2],
    ['int4wo-128', 'int4', 0.53125, 0.53125],
  ] as const)('%s with the head in %s', (quant, headFormat, bytes, headBytes) => {
    const plan = planOf({
      board: 'agx-orin-64gb',
      profile: 'flashinfer-fp16',
      flags: { 'torchao-config': quant, 'lm-head-dtype': headFormat },
    });
    expect(plan.weightsRead).toBe(projections * bytes + head * headBytes + norms);
    expect(plan.weights - plan.weightsRead).toBe(2 * head);
  });

  it('of two machines that share it: half of all but norms, context and what a step takes', () => {
    const [one, two] = ([1, 2] as const).map((n) =>
      planOf({ board: 'agx-orin-64gb', profile: 'two-orin-tp2', flags: { nnodes: n, 'tp-size': n } }),
    ) as [Plan, Plan];
    expect([one.numMachines, two.numMachines]).toEqual([1, 2]);
    expect(one.weights).toBe(2 * (projections + 2 * head) + norms);
    expect(two.weights).toBe(projections + 2 * head + norms);
    expect(two.weightsRead).toBe(projections + head + norms);
    expect(two.kv).toBe(one.kv / 2);
    expect(two.context).toBe(one.context);
    expect(two.activations).toBeGreaterThan(one.activations / 2);
    expect(two.activations).toBeLessThan(one.activations);
    expect(two.decode.map(({ tokensPerSecond }) => tokensPerSecond)).toEqual([null, null]);
    expect(two.prefill.tokensPerSecond).toBeNull();
  });

  it('of machines that have a copy each: all of it', () => {
    const flags = { nnodes: 2, 'tp-size': 1, 'dp-size': 2 };
    const plan = planOf({ board: 'agx-orin-64gb', profile: 'two-orin-tp2', flags });
    expect(plan.numMachines).toBe(1);
    expect(plan.weights).toBe(2 * (projections + 2 * head) + norms);
  });

  it('of more machines than heads of K and V: one on each', () => {
    const shared = (n: number) =>
      planOf({ board: 'agx-orin-64gb', profile: 'two-orin-tp2', flags: { nnodes: n, 'tp-size': n } });
    expect(shared(8).kv).toBe((8192 * 131072) / 8);
    expect(shared(16).kv).toBe((8192 * 131072) / 8);
  });

  it('quantised and shared: a shard is loaded in 16 bits before it is quantised', () => {
    const flags = { 'torchao-config': 'int4wo-128' } as const;
    const plan = planOf({ board: 'orin-nx-16gb', profile: 'two-orin-tp2', flags });
    expect(plan.weightsRead).toBe((projections * 0.53125) / 2 + head + norms);
    expect(plan.loadPeak).toBe(plan.context + projections + 2 * head + (norms / 6) * 2);
  });

  it('int8 has a scale of 16 bits a row', () => {
    const flags = { 'torchao-config': 'int8wo', 'lm-head-dtype': 'int8' } as const;
    const plan = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16', flags });
    const rows = 32 * (4096 + 1024 + 1024 + 4096 + 14336 + 14336 + 4096) + 128256;
    expect(plan.weightsRead).toBe(projections + head + 2 * rows + norms);
  });

  it('a tied head that is quantised is there beside the table', () => {
    const flags = { 'model-path': 'meta-llama/Llama-3.2-1B-Instruct' };
    const [plain, int8] = (['auto', 'int8'] as const).map((format) =>
      planOf({ board: 'agx-orin-64gb', flags: { ...flags, 'lm-head-dtype': format } }),
    );
    const table = 128256 * 2048;
    expect((int8?.weights ?? 0) - (plain?.weights ?? 0)).toBe(table + 2 * 128256);
    expect((plain?.weightsRead ?? 0) - (int8?.weightsRead ?? 0)).toBe(table - 2 * 128256);
  });
});

describe('boards and profiles, by hand', () => {
  const int4Read = 4_760_035_328 + 512 * 131072;
  const halfRead = 15_010_914_304 + 512 * 131072;
  const llama1b = { 'model-path': 'meta-llama/Llama-3.2-1B-Instruct', dtype: 'half' } as const;

  it.each<[Case, boolean, number]>([
    [{ board: 'agx-orin-64gb', profile: 'flashinfer-fp16' }, true, (204.8e9 * 0.83) / halfRead],
    [{ board: 'agx-orin-32gb', profile: 'triton' }, true, (204.8e9 * 0.83) / halfRead],
    [{ board: 'orin-nx-16gb', profile: 'flashinfer-fp16' }, false, (102.4e9 * 0.83) / halfRead],
    [{ board: 'orin-nx-16gb-super', profile: 'flashinfer-int4wo-128' }, true, (102.4e9 * 0.72) / int4Read],
    [{ board: 'orin-nx-8gb', profile: 'flashinfer-int4wo-128' }, false, (102.4e9 * 0.72) / int4Read],
    [{ board: 'orin-nano-8gb-super', profile: 'flashinfer-int4wo-128' }, false, (102.4e9 * 0.72) / int4Read],
    // 1,235,814,400 parameters, all of them read; norms as fp32 beside; 32 KiB of KV a token.
    [
      { board: 'orin-nano-8gb', flags: llama1b },
      true,
      (68.3e9 * 0.83) / (2 * 1_235_814_400 + 4 * 33 * 2048 + 512 * 32768),
    ],
    [
      { board: 'orin-nano-4gb', flags: llama1b },
      false,
      (34.1e9 * 0.83) / (2 * 1_235_814_400 + 4 * 33 * 2048 + 512 * 32768),
    ],
    [{ board: 'agx-thor', profile: 'xgrammar-int4wo-128' }, true, (273e9 * 0.72) / int4Read],
    [{ board: 'agx-xavier', profile: 'triton' }, true, (136.5e9 * 0.83) / halfRead],
  ])('%j fits: %s', (given, fits, tokensPerSecond) => {
    const plan = planOf(given);
    expect(plan.fits && plan.loads).toBe(fits);
    expect(plan.decode[0]).toMatchObject({ streams: 1, context: 512 });
    expect(plan.decode[0]?.tokensPerSecond).toBeCloseTo(tokensPerSecond, 6);
  });

  it('what is there is the memory that Linux sees, less the system and the desktop, times the share', () => {
    const plan = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16' });
    expect(plan.budget).toBe(Math.floor(0.8 * (62841 - 700 - 900) * MIB));
    const headless = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16', headless: true });
    expect(headless.budget).toBe(Math.floor(0.8 * (62841 - 700) * MIB));
  });

  it('prompts in int8 are faster by what a study of Orin measured, for weights of 4 or 8 bits', () => {
    const rateOf = (flags: GivenSettings) =>
      planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16', flags }).prefill.tokensPerSecond ?? 0;
    const plain = rateOf({ 'torchao-config': 'int4wo-128' });
    expect(rateOf({ 'torchao-config': 'int4wo-128', 'prefill-dtype': 'int8' })).toBeCloseTo(1.87 * plain, 3);
    expect(rateOf({ 'prefill-dtype': 'int8' })).toBeCloseTo(rateOf({}), 3);
    expect(rateOf({ 'torchao-config': 'int8dq' })).toBeCloseTo(rateOf({ 'torchao-config': 'int8wo' }), 3);
  });

  it('prefill is bound by the tensor cores', () => {
    const { prefill } = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16' });
    const flops = 512 * (2 * 6_979_321_856 + 4 * 32 * 32 * 128 * 256) + 2 * 525_336_576;
    expect(prefill.tokensPerSecond).toBeCloseTo(512 / (flops / (16 * 1300.5e6 * 2048 * 0.56)), 3);
  });

  it('tokens a joule are those at the whole budget of the mode', () => {
    const [row] = planOf({ board: 'orin-nano-8gb', flags: llama1b }).decode;
    expect(row?.tokensPerJoule).toBeCloseTo((row?.tokensPerSecond ?? 0) / 15, 9);
  });
});

describe('documented figures of AGX Orin', () => {
  it.each([
    ['flashinfer-fp16', 11.19, 1351],
    ['triton', 11.34, 101],
    ['flashinfer-int4wo-128', 30.84, 115],
    ['torch-native', 8.04, 221],
  ])(
    '%s: %f token/s within 2 %% at the context of the log, and within 10 %% as planned',
    (profile, documented, context) => {
      const given = { board: 'agx-orin-64gb', profile };
      expect(offBy(decodeAt(given, context), documented)).toBeLessThan(0.02);
      expect(offBy(single(given), documented)).toBeLessThan(0.1);
    },
  );

  it('int4 8B by TensorRT Edge-LLM: 30.6 to 32.1 alone, 139 in a batch of 8', () => {
    const flags = { 'model-path': 'Qwen/Qwen3-8B', 'torchao-config': 'int4wo-128' } as const;
    const plan = planOf({ board: 'agx-orin-64gb', flags, streams: 8 });
    const [alone, , batch] = plan.decode;
    for (const documented of [30.6, 32.1]) {
      expect(offBy(alone?.tokensPerSecond ?? 0, documented)).toBeLessThan(0.15);
      expect(offBy(single({ board: 'agx-orin-64gb', profile: 'flashinfer-int4wo-128' }), documented)).toBeLessThan(
        0.15,
      );
    }
    expect(batch).toMatchObject({ streams: 8, context: 512 });
    expect(offBy(batch?.tokensPerSecond ?? 0, 139)).toBeLessThan(0.15);
  });
});

describe('power modes', () => {
  it('a slower memory clock slows decoding in proportion', () => {
    const given = { board: 'orin-nano-8gb-super', profile: 'flashinfer-int4wo-128' };
    expect(single({ ...given, mode: '15W' }) / single(given)).toBeCloseTo(2133 / 3199, 6);
    expect(single({ ...given, mode: '25W' })).toBe(single(given));
  });

  it('a GPU clock too low for the memory gives a range, down to what SMs have been seen to read', () => {
    const given = { board: 'agx-orin-64gb', profile: 'triton', mode: '30W' };
    const [row] = planOf(given).decode;
    expect(row?.tokensPerSecond).toBeCloseTo(single({ ...given, mode: 'MAXN' }), 6);
    expect(row?.atLeast).toBeCloseTo((11.2 * 8 * 612e6) / (15_010_914_304 + 512 * 131072), 6);
    expect(planOf({ ...given, mode: 'MAXN' }).decode[0]?.atLeast).toBeNull();
  });

  it('an unknown clock predicts nothing', () => {
    const plan = planOf({ board: 'agx-thor', profile: 'triton', mode: '120W' });
    expect(plan.decode[0]?.tokensPerSecond).toBeNull();
    expect(plan.prefill.tokensPerSecond).toBeNull();
    expect(plan.fits).toBe(true);
  });
});

describe('context and streams', () => {
  it('the longest context fits, and a block more does not', () => {
    for (const profile of ['flashinfer-int4wo-128', 'torch-native']) {
      const { largest } = planOf({ board: 'agx-orin-32gb', profile });
      for (const { streams, context } of largest.filter(({ context }) => context < 131072)) {
        const at = (tokens: number) =>
          planOf({ board: 'agx-orin-32gb', profile, streams, flags: { 'context-length': tokens } }).fits;
        expect([at(context), at(context + 16)]).toEqual([true, false]);
      }
      expect(largest.length).toBeGreaterThan(2);
    }
  });

  it('each stream has a whole context', () => {
    const plan = planOf({ board: 'agx-orin-64gb', profile: 'flashinfer-fp16', streams: 4 });
    expect(plan.kv).toBe(4 * 8192 * 131072);
    expect(plan.decode.map(({ streams, context }) => [streams, context])).toEqual([
      [1, 512],
      [1, 8192],
      [4, 512],
      [4, 8192],
    ]);
  });

  it('refuses a context beyond what the model was trained for', () => {
    const flags = { 'context-length': 200_000 };
    expect(() => planOf({ board: 'agx-orin-64gb', profile: 'triton', flags })).toThrow(/more than the 131072/);
  });
});

describe('CUDA graphs', () => {
  it('take nothing where they are switched off, or attention cannot be recorded', () => {
    const given = { board: 'agx-orin-64gb', profile: 'triton' };
    expect(planOf(given).graphs).toBeGreaterThan(0);
    expect(planOf({ ...given, flags: { 'disable-cuda-graph': true } }).graphs).toBe(0);
    expect(planOf({ ...given, profile: 'torch-native' }).graphs).toBe(0);
  });
});

describe('loading', () => {
  it('SGLang holds the model in 16 bits before it quantises it', () => {
    const given = { board: 'orin-nx-16gb', profile: 'flashinfer-int4wo-128' };
    expect(planOf(given)).toMatchObject({ fits: true, loads: true });
    const sglang = planOf({ ...given, flags: { engine: 'sglang' } });
    expect(sglang).toMatchObject({ fits: true, loads: false });
    expect(sglang.loadPeak).toBeGreaterThan(2 * 8_030_261_248);
  });
});

describe('what would fit', () => {
  it('names changes that do', () => {
    const { ways } = planOf({ board: 'orin-nx-16gb', profile: 'flashinfer-fp16' });
    expect(ways.map(({ what }) => what)).toContain('--quant int4wo-128');
    expect(planOf({ board: 'orin-nx-16gb', profile: 'flashinfer-int4wo-128' }).fits).toBe(true);
  });

  it('puts changes together where none is enough, with the longest context that they leave', () => {
    const [together, smaller] = planOf({ board: 'orin-nano-8gb-super', profile: 'flashinfer-int4wo-128' }).ways;
    expect(together?.what).toMatch(
      /--mem-fraction-static 0\.95, .*desktop.*, --context-length \d+, --lm-head-dtype int8$/,
    );
    const context = Number(/--context-length (\d+)/.exec(together?.what ?? '')?.[1]);
    const flags = { 'mem-fraction-static': 0.95, 'context-length': context, 'lm-head-dtype': 'int8' } as const;
    const changed = { board: 'orin-nano-8gb-super', profile: 'flashinfer-int4wo-128', headless: true } as const;
    expect(planOf({ ...changed, flags }).fits).toBe(true);
    expect(smaller?.what).toMatch(/^a smaller model/);
  });

  it('a model that no change makes fit: only a smaller one', () => {
    const flags = { 'model-path': 'meta-llama/Llama-3.1-70B-Instruct' };
    const { ways } = planOf({ board: 'orin-nano-8gb', flags });
    expect(ways).toHaveLength(1);
    expect(ways[0]?.what).toMatch(/smaller model, for one --model-path \S+$/);
  });
});

it('the peak of prefill: operations of Llama 8B by the fp16 rate of an AGX Orin', () => {
  const known = knownModel('meta-llama/Llama-3.1-8B');
  if (known === null) throw new Error('no such model');
  const { rates } = machineOfBoard(findBoard('agx-orin-64gb'), { mode: null, headless: true });
  // 6.979 G weights in linear layers and 0.525 G in the head, which the last token alone needs; 16 SMs at 1.3 GHz.
  const attention = 4 * 32 * 4096 * 256;
  const flops = 512 * (2 * 6_979_321_856 + attention) + 2 * 525_336_576;
  const peak = prefillPeak(tensorsOf(known), rates, 512) ?? 0;
  expect(peak).toBeCloseTo((512 * 16 * 2048 * 1300.5e6) / flops, 3);
  expect(prefillPeak(tensorsOf(known), { fp16Tflops: null }, 512)).toBeNull();
});
