/** The figures that a person tells others, at the head of a page. Pure. */
import type { Power, PrefillRow, Result, ResultOf, ServeLevel } from '../result.js';
import { describeLoad, fastest } from '../serve.js';
import { median, type Summary } from '../stats.js';
import { bytes, duration, figure, percent } from './format.js';
import { escapeText, tag } from './markup.js';

interface Tile {
  name: string;
  value: string;
  unit?: string;
  more?: string;
}

export function tilesOf(result: Result): string {
  const tiles = keyFigures(result).map(({ name, value, unit = '', more = '' }) =>
    tag(
      'div',
      {},
      tag('dt', {}, escapeText(name)),
      tag(
        'dd',
        {},
        escapeText(value),
        unit && ` <small>${escapeText(unit)}</small>`,
        more && tag('span', {}, escapeText(more)),
      ),
    ),
  );
  return tag('dl', { class: 'tiles' }, ...tiles);
}

function keyFigures(result: Result): Tile[] {
  switch (result.kind) {
    case 'decode':
      return decodeTiles(result);
    case 'prefill':
      return prefillTiles(result.prefill);
    case 'serve':
      return serveTiles(result.serve);
    case 'load':
      return loadTiles(result);
  }
}

/** What is not known has no tile. */
const given = (...tiles: (Tile | null)[]): Tile[] => tiles.filter((tile) => tile !== null);

function decodeTiles({ decode, prefill, readBandwidthGBs }: ResultOf<'decode'>): Tile[] {
  const [first, last] = [decode[0], decode.at(-1)];
  const rateOf = ({ batch, tokensPerSecond }: (typeof decode)[number]): Tile => ({
    name: `decode, batch ${batch}`,
    value: figure(tokensPerSecond),
    unit: 'token/s',
  });
  if (first === undefined) return [];
  return given(
    rateOf(first),
    last === undefined || last === first ? null : rateOf(last),
    first.share === null
      ? null
      : {
          name: 'of the read bandwidth',
          value: percent(first.share),
          more: `${figure(first.bandwidthGBs)} of ${figure(readBandwidthGBs)} GB/s`,
        },
    prefill === null
      ? null
      : {
          name: `prefill, ${prefill.promptTokens} tokens`,
          value: figure(prefill.tokensPerSecond),
          unit: 'token/s',
          more: duration(prefill.ttftMs),
        },
    powerTile(first.power),
  );
}

function prefillTiles(rows: readonly PrefillRow[]): Tile[] {
  const [best] = [...rows].sort((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  if (best === undefined) return [];
  return given(
    {
      name: 'fastest',
      value: figure(best.tokensPerSecond),
      unit: 'token/s',
      more: `${best.batch} x ${best.promptTokens} tokens`,
    },
    ...rows
      .filter(({ batch }) => batch === 1)
      .map((row) => ({ name: `first token, ${row.promptTokens} tokens`, value: duration(row.ttftMs) })),
    powerTile(best.power),
  );
}

function serveTiles(levels: readonly ServeLevel[]): Tile[] {
  const best = fastest(levels);
  if (best === null) return [];
  const { goodput } = best;
  return given(
    {
      name: `output, ${describeLoad(best)}`,
      value: figure(best.outputThroughput),
      unit: 'token/s',
      more: `${figure(best.totalThroughput)} with input`,
    },
    latencyTile('first token, p50', best.ttftMs),
    latencyTile('between arrivals, p50', best.itlMs),
    {
      name: 'requests',
      value: figure(best.requestThroughput),
      unit: 'a second',
      more: `${best.completed} done, ${best.failed} failed`,
    },
    goodput === null
      ? null
      : { name: 'goodput', value: percent(goodput.share), more: `${figure(goodput.requestsPerSecond)} requests/s` },
    powerTile(best.power),
  );
}

function latencyTile(name: string, summary: Summary | null): Tile | null {
  return summary === null ? null : { name, value: duration(summary.p50), more: `p99 ${duration(summary.p99)}` };
}

function loadTiles({ load }: ResultOf<'load'>): Tile[] {
  return (['cold', 'warm'] as const).flatMap((cache) => {
    const rows = load.filter((row) => row.cache === cache);
    const seconds = median(rows.map(({ firstTokenS }) => firstTokenS));
    const rate = median(rows.flatMap(({ bytesPerSecond }) => bytesPerSecond ?? []));
    if (seconds === null) return [];
    const of = rows.length > 1 ? `median of ${rows.length}` : 'one start';
    const more = rate === null ? of : `${of}; ${bytes(rate)}/s of weights`;
    return [{ name: `first token, ${cache} page cache`, value: figure(seconds), unit: 's', more }];
  });
}

function powerTile(power: Power | null): Tile | null {
  if (power === null) return null;
  const { tokensPerJoule, meanWatts, source } = power;
  const rails = source.split(' + ').length;
  return {
    name: 'energy',
    value: figure(tokensPerJoule),
    unit: 'token/J',
    more: `${figure(meanWatts)} W, ${rails > 1 ? `${rails} rails` : source}`,
  };
}
