import { describe, expect, it } from 'vitest';
import { identifyClocks, probeSysfsClocks } from '../../../src/device/clocks.js';
import { parseTegrastats } from '../../../src/device/tegrastats.js';
import { fakeSource } from './fake-source.js';

const noFiles = probeSysfsClocks(fakeSource({}));
const clocks = (show: string) => identifyClocks({ show, query: null, stats: null }, noFiles);
const cpu = (n: number, min: number, max: number, now: number, online = ' Online=1') =>
  `cpu${n}: ${online} Governor=schedutil MinFreq=${min} MaxFreq=${max} CurrentFreq=${now} IdleStates: WFI=0 c7=0 \n`;
const fixed = (n: number, online?: string) => cpu(n, 2201600, 2201600, 2201600, online);
const gpu = 'GPU MinFreq=1300500000 MaxFreq=1300500000 CurrentFreq=1300500000\n';
const emc = (rest = ' FreqOverride=1') => `EMC MinFreq=204000000 MaxFreq=3199000000 CurrentFreq=3199000000${rest}\n`;

describe('jetson_clocks --show: locked', () => {
  it.each([
    ['R32 to R36', fixed(0) + fixed(1) + gpu + emc()],
    ['cores that are off do not count', fixed(0) + cpu(8, 729600, 2201600, 729600, ' Online=0') + gpu + emc()],
    [
      'Thor: two GPU clocks, and the memory with its override',
      `${fixed(0)}gpu-gpc-0 MinFreq=1575000000 MaxFreq=1575000000 CurrentFreq=1575000000
gpu-nvd-0 MinFreq=1692000000 MaxFreq=1692000000 CurrentFreq=1692000000
EMC MinFreq=665600000 MaxFreq=4266000000 CurrentFreq=4266000000 FreqOverride=1\n`,
    ],
    [
      'R39: cores on by the list, no override',
      `Online CPUs: 0-1,3, Offline CPUs: 2\n${fixed(0, '')}${cpu(2, 729600, 2201600, 729600, '')}${fixed(3, '')}${gpu}EMC MinFreq=3199000000 MaxFreq=3199000000 CurrentFreq=3199000000\n`,
    ],
    [
      'engines beside the GPU do not count',
      `${fixed(0)}${gpu}${emc()}DLA0_CORE:   Online=1 MinFreq=0 MaxFreq=1600000000 CurrentFreq=1600000000\n`,
    ],
  ])('%s', (_, text) => {
    expect(clocks(text)?.isLocked).toBe(true);
  });

  it.each([
    ['a core below its ceiling', cpu(0, 729600, 2201600, 1420800) + gpu + emc()],
    ['a core fixed but not there yet', cpu(0, 2201600, 2201600, 1420800) + gpu + emc()],
    ['the GPU', `${fixed(0)}GPU MinFreq=306000000 MaxFreq=1300500000 CurrentFreq=306000000\n${emc()}`],
    [
      'one of the GPU clocks of Thor',
      `${fixed(0)}gpu-gpc-0 MinFreq=1 MaxFreq=1 CurrentFreq=1\ngpu-nvd-0 MinFreq=1 MaxFreq=2 CurrentFreq=1\n${emc()}`,
    ],
    [
      'the memory, whatever min and max say',
      `${fixed(0)}${gpu}EMC MinFreq=3199000000 MaxFreq=3199000000 CurrentFreq=3199000000 FreqOverride=0\n`,
    ],
    ['the memory of R39', fixed(0) + gpu + emc('')],
  ])('not: %s', (_, text) => {
    expect(clocks(text)?.isLocked).toBe(false);
  });

  it('a text that breaks off says no more than it can', () => {
    expect(clocks(fixed(0) + fixed(1))?.isLocked).toBeNull();
    expect(clocks(fixed(0) + cpu(1, 1, 2, 1))?.isLocked).toBe(false);
    expect(clocks('')).toBeNull();
  });

  it('tells ceilings in Hz, and the mode of its last line', () => {
    expect(clocks(`${fixed(0)}${gpu}${emc()}NV Power Mode: MODE_30W\n`)).toMatchObject({
      cpuMaxHz: 2201.6e6,
      gpuMaxHz: 1300.5e6,
      emcMaxHz: 3199e6,
      modeName: 'MODE_30W',
    });
  });
});

