/** Power rails for sampling: INA3221 monitors of a Jetson by hwmon. Finding them is pure; the text of a file is handed in. */
import { oneValue, type Source } from './source.js';

/** Files of one channel, below the root that was looked at. */
export interface RailFiles {
  /** `VDD_IN` */
  name: string;
  /** Millivolts, milliamperes. */
  volts: string;
  amps: string;
}

/** The channels that measure something, over every monitor. */
export function findRails({ read, list }: Pick<Source, 'read' | 'list'>): RailFiles[] {
  return list('/sys/class/hwmon')
    .map((monitor) => `/sys/class/hwmon/${monitor}`)
    .filter((folder) => read(`${folder}/name`)?.trim() === 'ina3221')
    .flatMap((folder) =>
      [1, 2, 3].flatMap((channel) => {
        const name = oneValue(read(`${folder}/in${channel}_label`));
        const [volts, amps] = [`${folder}/in${channel}_input`, `${folder}/curr${channel}_input`];
        const isRead = read(volts) !== null && read(amps) !== null;
        return name === null || name === 'NC' || !isRead ? [] : [{ name, volts, amps }];
      }),
    );
}

/** Rails of the whole board's input: Orin Nano and NX, Xavier NX and Nano, Thor. */
const INPUTS = ['VDD_IN', 'POM_5V_IN', 'VIN'];

/**
 * The rails whose sum is the board's power: its input where that is measured; else all of them, since AGX modules measure
 * what the input splits into.
 */
export function boardRails<T extends { name: string }>(rails: readonly T[]): T[] {
  const input = rails.find(({ name }) => INPUTS.includes(name));
  return input === undefined ? [...rails] : [input];
}

/** Watts of one channel; null where a text is no number. */
export function railWatts(millivolts: string, milliamps: string): number | null {
  const watts = (Number.parseInt(millivolts, 10) * Number.parseInt(milliamps, 10)) / 1e6;
  return Number.isNaN(watts) ? null : watts;
}
