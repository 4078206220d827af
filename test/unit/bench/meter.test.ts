/** Sampling a machine made of files, and a GPU made of a script: what is constant must come out as it is, whatever the timing. */
import { chmodSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it, vi } from 'vitest';
import { CLOCK } from '../../../src/bench/clock.js';
import { Meter } from '../../../src/bench/meter.js';
import { type Source, sourceUnder } from '../../../src/device/source.js';

let meter: Meter | undefined;
afterEach(() => {
  meter?.stop();
  vi.unstubAllEnvs();
});

const HWMON = '/sys/class/hwmon/hwmon1';
const COOLER = '/sys/class/thermal/cooling_device0';
const GPU_CLOCK = '/sys/class/devfreq/17000000.gpu/cur_freq';

function machine(files: Record<string, string>): { source: Source; write(path: string, text: string): void } {
  const root = mkdtempSync(join(tmpdir(), 'jsg-meter-'));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  };
  for (const [path, text] of Object.entries(files)) write(path, text);
  return { source: sourceUnder(root), write };
}

/** Until the meter has seen enough of the time since `beginMs`. */
async function power(beginMs: number, tokens: number) {
  for (let i = 0; i < 100; i++) {
    await sleep(50);
    const seen = meter?.window('nothing', beginMs, CLOCK.now(), tokens);
    if (seen && seen.samples >= 5) return seen;
  }
  throw new Error('no samples');
}

it('adds up the rails of a Jetson', async () => {
  const rail = (channel: number, name: string, milliamps: number) => ({
    [`${HWMON}/in${channel}_label`]: `${name}\n`,
    [`${HWMON}/in${channel}_input`]: '20000\n',
    [`${HWMON}/curr${channel}_input`]: `${milliamps}\n`,
  });
  const { source } = machine({
    [`${HWMON}/name`]: 'ina3221\n',
    ...rail(1, 'VDD_GPU_SOC', 1000),
    ...rail(2, 'VDD_CPU_CV', 500),
  });
  meter = new Meter(source, 0.05);
  const beginMs = CLOCK.now();
  meter.start();
  const seen = await power(beginMs, 600);
  expect(seen).toMatchObject({ source: 'VDD_GPU_SOC + VDD_CPU_CV', maxWatts: 30 });
  expect(seen.meanWatts).toBeCloseTo(30, 6);
  expect(seen.tokensPerJoule).toBeCloseTo(600 / seen.joules, 9);
  expect(meter.reasons).toEqual([]);
});

it('sees a clock fall and what throttles', async () => {
  const { source, write } = machine({
    [GPU_CLOCK]: '1300500000\n',
    [`${COOLER}/type`]: 'gpu-throttle\n',
    [`${COOLER}/cur_state`]: '0\n',
  });
  meter = new Meter(source, 0.05);
  const beginMs = CLOCK.now();
  meter.start();
  await sleep(1500);
  write(GPU_CLOCK, '930750000\n');
  write(`${COOLER}/cur_state`, '1\n');
  await sleep(1500);
  expect(meter.window('decode, batch 8', beginMs, CLOCK.now(), 1)).toBeNull();
  expect(meter.reasons).toEqual([
    "the GPU's clock moved from 1,301 MHz to 931 MHz during decode, batch 8",
    'throttled while measuring: gpu-throttle',
  ]);
});

it('reads a discrete GPU by nvidia-smi', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'jsg-smi-'));
  const program = join(folder, 'nvidia-smi');
  const line = '0, 300.0, 1980, 2619, 50, 0x0000000000000004';
  writeFileSync(program, `#!/bin/sh\nwhile :; do echo "${line}"; sleep 0.05; done\n`);
  chmodSync(program, 0o755);
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
  const { source } = machine({});
  meter = new Meter({ ...source, isHere: true }, 0.05);
  const beginMs = CLOCK.now();
  meter.start();
  const seen = await power(beginMs, 1);
  expect(seen.source).toBe('GPU (nvidia-smi)');
  expect(seen.meanWatts).toBeCloseTo(300, 6);
  expect(meter.reasons).toEqual([]);
  expect(meter.notes).toEqual(['the GPU ran at its power cap']);
});
