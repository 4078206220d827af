/** From values to places on paper, and the ticks between. Pure. */

export interface Scale {
  at(value: number): number;
  ticks: number[];
}

export type ScaleKind = 'linear' | 'log';

/** Steps of 1, 2 or 5 times a power of ten, about `count` of them from 0 to at least `max`. */
export function linearTicks(max: number, count = 5): number[] {
  if (!(max > 0)) return [0, 1];
  const rough = max / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough * 0.999) ?? 10);
  const numSteps = Math.ceil(max / step - 1e-9);
  // Rounded, since 3 times 0.1 is not 0.3.
  return Array.from({ length: numSteps + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

/** 1, 2 and 5 times the powers of ten between, or the powers alone where that were too many. */
export function logTicks(min: number, max: number, most = 8): number[] {
  const first = Math.floor(Math.log10(min));
  const powers = Array.from({ length: Math.ceil(Math.log10(max)) - first + 1 }, (_, i) => 10 ** (first + i));
  const between = (ticks: number[]) => ticks.filter((tick) => tick >= min * 0.999 && tick <= max * 1.001);
  const fine = between(powers.flatMap((power) => [power, 2 * power, 5 * power]));
  return fine.length <= most ? fine : between(powers);
}

/** From 0 to at least `max`. */
export function linearScale(max: number, [from, to]: [number, number]): Scale {
  const ticks = linearTicks(max);
  const top = ticks.at(-1) ?? 1;
  return { ticks, at: (value) => from + (value / top) * (to - from) };
}

/** `min` and `max` above 0; a little room around them. `room`: 1.2 is a fifth more at each end. */
export function logScale(min: number, max: number, [from, to]: [number, number], room: number): Scale {
  const [low, high] = [Math.log(min / room), Math.log(max * room)];
  return {
    ticks: logTicks(min / room, max * room),
    at: (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from),
  };
}

/** Moves places apart, so that no two are nearer than `gap`, within `low` to `high`; in the order given. */
export function spreadOut(places: readonly number[], gap: number, [low, high]: [number, number]): number[] {
  const order = places.map((at, i) => ({ at, i })).sort((a, b) => a.at - b.at);
  let floor = low;
  for (const place of order) {
    place.at = Math.max(place.at, floor);
    floor = place.at + gap;
  }
  let ceiling = high;
  for (const place of order.reverse()) {
    place.at = Math.min(place.at, ceiling);
    ceiling = place.at - gap;
  }
  const moved = new Array<number>(places.length);
  for (const { at, i } of order) moved[i] = at;
  return moved;
}
