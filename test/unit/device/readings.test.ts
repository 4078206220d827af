import { describe, expect, it, vi } from 'vitest';
import { machineReader } from '../../../src/device/readings.js';
import { fakeSource } from './fake-source.js';

const MEMINFO = { '/proc/meminfo': 'MemTotal:       16000000 kB\nMemAvailable:    4000000 kB\n' };

/** The channels of one INA3221: name, millivolts, milliamperes. */
function monitor(path: string, channels: [string, number, number][]): Record<string, string> {
  const files: Record<string, string> = { [`${path}/name`]: 'ina3221\n' };
  for (const [index, [label, millivolts, milliamps]] of channels.entries()) {
    files[`${path}/in${index + 1}_label`] = `${label}\n`;
    files[`${path}/in${index + 1}_input`] = `${millivolts}\n`;
    files[`${path}/curr${index + 1}_input`] = `${milliamps}\n`;
  }
  return files;
}

const zone = (index: number, type: string, milli: number) => ({
  [`/sys/class/thermal/thermal_zone${index}/type`]: `${type}\n`,
  [`/sys/class/thermal/thermal_zone${index}/temp`]: `${milli}\n`,
});

describe('machineReader', () => {
  it('tells of what cannot be read that it is not there', async () => {
    expect(await machineReader(fakeSource({}))()).toEqual({
      memory: null,
      gpuMemory: null,
      power: null,
      temperature: null,
    });
  });

  it('reads a board: memory in use, its input rail, its hottest sensor', async () => {
    const files = {
      ...MEMINFO,
      ...monitor('/sys/class/hwmon/hwmon1', [
        ['VDD_IN', 5000, 3000],
        ['VDD_CPU_GPU_CV', 5000, 1000],
      ]),
      ...zone(0, 'cpu-thermal', 51_000),
      ...zone(1, 'tj-thermal', 54_500),
      '/sys/class/thermal/thermal_zone1/trip_point_0_type': 'passive\n',
      '/sys/class/thermal/thermal_zone1/trip_point_0_temp': '99000\n',
    };
    expect(await machineReader(fakeSource({ files }))()).toEqual({
      memory: { usedBytes: 12_000_000 * 1024, totalBytes: 16_000_000 * 1024 },
      gpuMemory: null,
      power: { watts: 15, of: 'VDD_IN' },
      temperature: { celsius: 54.5, of: 'tj-thermal', throttlesAt: 99 },
    });
  });

  it('adds up the rails of an AGX Orin, which has none for its input, and counts none twice', async () => {
    const files = {
      ...monitor('/sys/class/hwmon/hwmon3', [
        ['VDD_GPU_SOC', 20_000, 500],
        ['VDD_CPU_CV', 20_000, 100],
        ['VIN_SYS_5V0', 5000, 800],
      ]),
      ...monitor('/sys/class/hwmon/hwmon4', [
        ['NC', 0, 0],
        ['VDDQ_VDD2_1V8AO', 5000, 300],
      ]),
    };
    expect((await machineReader(fakeSource({ files }))()).power).toEqual({
      watts: 16,
      of: 'VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0',
    });
  });

  it('asks nvidia-smi of a GPU with memory of its own, and takes [N/A] for what it is', async () => {
    const smi = (line: string) => fakeSource({ files: MEMINFO, commands: { 'nvidia-smi': `${line}\n` } });
    expect(await machineReader(smi('1024, 81559, 120.50, 41'), { gpu: true })()).toMatchObject({
      gpuMemory: { usedBytes: 2 ** 30, totalBytes: 81_559 * 2 ** 20 },
      power: { watts: 120.5, of: 'GPU' },
      temperature: { celsius: 41, of: 'GPU' },
    });
    expect(await machineReader(smi('[N/A], [N/A], [N/A], 38'), { gpu: true })()).toMatchObject({
      gpuMemory: null,
      power: null,
      temperature: { celsius: 38 },
    });
    expect((await machineReader(smi('1024, 81559, 120.50, 41'))()).gpuMemory).toBeNull();
  });

  it('reads once for all who ask within a second', async () => {
    const source = fakeSource({ files: MEMINFO });
    const read = vi.spyOn(source, 'read');
    const reader = machineReader(source);
    await Promise.all([reader(), reader()]);
    const once = read.mock.calls.length;
    await reader();
    expect(once).toBeGreaterThan(0);
    expect(read.mock.calls.length).toBe(once);
  });
});
