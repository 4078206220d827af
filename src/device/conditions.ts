/** Under which conditions a machine runs right now: what a measurement notes before and after. Needs no root. */
import { type LiveClocks, probeLiveClocks, probeSysfsClocks } from './clocks.js';
import { parseLiveCeilings, parsePowerQuery } from './nvpmodel.js';
import type { Source } from './source.js';
import { countOverCurrent, probeSensors, probeThrottling } from './thermal.js';

export interface Conditions {
  /** Name of the power mode; null: there are none, or it is not told. */
  powerMode: string | null;
  /** Whether clocks are held at their ceilings. */
  isLocked: boolean | null;
  /** What clocks may rise to. */
  ceilings: LiveClocks;
  clocks: LiveClocks;
  hottestCelsius: number | null;
  /** Cooling devices that hold a clock down. */
  throttling: string[];
  /** Times since boot that the supply throttled the board. */
  numOverCurrent: number | null;
}

export async function probeConditions(source: Source): Promise<Conditions> {
  const query = (await source.run('nvpmodel', ['-q']))?.stdout ?? '';
  const live = parseLiveCeilings(query);
  const sysfs = probeSysfsClocks(source);
  const mhz = (hertz: number | null) => (hertz === null ? null : hertz / 1e6);
  const celsius = probeSensors(source).map((sensor) => sensor.celsius);
  return {
    powerMode: parsePowerQuery(query)?.name ?? null,
    isLocked: sysfs.isLocked,
    ceilings: {
      cpuMhz: mhz(sysfs.cpuMaxHz),
      gpuMhz: mhz(sysfs.gpuMaxHz ?? live.gpuHz),
      emcMhz: mhz(sysfs.emcMaxHz ?? live.emcHz),
    },
    clocks: probeLiveClocks(source),
    hottestCelsius: celsius.length === 0 ? null : Math.max(...celsius),
    throttling: probeThrottling(source),
    numOverCurrent: countOverCurrent(source),
  };
}