describe('without root', () => {
  const refusal = 'Error: Run this script(/usr/bin/jetson_clocks) as a root user\n';
  const folder = '/sys/class/devfreq/17000000.gpu';
  const files = (gpuMin: string) => ({
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_min_freq': '1728000\n',
    '/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq': '1728000\n',
    '/sys/devices/system/cpu/cpu5/online': '0\n',
    '/sys/devices/system/cpu/cpu5/cpufreq/scaling_min_freq': '729600\n',
    '/sys/devices/system/cpu/cpu5/cpufreq/scaling_max_freq': '1728000\n',
    [`${folder}/min_freq`]: gpuMin,
    [`${folder}/max_freq`]: '624750000\n',
    '/sys/class/devfreq/15340000.vic/max_freq': '729600000\n',
    '/sys/kernel/nvpmodel_clk_cap/emc': '2133000000\n',
  });
  const fromFiles = (gpuMin: string) =>
    identifyClocks({ show: refusal, query: null, stats: null }, probeSysfsClocks(fakeSource({ files: files(gpuMin) })));

  it('sysfs tells ceilings and whether they are reached', () => {
    expect(fromFiles('624750000\n')).toMatchObject({
      isLocked: true,
      needsRoot: true,
      gpuMaxHz: 624.75e6,
      emcMaxHz: 2133e6,
      cpuMaxHz: 1728e6,
    });
    expect(fromFiles('306000000\n')?.isLocked).toBe(false);
  });

  it('nothing but the refusal is known where sysfs is hidden', () => {
    expect(clocks(refusal)).toMatchObject({ isLocked: null, needsRoot: true, gpuMaxHz: null });
  });

  it('a busy GPU shows its ceiling in tegrastats', () => {
    const stats = (load: number) =>
      parseTegrastats(`RAM 3000/7620MB (lfb 4x4MB) CPU [9%@729] EMC_FREQ 60%@2133 GR3D_FREQ ${load}%@[624] cpu@50C`);
    const of = (load: number) => identifyClocks({ show: null, query: null, stats: stats(load) }, noFiles);
    expect(of(99)).toMatchObject({ gpuMaxHz: 624e6, emcMaxHz: 2133e6 });
    expect(of(3)).toBeNull();
  });
});

describe('parseTegrastats', () => {
  it.each([
    [
      '10-05-2026 21:03:35 RAM 5137/62841MB (lfb 2x4MB) SWAP 0/31420MB (cached 0MB) CPU [1%@729,25%@729] GR3D_FREQ 0% cpu@52.875C tj@52.875C VDD_GPU_SOC 3178mW/3178mW VIN_SYS_5V0 4543mW/4543mW',
      { ramTotalMib: 62841, swapTotalMib: 31420, gpuMhz: null, celsius: { cpu: 52.875, tj: 52.875 } },
    ],
    [
      'RAM 1500/3964MB (lfb 100x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [10%@1479,5%@1479] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@30C CPU@33C PMIC@100C GPU@31C POM_5V_IN 1800/1800 POM_5V_GPU 0/0',
      { ramTotalMib: 3964, emcMhz: 1600, gpuMhz: 76, celsius: { PLL: 30, CPU: 33, GPU: 31 } },
    ],
    ['08-01-2026 10:00:00 RAM 2000/7620MB (lfb 5x4MB) CPU [1%@1728] GR3D_FREQ 0%', { swapTotalMib: null }],
  ])('%s', (text, stats) => {
    expect(parseTegrastats(`${text}\n`)).toMatchObject(stats);
  });

  it('reads rails with and without a unit', () => {
    expect(parseTegrastats('RAM 1/2MB POM_5V_IN 1800/1801 VDD_CPU_CV 794mW/800mW')?.milliwatts).toEqual({
      POM_5V_IN: 1800,
      VDD_CPU_CV: 794,
    });
    expect(parseTegrastats('tegrastats: not found')).toBeNull();
  });
});
