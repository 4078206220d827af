import { describe, expect, it } from 'vitest';
import { probeLiveClocks } from '../../../src/device/clocks.js';
import { probeConditions } from '../../../src/device/conditions.js';
import { boardRails, findRails, railWatts } from '../../../src/device/rails.js';
import { parseSmiLine, smiArguments } from '../../../src/device/smi-query.js';
import { fakeSource } from './fake-source.js';

const monitor = (number: number, rails: (string | null)[]) =>
  Object.fromEntries([
    [`/sys/class/hwmon/hwmon${number}/name`, 'ina3221\n'],
    ...rails.flatMap((name, i) =>
      name === null
        ? []
        : [
            [`/sys/class/hwmon/hwmon${number}/in${i + 1}_label`, `${name}\n`],
            [`/sys/class/hwmon/hwmon${number}/in${i + 1}_input`, '19000\n'],
            [`/sys/class/hwmon/hwmon${number}/curr${i + 1}_input`, `${100 * (i + 1)}\n`],
          ],
    ),
  ]) as Record<string, string>;

describe('rails', () => {
  const names = (files: Record<string, string>) => {
    const rails = findRails(fakeSource({ files }));
    return { all: rails.map(({ name }) => name), board: boardRails(rails).map(({ name }) => name) };
  };

  it('of an AGX Orin add up: there is none of the whole input', () => {
    const files = {
      ...monitor(3, ['VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0']),
      ...monitor(4, ['NC', 'VDDQ_VDD2_1V8AO', 'NC']),
      '/sys/class/hwmon/hwmon0/name': 'tmp451\n',
    };
    const all = ['VDD_GPU_SOC', 'VDD_CPU_CV', 'VIN_SYS_5V0', 'VDDQ_VDD2_1V8AO'];
    expect(names(files)).toEqual({ all, board: all });
  });

  it('of an Orin Nano: its input alone is the board', () => {
    const files = monitor(1, ['VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC']);
    expect(names(files)).toEqual({ all: ['VDD_IN', 'VDD_CPU_GPU_CV', 'VDD_SOC'], board: ['VDD_IN'] });
  });

  it('of a machine without a monitor: none', () => {
    expect(names({ '/sys/class/hwmon/hwmon0/name': 'coretemp\n' })).toEqual({ all: [], board: [] });
  });

  it('watts are volts times amperes', () => {
    expect(railWatts('19056\n', '1250\n')).toBeCloseTo(23.82, 9);
    expect(railWatts('', '1250')).toBeNull();
  });
});

describe('nvidia-smi', () => {
  it('a line of a discrete GPU', () => {
    expect(parseSmiLine('0, 612.35, 1410, 2619, 61, 0x0000000000000004')).toEqual({
      index: 0,
      watts: 612.35,
      smMhz: 1410,
      memoryMhz: 2619,
      celsius: 61,
      throttling: ['power cap'],
    });
    expect(parseSmiLine('1, 80.1, 345, 405, 30, 0x0000000000000001')?.throttling).toEqual([]);
    expect(parseSmiLine('0, 80, 345, 405, 90, 0x0000000000000068')?.throttling).toEqual([
      'hardware slowdown',
      'software thermal slowdown',
      'hardware thermal slowdown',
    ]);
  });

  it('a Jetson tells none of it', () => {
    const line = '0, [N/A], [N/A], [N/A], [N/A], [Not Supported]';
    expect(parseSmiLine(line)).toMatchObject({ watts: null, smMhz: null, throttling: [] });
    expect(parseSmiLine('No devices were found')).toBeNull();
    expect(parseSmiLine('')).toBeNull();
  });

  it('is asked for as many fields as a line is read by', () => {
    expect(smiArguments(100)[0]?.split('=')[1]?.split(',')).toHaveLength(6);
    expect(smiArguments(100)).toContain('--loop-ms=100');
  });
});

const ORIN = {
  '/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq': '729600\n',
  '/sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq': '2201600\n',
  '/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq': '2201600\n',
  '/sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq': '2201600\n',
  '/sys/class/devfreq/17000000.gpu/cur_freq': '1300500000\n',
  '/sys/class/devfreq/17000000.gpu/min_freq': '1300500000\n',
  '/sys/class/devfreq/17000000.gpu/max_freq': '1300500000\n',
  '/sys/class/devfreq/15340000.vic/cur_freq': '115200000\n',
  '/sys/kernel/debug/bpmp/debug/clk/emc/rate': '3199000000\n',
  '/sys/kernel/nvpmodel_clk_cap/emc': '3199000000\n',
  '/sys/class/thermal/thermal_zone0/temp': '52875\n',
  '/sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  '/sys/class/thermal/cooling_device0/type': 'cpufreq-cpu0\n',
  '/sys/class/thermal/cooling_device0/cur_state': '3\n',
};

it('clocks of this moment: the fastest core, the GPU, the memory where root may look', () => {
  expect(probeLiveClocks(fakeSource({ files: ORIN }))).toEqual({ cpuMhz: 2201.6, gpuMhz: 1300.5, emcMhz: 3199 });
  expect(probeLiveClocks(fakeSource({}))).toEqual({ cpuMhz: null, gpuMhz: null, emcMhz: null });
});

it('conditions: the mode, ceilings, heat and what holds it down', async () => {
  const source = fakeSource({ files: ORIN, commands: { nvpmodel: 'NV Power Mode: MAXN\n0\n' } });
  expect(await probeConditions(source)).toEqual({
    powerMode: 'MAXN',
    isLocked: true,
    ceilings: { cpuMhz: 2201.6, gpuMhz: 1300.5, emcMhz: 3199 },
    clocks: { cpuMhz: 2201.6, gpuMhz: 1300.5, emcMhz: 3199 },
    hottestCelsius: 52.875,
    throttling: ['cpufreq-cpu0'],
    numOverCurrent: null,
  });
});
