/** A run beside what has been published. Pure. */
import { type Bar, barChart } from './bar-chart.js';
import { figure, lastPart } from './format.js';

/** A figure that somebody has published, of a profile that jsg has. */
export interface Documented {
  profile: string;
  model: string;
  board: string;
  tokensPerSecond: number;
  source: string;
}

export interface Own {
  /** Under which it was measured: `batch 1`. */
  load: string;
  model: string;
  board: string;
  tokensPerSecond: number;
}

/** Each with its board: not the same machine, and seldom the same model. */
export function documentedChart(own: Own, documented: readonly Documented[]): string {
  const bar = (
    name: string,
    { model, board, tokensPerSecond }: Omit<Own, 'load'>,
    text: string,
    tone: number,
  ): Bar => ({
    name,
    note: `${lastPart(model)} on ${board}`,
    value: tokensPerSecond,
    text,
    tone,
  });
  const bars = [
    bar(`this run, ${own.load}`, own, figure(own.tokensPerSecond), 1),
    // As they were published, to the digit.
    ...documented.map((each) => bar(each.profile, each, String(each.tokensPerSecond), 2)),
  ];
  return barChart({
    title: 'Beside the documented figures',
    summary: bars.map(({ name, note, text }) => `${name}, ${note}: ${text}`).join('; '),
    unit: 'tokens a second; documented: one stream, another board and another model unless it says so',
    bars,
    width: 1080,
  });
}
