/** A result as one page of HTML that asks for nothing else. Pure. */
import { cardOf, headline } from '../card.js';
import type { Result } from '../result.js';
import { describeLoad } from '../serve.js';
import { chartsOf } from './charts.js';
import type { Documented } from './documented-chart.js';
import { figure, whole } from './format.js';
import { escapeText, tag } from './markup.js';
import { STYLE } from './style.js';
import { tablesOf } from './tables.js';
import { tilesOf } from './tiles.js';

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
    failuresOf(result),
    status === 'complete'
      ? ''
      : alert(
          'warn',
          'The run was ended early: this is what was measured until then.',
          failure ? [failure.message] : [],
        ),
  );
}

/** Of every level, by kind, with what the first of them was told. */
function failuresOf(result: Result): string {
  if (result.kind !== 'serve') return '';
  const failed = result.serve.filter((level) => level.failed > 0);
  if (failed.length === 0) return '';
  const lines = failed.flatMap((level) =>
    Object.entries(level.failures).map(([kind, count]) => {
      const message = level.failureExamples[kind];
      const load = result.serve.length > 1 ? `${describeLoad(level)}: ` : '';
      return `${load}${count} x ${kind}${message ? `, the first: ${message}` : ''}`;
    }),
  );
  const all = failed.reduce((sum, level) => sum + level.failed, 0);
  const of = result.serve.reduce((sum, level) => sum + level.completed + level.failed, 0);
  return alert('warn', `${whole(all)} of ${whole(of)} requests failed; latencies are those of the others.`, lines);
}

function alert(kind: string, what: string, reasons: readonly string[]): string {
  const lines = [tag('strong', {}, escapeText(what)), ...reasons.map(escapeText)];
  return tag('div', { class: `alert ${kind}`, role: 'note' }, ...lines.map((line) => tag('p', {}, line)));
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
