import { describe, expect, it } from 'vitest';
import type { Device } from '../../../src/device/device.js';
import { findBoard } from '../../../src/plan/board.js';
import { BOARDS } from '../../../src/plan/boards.js';
import { tensorsOf } from '../../../src/plan/find-model.js';
import { machineOfBoard } from '../../../src/plan/machine.js';
import { makePlan, type Plan } from '../../../src/plan/plan.js';
import { formatPlan, planToJson } from '../../../src/plan/report.js';
import { KNOWN_MODELS } from '../../../src/plan/shapes.js';
import type { GivenSettings } from '../../../src/profile/flags.js';
import { resolveSettings } from '../../../src/profile/resolve.js';

const GPU = { gpu: { name: 'Orin' } } as Device;

function planOf(board: string, id: string, flags: GivenSettings = {}, streams = 1, mode: string | null = null): Plan {
  const known = KNOWN_MODELS.find(({ ids }) => ids.includes(id));
  if (known === undefined) throw new Error(id);
  const model = { name: id, source: 'known shape' as const, path: null, ...tensorsOf(known) };
  const { settings } = resolveSettings(null, GPU, { device: 'cuda', ...flags });
  const machine = machineOfBoard(findBoard(board), { mode, headless: false });
  return makePlan({ model, settings, streams, machine });
}

const LLAMA = 'meta-llama/Llama-3.1-8B-Instruct';

describe('the table', () => {
  it('is no wider than 80 columns, whatever the board, the mode and the model', () => {
    for (const board of BOARDS) {
      for (const { name } of board.modes) {
        for (const id of ['smollm2', 'deepseek-ai/DeepSeek-R1-Distill-Llama-70B']) {
          const text = formatPlan(planOf(board.id, id, { 'torchao-config': 'int8dq' }, 16, name));
          const widest = Math.max(...text.split('\n').map((line) => line.length));
          expect([board.id, name, id, widest <= 80]).toEqual([board.id, name, id, true]);
          expect(text).not.toMatch(/NaN|undefined|Infinity/);
        }
      }
    }
  });

  it('of machines that share a model says how many there are, and whose bytes they are', () => {
    const flags = { engine: 'sglang', nnodes: 2, 'tp-size': 2, 'context-length': 8192 } as const;
    const fits = planOf('orin-nx-16gb', LLAMA, flags);
    const text = formatPlan(fits);
    expect(text).toContain('on 2 x Jetson Orin NX 16GB');
    expect(text).toContain('MEMORY OF EACH MACHINE');
    expect(text).toMatch(/weights +7,660/);
    expect(text.replace(/\s+/g, ' ')).toMatch(/It fits on each of the 2 machines: 9\.0 GiB of the/);
    expect(text).not.toMatch(/prefill at/);
    expect(planToJson(fits)).toMatchObject({ machines: 2, predicted: { decode_tokens_per_second: null } });
    const not = formatPlan(planOf('orin-nano-8gb', LLAMA, flags)).replace(/\s+/g, ' ');
    expect(not).toMatch(/It does not fit on each of the 2 machines: it needs 9\.0 GiB/);
  });

  it('has every part of the memory, the rates and what they rest on', () => {
    const text = formatPlan(planOf('agx-orin', LLAMA, { 'torchao-config': 'int4wo-128' }, 8));
    for (const part of [
      'weights',
      'KV cache',
      'activations',
      'CUDA graphs',
      'CUDA context',
      'desktop',
      'load-time peak',
    ]) {
      expect(text).toContain(part);
    }
    expect(text).toMatch(/decode, 1 stream at 512 tokens +30\.5 +0\.51/);
    expect(text).toMatch(/decode, 8 streams at 512 tokens/);
    expect(text).toMatch(/read bandwidth: 204\.8 GB\/s, nominal/);
    expect(text).toMatch(/72 % of it: SGLang, Llama 8B on an AGX Orin in MAXN: 30\.84/);
    expect(text).toMatch(/power: 60 W/);
    expect(text).toMatch(/\nIt fits: .* of the .* that it may take\.\n$/);
  });

  it('ends with what to change', () => {
    const text = formatPlan(planOf('orin-nano-8gb', LLAMA)).replace(/\s+/g, ' ');
    expect(text).toMatch(
      /It does not fit: it needs 17\.\d GiB, and may take 4\.7 GiB; what would fit: .* smaller model, for one/,
    );
  });

  it('says what is not known, and what has no kernels', () => {
    expect(formatPlan(planOf('thor', LLAMA, {}, 1, '70W'))).toMatch(/decode, 1 stream at 512 tokens +unknown +unknown/);
    expect(formatPlan(planOf('agx-xavier', LLAMA))).toContain('no kernels for sm_72');
  });
});

describe('JSON', () => {
  it('has the same, in bytes and tokens a second', () => {
    const plan = planOf('agx-orin', LLAMA, { 'torchao-config': 'int4wo-128' }, 2);
    const json = planToJson(plan);
    expect(json).toMatchObject({
      verdict: 'fits',
      board: 'agx-orin-64gb',
      power_mode: 'MAXN',
      quant: 'int4wo-128',
      context_length: 8192,
      streams: 2,
      memory: { weights: 5_810_708_480, kv_cache: 2 * 8192 * 131072, total: 62841 * 2 ** 20 },
      assumed: { bandwidth_gb_s: 204.8, efficiency: 0.72, watts: 60, gpu_mhz: 1300.5 },
      ways_to_fit: [],
    });
    expect(json.predicted.decode_tokens_per_second).toBe(plan.decode[0]?.tokensPerSecond);
    expect(json.predicted.decode).toHaveLength(4);
    expect(JSON.parse(JSON.stringify(json))).toEqual(json);
  });

  it('names what would fit', () => {
    const json = planToJson(planOf('orin-nx-16gb', LLAMA));
    expect(json).toMatchObject({ verdict: 'does not fit', fits: false });
    expect(json.ways_to_fit).toContain('--quant int4wo-128');
  });
});
