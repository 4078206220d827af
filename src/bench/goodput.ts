/** Goodput: requests that kept to a service level. Pure. */
import { JsgError } from '../errors.js';
import { ascending, quantile } from './stats.js';
import { endToEndMs, interTokenGapsMs, type Trace, timePerOutputTokenMs, timeToFirstTokenMs } from './trace.js';

const METRICS = ['ttft', 'itl', 'tpot', 'e2el'] as const;
type Metric = (typeof METRICS)[number];

/** Milliseconds that a request may take at most. */
export type ServiceLevel = Partial<Record<Metric, number>>;

/** `['ttft:500', 'itl:50']`; throws E_USAGE. */
export function parseServiceLevel(words: readonly string[]): ServiceLevel {
  const level: ServiceLevel = {};
  for (const word of words.flatMap((each) => each.split(/[\s,]+/)).filter(Boolean)) {
    const [name = '', text = ''] = word.split(':');
    const metric = METRICS.find((known) => known === (name === 'e2e' ? 'e2el' : name));
    const limit = Number(text);
    if (metric === undefined || !(limit > 0)) {
      throw new JsgError('E_USAGE', `--goodput: '${word}' is not one of ${METRICS.join(', ')} with milliseconds`, {
        hint: 'For example --goodput ttft:500 itl:50',
      });
    }
    level[metric] = limit;
  }
  return level;
}

/** Whether a request went well in time. Of its gaps, 99 % must keep to `itl`. */
export function keeps(level: ServiceLevel, trace: Trace): boolean {
  if (trace.failure !== null) return false;
  const within = (metric: Metric, value: number | null) =>
    level[metric] === undefined || value === null || value <= level[metric];
  const gaps = level.itl === undefined ? [] : interTokenGapsMs(trace);
  const gap = gaps.length === 0 ? null : quantile(ascending(gaps), 0.99);
  return (
    within('ttft', timeToFirstTokenMs(trace)) &&
    within('itl', gap) &&
    within('tpot', timePerOutputTokenMs(trace)) &&
    within('e2el', endToEndMs(trace))
  );
}
