/** Temperatures, throttling and power rails: is the board held back by heat or by its supply? */
import { oneValue, type Source } from './source.js';
import type { Stats } from './tegrastats.js';

export interface Sensor {
  name: string;
  celsius: number;
  /** Where the kernel begins to slow the board down; null: no such trip point. */
  throttlesAt: number | null;
}

export interface Rail {
  /** `VDD_IN` */
  name: string;
  milliwatts: number | null;
  milliamps: number | null;
  /** Average current at which the firmware throttles; null: no limit set. */
  maxMilliamps: number | null;
}

export interface Thermal {
  sensors: Sensor[];
  rails: Rail[];
  /** Times since boot that the supply's current limit throttled the board, over all its counters; null: not counted. */
  numOverCurrent: number | null;
  /** Cooling devices that hold a clock down now: `cpufreq-cpu0`. Fans are none of them. */
  throttling: string[];
}

type Files = Pick<Source, 'read' | 'list'>;

export function probeThermal(files: Files, stats: Stats | null): Thermal {
  const sensors = probeSensors(files);
  const rails = probeRails(files);
  return {
    sensors: sensors.length > 0 ? sensors : sensorsOf(stats),
    rails: rails.length > 0 ? rails : railsOf(stats),
    numOverCurrent: countOverCurrent(files),
    throttling: probeThrottling(files),
  };
}

const sensorsOf = (stats: Stats | null): Sensor[] =>
  Object.entries(stats?.celsius ?? {}).map(([name, celsius]) => ({ name, celsius, throttlesAt: null }));
const railsOf = (stats: Stats | null): Rail[] =>
  Object.entries(stats?.milliwatts ?? {}).map(([name, milliwatts]) => ({
    name,
    milliwatts,
    milliamps: null,
    maxMilliamps: null,
  }));

const numberIn = (read: Files['read'], path: string) => {
  const value = Number.parseInt(read(path) ?? '', 10);
  return Number.isNaN(value) ? null : value;
};

export function probeSensors({ read, list }: Files): Sensor[] {
  return list('/sys/class/thermal')
    .filter((zone) => /^thermal_zone\d+$/.test(zone))
    .flatMap((zone) => {
      const folder = `/sys/class/thermal/${zone}`;
      const milli = numberIn(read, `${folder}/temp`);
      // Zones of powered-down units read as absurd values, and PMIC-Die of R32 as a constant.
      if (milli === null || milli <= 0 || milli > 150_000) return [];
      const trips = list(folder).filter((file) => {
        const type = /^trip_point_\d+_type$/.test(file) ? read(`${folder}/${file}`)?.trim() : null;
        return type === 'passive';
      });
      const points = trips
        .map((file) => numberIn(read, `${folder}/${file.replace('_type', '_temp')}`) ?? 0)
        .filter((at) => at > 0);
      const throttlesAt = points.length === 0 ? null : Math.min(...points) / 1000;
      return [{ name: oneValue(read(`${folder}/type`)) ?? zone, celsius: milli / 1000, throttlesAt }];
    });
}

/** What slows a clock down when it is hot: its kind, and the file that says how far it is at it. */
export interface Cooler {
  type: string;
  state: string;
}

export function findCoolers({ read, list }: Files): Cooler[] {
  return list('/sys/class/thermal')
    .filter((name) => /^cooling_device\d+$/.test(name))
    .map((name) => ({
      type: oneValue(read(`/sys/class/thermal/${name}/type`)) ?? '',
      state: `/sys/class/thermal/${name}/cur_state`,
    }))
    .filter(({ type }) => /cpufreq|devfreq|gpu|throttle|emc/i.test(type) && !/fan|hot-surface/i.test(type));
}

/** Cooling devices that hold a clock down now. */
export function probeThrottling(files: Files): string[] {
  return findCoolers(files)
    .filter(({ state }) => (numberIn(files.read, state) ?? 0) > 0)
    .map(({ type }) => type);
}

/** soctherm_oc: oc1_event_cnt and so on, one counter for each alarm. */
export function countOverCurrent({ read, list }: Files): number | null {
  const counts = list('/sys/class/hwmon').flatMap((monitor) =>
    list(`/sys/class/hwmon/${monitor}`)
      .filter((file) => /^oc\d+_event_cnt$/.test(file))
      .map((file) => numberIn(read, `/sys/class/hwmon/${monitor}/${file}`) ?? 0),
  );
  return counts.length === 0 ? null : counts.reduce((sum, count) => sum + count, 0);
}

/** INA3221: volts and amperes of three channels each. */
function probeRails({ read, list }: Files): Rail[] {
  return list('/sys/class/hwmon')
    .filter((monitor) => read(`/sys/class/hwmon/${monitor}/name`)?.trim() === 'ina3221')
    .flatMap((monitor) =>
      [1, 2, 3].flatMap((channel) => {
        const value = (file: string) => numberIn(read, `/sys/class/hwmon/${monitor}/${file}`);
        const name = oneValue(read(`/sys/class/hwmon/${monitor}/in${channel}_label`));
        if (name === null || name === 'NC') return [];
        const [millivolts, milliamps] = [value(`in${channel}_input`), value(`curr${channel}_input`)];
        const known = millivolts !== null && milliamps !== null;
        const limit = value(`curr${channel}_max`);
        return [
          {
            name,
            milliwatts: known ? Math.round((millivolts * milliamps) / 1000) : null,
            milliamps,
            // "No limit" is the largest value that the register holds.
            maxMilliamps: limit !== null && limit > 0 && limit < 32_000 ? limit : null,
          },
        ];
      }),
    );
}
