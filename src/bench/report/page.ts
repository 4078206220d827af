/** A result as one page of HTML that asks for nothing else. Pure. */
import { cardOf, headline } from '../card.js';
import type { Power, Result } from '../result.js';
import { chartsOf } from './charts.js';
import type { Documented } from './documented-chart.js';
import { bytes, duration, figure, percent } from './format.js';
import { escapeText, tag } from './markup.js';
import { STYLE } from './style.js';
import { tablesOf } from './tables.js';

/** Nothing is fetched and nothing runs. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'";

export function renderPage(result: Result, documented: readonly Documented[]): string {
  const title = headline(result);
  const main = tag(
    'main',
    {},
    header(result, title),
    tilesOf(result),
    tag('section', { class: 'charts' }, ...chartsOf(result, documented)),
    section('Every number', tablesOf(result)),
    documentedSection(result, documented),
    result.notes.length === 0 ? '' : section('Notes', list(result.notes)),
    section('To measure the same again', facts(result)),
    tag('footer', {}, escapeText(`jsg bench ${result.kind}, jsg ${result.jsg.version}`)),
  );
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${POLICY}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeText(title)}</title>`,
    `<style>${STYLE}</style>`,
    '</head>',
    `<body>${main}</body>`,
    '</html>\n',
  ].join('\n');
}

const section = (title: string, content: string) => tag('section', {}, tag('h2', {}, escapeText(title)), content);
const list = (items: readonly string[]) => tag('ul', {}, ...items.map((item) => tag('li', {}, escapeText(item))));

function header(result: Result, title: string): string {
  const { invalid, status, failure, url, server, runtime, startedAt, durationS } = result;
  const day = startedAt.replace('T', ' ').slice(0, 16);
  const lead = [`${server ?? 'server'} at ${url}`, runtime, `${day} UTC`, `ran for ${figure(durationS)} s`];
  const state =
    invalid.length > 0 ? ['bad', 'invalid'] : status === 'partial' ? ['warn', 'partial'] : ['good', 'valid'];
  return tag(
    'header',
    {},
    tag('h1', {}, escapeText(title)),
    tag(
      'p',
      { class: 'lead' },
      tag('span', { class: `state ${state[0]}` }, state[1] ?? ''),
      escapeText(lead.filter((part) => part !== null).join(' · ')),
    ),
    invalid.length === 0 ? '' : alert('', 'These figures must not be quoted:', invalid),
    status === 'complete'
      ? ''
      : alert(
          'warn',
          'The run was ended early: this is what was measured until then.',
          failure ? [failure.message] : [],
        ),
  );
}

function alert(kind: string, what: string, reasons: readonly string[]): string {
  const lines = [tag('strong', {}, escapeText(what)), ...reasons.map(escapeText)];
  return tag('div', { class: `alert ${kind}`, role: 'note' }, ...lines.map((line) => tag('p', {}, line)));
}

interface Tile {
  name: string;
  value: string;
  unit?: string;
  more?: string;
}

function tilesOf(result: Result): string {
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
    case 'decode': {
      const [first] = result.decode;
      const last = result.decode.at(-1);
      const { prefill, readBandwidthGBs } = result;
      return [
        { name: `decode, batch ${first?.batch ?? 1}`, value: figure(first?.tokensPerSecond ?? null), unit: 'token/s' },
        ...(last === first
          ? []
          : [{ name: `decode, batch ${last?.batch}`, value: figure(last?.tokensPerSecond ?? null), unit: 'token/s' }]),
        ...(first?.share == null
          ? []
          : [
              {
                name: 'of the read bandwidth',
                value: percent(first.share),
                more: `${figure(first.bandwidthGBs)} of ${figure(readBandwidthGBs)} GB/s`,
              },
            ]),
        ...(prefill === null
          ? []
          : [
              {
                name: `prefill, ${prefill.promptTokens} tokens`,
                value: figure(prefill.tokensPerSecond),
                unit: 'token/s',
                more: duration(prefill.ttftMs),
              },
            ]),
        ...powerTile(first?.power ?? null),
      ];
    }
    case 'prefill': {
      const best = result.prefill.reduce(
        (a, b) => (b.tokensPerSecond > a.tokensPerSecond ? b : a),
        result.prefill[0] ?? NO_ROW,
      );
      return [
        {
          name: 'fastest',
          value: figure(best.tokensPerSecond),
          unit: 'token/s',
          more: `${best.batch} x ${best.promptTokens} tokens`,
        },
        ...result.prefill
          .filter(({ batch }) => batch === 1)
          .map((row) => ({ name: `first token, ${row.promptTokens} tokens`, value: duration(row.ttftMs) })),
        ...powerTile(best.power),
      ];
    }
    case 'serve': {
      const best = result.serve.reduce((a, b) => (b.outputThroughput > a.outputThroughput ? b : a));
      return [
        {
          name: 'output',
          value: figure(best.outputThroughput),
          unit: 'token/s',
          more: `${figure(best.totalThroughput)} with input`,
        },
        {
          name: 'first token, p50',
          value: duration(best.ttftMs?.p50 ?? 0),
          more: `p99 ${duration(best.ttftMs?.p99 ?? 0)}`,
        },
        {
          name: 'between arrivals, p50',
          value: duration(best.itlMs?.p50 ?? 0),
          more: `p99 ${duration(best.itlMs?.p99 ?? 0)}`,
        },
        {
          name: 'requests',
          value: figure(best.requestThroughput),
          unit: 'a second',
          more: `${best.completed} done, ${best.failed} failed`,
        },
        ...(best.goodput === null
          ? []
          : [
              {
                name: 'goodput',
                value: percent(best.goodput.share),
                more: `${figure(best.goodput.requestsPerSecond)} requests/s`,
              },
            ]),
        ...powerTile(best.power),
      ];
    }
    case 'load':
      return (['cold', 'warm'] as const).flatMap((cache) => {
        const rows = result.load.filter((row) => row.cache === cache).sort((a, b) => a.firstTokenS - b.firstTokenS);
        const row = rows[Math.floor((rows.length - 1) / 2)];
        if (row === undefined) return [];
        const rate = row.bytesPerSecond === null ? {} : { more: `${bytes(row.bytesPerSecond)}/s of weights` };
        return [{ name: `first token, ${cache} page cache`, value: figure(row.firstTokenS), unit: 's', ...rate }];
      });
  }
}

const NO_ROW = { batch: 0, promptTokens: 0, tokensPerSecond: 0, spread: null, ttftMs: 0, peakShare: null, power: null };

function powerTile(power: Power | null): Tile[] {
  if (power === null) return [];
  const { tokensPerJoule, meanWatts, source } = power;
  return [
    {
      name: 'energy',
      value: figure(tokensPerJoule),
      unit: 'token/J',
      more: `${figure(meanWatts)} W, ${source.includes(' + ') ? `${source.split(' + ').length} rails` : source}`,
    },
  ];
}

function documentedSection(result: Result, documented: readonly Documented[]): string {
  if (!['decode', 'serve'].includes(result.kind) || documented.length === 0) return '';
  const lines = documented.map(
    ({ profile, model, board, tokensPerSecond, source }) =>
      `${profile}: ${tokensPerSecond} tokens a second, ${model} on ${board} (${source})`,
  );
  return section('The documented figures', list(lines));
}

function facts(result: Result): string {
  const code = new Set(['command line', 'workload', 'model sha256']);
  const entries = Object.entries(cardOf(result)).map(
    ([name, value]) =>
      tag('dt', {}, escapeText(name)) + tag('dd', { class: code.has(name) ? 'code' : null }, escapeText(value)),
  );
  return tag('dl', { class: 'facts' }, ...entries);
}
