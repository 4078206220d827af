/** `jsg bench compare A.json B.json`: ratios of two results, with their noise. */
import { type Comparison, cautions, compare, differences, requireAlike } from '../bench/compare.js';
import { figure, fixed } from '../bench/report/format.js';
import { endOf } from '../bench/report/text.js';
import { type Result, readResult } from '../bench/result.js';
import { JsgError } from '../errors.js';
import { formatTable } from '../table.js';
import type { Options } from './settings.js';

export async function benchCompare(options: Options, args: string[]): Promise<number> {
  const [pathA, pathB] = args;
  if (pathA === undefined || pathB === undefined || args.length > 2) {
    throw new JsgError('E_USAGE', 'two results are compared', { hint: 'jsg bench compare A.json B.json' });
  }
  const [a, b] = [readResult(pathA), readResult(pathB)];
  requireAlike(a, b, options.force === true);
  const rows = compare(a, b);
  if (rows.length === 0) throw new JsgError('E_USAGE', 'the two results have no figure in common');
  const warnings = [
    ...warningsOf('A', a),
    ...warningsOf('B', b),
    ...differences(a, b).map((text) => `differs: ${text}`),
    ...cautions(a, b),
  ];
  const sides = { a: sideOf(pathA, a), b: sideOf(pathB, b) };
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ version: 1, ...sides, warnings, comparisons: rows }, null, 2)}\n`
      : formatComparison(sides, warnings, rows),
  );
  return 0;
}

const sideOf = (path: string, { model, url, server, device, startedAt, invalid, status }: Result) => ({
  ...{ path, model, url, server, device: device.name, startedAt, invalid, status },
});

function warningsOf(side: string, result: Result): string[] {
  return [
    ...result.invalid.map((reason) => `${side} is INVALID: ${reason}`),
    ...(result.status === 'partial' ? [`${side} is partial: ${endOf(result)}`] : []),
  ];
}

const NOT_KNOWN = 'noise not known: measured once, or too few requests (a p99 takes some 1,000, a p90 some 100)';

type Sides = { a: ReturnType<typeof sideOf>; b: ReturnType<typeof sideOf> };

function formatComparison({ a, b }: Sides, warnings: string[], rows: Comparison[]): string {
  const heads = [
    ['A', a],
    ['B', b],
  ] as const;
  const lines = heads.map(([side, { path, model, device, server }]) =>
    [side, path, model, server ?? '', device].join('  '),
  );
  const table = formatTable(
    [
      ['', 'A', 'B', '', 'B/A', 'MAY BE', ''],
      ...rows.map(({ what, a: left, b: right, unit, ratio, range, verdict }) => [
        what,
        figure(left),
        figure(right),
        unit,
        fixed(ratio, 3),
        range === null ? '-' : `${range[0].toFixed(2)} to ${range[1].toFixed(2)}`,
        verdict === 'unknown' ? 'noise not known' : verdict,
      ]),
    ],
    1,
  );
  const isUnknown = rows.some(({ verdict }) => verdict === 'unknown');
  const why = isUnknown ? `\n${NOT_KNOWN}\n` : '';
  return `${lines.join('\n')}\n${warnings.map((line) => `${line}\n`).join('')}\n${table}${why}`;
}
