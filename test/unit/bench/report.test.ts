import { describe, expect, it } from 'vitest';
import { lineChart } from '../../../src/bench/report/line-chart.js';
import { escapeText } from '../../../src/bench/report/markup.js';
import { renderPage } from '../../../src/bench/report/page.js';
import { linearTicks, logScale, logTicks, spreadOut } from '../../../src/bench/report/scale.js';
import { formatResult } from '../../../src/bench/report/text.js';
import type { Result } from '../../../src/bench/result.js';
import { decodeResult, decodeRow, loadResult, prefillResult, serveResult } from './results.js';

const DOCUMENTED = [
  {
    profile: 'triton',
    model: 'meta-llama/X',
    board: 'Jetson AGX Orin Devkit',
    tokensPerSecond: 11.34,
    source: 'a log',
  },
];

const ALL: [string, Result][] = [
  ['decode', decodeResult()],
  [
    'decode by context',
    decodeResult({
      decode: [1, 8].flatMap((b) => [24, 2048].map((promptTokens) => ({ ...decodeRow(b, 99), promptTokens }))),
    }),
  ],
  ['prefill', prefillResult()],
  ['serve, levels', serveResult()],
  ['serve, one level', serveResult({ serve: serveResult().serve.slice(0, 1) })],
  ['load', loadResult()],
];

describe('the page', () => {
  it.each(ALL)('of %s asks for nothing from outside, and runs nothing', (_, result) => {
    const page = renderPage(result, DOCUMENTED);
    expect(page).not.toMatch(/<(script|link|img|iframe|object)\b|@import|url\(|\bon\w+=/i);
    expect([...page.matchAll(/(?:src|href)="/g)]).toEqual([]);
    expect(page).toContain("default-src 'none'");
  });

  it.each(ALL)('of %s is whole: tags closed, no number missing', (_, result) => {
    const page = renderPage(result, DOCUMENTED);
    expect(page).not.toMatch(/NaN|undefined|Infinity|\[object/);
    const body = page.slice(page.indexOf('<body>'), page.indexOf('</html>'));
    const open: string[] = [];
    for (const [, close, name = '', empty] of body.matchAll(/<(\/?)([a-z0-9]+)(?:\s[^<>]*?)?(\/?)>/g)) {
      if (close) expect(open.pop()).toBe(name);
      else if (!empty) open.push(name);
    }
    expect(open).toEqual([]);
  });

  it.each(ALL)('of %s tells in words what each figure shows', (_, result) => {
    const page = renderPage(result, DOCUMENTED);
    const labels = [...page.matchAll(/role="img" aria-label="([^"]+)"/g)].map(([, text = '']) => text);
    expect(labels.length).toBeGreaterThan(0);
    for (const text of labels) expect(text).toMatch(/\d/);
  });

  it('knows light, dark and paper', () => {
    const page = renderPage(decodeResult(), DOCUMENTED);
    for (const rule of ['prefers-color-scheme: dark', '@media print', 'color-scheme: light dark']) {
      expect(page).toContain(rule);
    }
  });

  it('names the board of what others have measured', () => {
    for (const result of [decodeResult(), serveResult()]) expect(renderPage(result, DOCUMENTED)).toContain('>11.34<');
    const page = renderPage(decodeResult(), DOCUMENTED);
    expect(page).toContain('triton: 11.34 tokens a second, meta-llama/X on Jetson AGX Orin Devkit (a log)');
    expect(page).toContain('X on Jetson AGX Orin Devkit');
  });

  it('says first what is invalid or partial', () => {
    const bad = renderPage(decodeResult({ invalid: ['the clock moved'], status: 'partial' }), []);
    expect(bad.indexOf('the clock moved')).toBeLessThan(bad.indexOf('<svg'));
    expect(bad).toContain('These figures must not be quoted');
    expect(bad).toContain('The run was ended early');
    expect(renderPage(decodeResult(), [])).not.toContain('must not be quoted');
  });

  it('of several starts tells the middle', () => {
    const [cold, warm] = loadResult().load;
    if (cold === undefined || warm === undefined) throw new Error('no starts');
    const load = [cold, { ...cold, firstTokenS: 6 }, warm];
    const page = renderPage({ ...loadResult(), load }, []);
    expect(page).toContain('<dd>5.00 <small>s</small><span>median of 2; 2.00 GB/s of weights</span>');
    expect(page).toContain('<dd>3.20 <small>s</small><span>one start; 2.00 GB/s of weights</span>');
  });

  it('takes a name of a model for text', () => {
    const page = renderPage(decodeResult({ model: '<script>alert(1)</script>', notes: ['a & b'] }), []);
    expect(page).not.toContain('<script');
    expect(page).toContain('&#60;script&#62;');
    expect(page).toContain('a &#38; b');
  });

  it('draws every figure for a screen and for a phone, with the same words', () => {
    for (const [, result] of ALL) {
      const page = renderPage(result, DOCUMENTED);
      const drawn = (name: string) =>
        [...page.matchAll(new RegExp(`<svg class="${name}" viewBox="0 0 (\\d+) .*?aria-label="([^"]+)"`, 'g'))].map(
          ([, width, label]) => ({ width: Number(width), label }),
        );
      const [roomy, narrow] = [drawn('roomy'), drawn('narrow')];
      expect(narrow.map(({ label }) => label)).toEqual(roomy.map(({ label }) => label));
      // What a phone of 390 pixels shows without making it smaller.
      for (const { width } of narrow) expect(width).toBeLessThanOrEqual(358);
    }
  });

  it('shows failures first, by kind and with what was told', () => {
    const [level] = serveResult().serve;
    if (level === undefined) throw new Error('no level');
    const failures = { 'http 429': 2, connection: 1 };
    const failed = { ...level, failed: 3, failures, failureExamples: { 'http 429': 'too many <requests>' } };
    const page = renderPage(serveResult({ serve: [failed] }), []);
    expect(page).toContain('3 of 13 requests failed; latencies are those of the others.');
    expect(page).toContain('2 x http 429, the first: too many &#60;requests&#62;');
    expect(page.indexOf('1 x connection')).toBeLessThan(page.indexOf('<svg'));
    expect(renderPage(serveResult(), [])).not.toContain('requests failed');
  });

  it('answers of one token have no time between arrivals: no figure, no tile, no zero', () => {
    const serve = serveResult().serve.map((level) => ({
      ...level,
      itlMs: null,
      tpotMs: null,
      curves: { ...level.curves, itlMs: [] },
    }));
    const page = renderPage(serveResult({ serve }), []);
    expect(page).not.toMatch(/NaN|Infinity|[Bb]etween arrivals/);
    expect(page).not.toContain('<dd>0 ms');
    expect(page).toContain('Throughput against latency: time to the first token');
  });

  it('a single row has its limit drawn, a name too long is cut', () => {
    const page = renderPage(decodeResult({ decode: [decodeRow(1, 150)], model: `org/${'m'.repeat(200)}` }), DOCUMENTED);
    expect(page).toMatch(/class="line t0 dashed" d="M[\d.]+,([\d.]+)L[\d.]+,\1"/);
    expect(page).toContain('mmm…');
  });

  it('of many levels it draws as many curves as there are colours', () => {
    const [level] = serveResult().serve;
    if (level === undefined) throw new Error('no level');
    const serve = Array.from({ length: 20 }, (_, i) => ({ ...level, maxConcurrency: i + 1 }));
    const page = renderPage(serveResult({ serve }), []);
    const [, figure = ''] = page.split('Time to the first token, distribution</');
    const [first = ''] = (figure || page.slice(page.indexOf('first token, distribution'))).split('</svg>');
    expect([...first.matchAll(/class="line /g)]).toHaveLength(6);
    expect(first).toContain('>20<');
  });

  it('holds up with nothing measured in a row, and nothing answered in a level', () => {
    const empty = {
      ...decodeRow(1, 1),
      tokensPerSecond: null,
      spread: null,
      share: null,
      power: null,
      bytesPerToken: null,
    };
    expect(renderPage(decodeResult({ decode: [empty], prefill: null, readBandwidthGBs: null }), [])).not.toContain(
      'NaN',
    );
    const [level] = serveResult().serve;
    if (level === undefined) throw new Error('no level');
    const failed = {
      ...level,
      completed: 0,
      ttftMs: null,
      itlMs: null,
      tpotMs: null,
      e2eMs: null,
      curves: { ttftMs: [], itlMs: [], e2eMs: [] },
    };
    expect(renderPage(serveResult({ serve: [failed] }), [])).not.toContain('NaN');
  });
});

describe('scales', () => {
  it('linear ticks are round and reach the end', () => {
    expect(linearTicks(97)).toEqual([0, 20, 40, 60, 80, 100]);
    expect(linearTicks(0.3)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(linearTicks(1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(linearTicks(0)).toEqual([0, 1]);
  });

  it('logarithmic ticks are 1, 2, 5, or powers alone over many decades', () => {
    expect(logTicks(9, 130)).toEqual([10, 20, 50, 100]);
    expect(logTicks(1, 1e6)).toEqual([1, 10, 100, 1000, 1e4, 1e5, 1e6]);
  });

  it('a logarithmic scale gives each doubling the same way', () => {
    const { at } = logScale(1, 8, [0, 300], 1);
    expect([1, 2, 4, 8].map((value) => Math.round(at(value)))).toEqual([0, 100, 200, 300]);
  });

  it('labels are moved apart, keep their order, and stay within', () => {
    const moved = spreadOut([100, 102, 101, 199], 10, [0, 200]);
    const sorted = [...moved].sort((a, b) => a - b);
    expect(moved[0]).toBeLessThan(moved[2] ?? 0);
    expect(moved[2]).toBeLessThan(moved[1] ?? 0);
    for (let i = 1; i < sorted.length; i++) expect((sorted[i] ?? 0) - (sorted[i - 1] ?? 0)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...moved)).toBeLessThanOrEqual(200);
  });

  it('values of points that lie close do not cover each other', () => {
    const axis = { title: '', kind: 'linear' as const, format: String };
    const points = [100, 101, 102].map((x) => ({ x, y: 5, label: `v${x}` }));
    const svg = lineChart({
      title: 't',
      summary: 's',
      x: axis,
      y: axis,
      series: [{ name: '', tone: 1, hasMarks: true, points }],
    });
    const [, first = ''] = svg.split('<svg');
    const places = [...first.matchAll(/<text x="([\d.]+)" y="([\d.]+)" class="value"/g)].map(([, x, y]) => `${x} ${y}`);
    expect(new Set(places).size).toBe(3);
  });
});

it('escapes what markup could take for itself', () => {
  expect(escapeText(`<a href="x" o='y'>&`)).toBe('&#60;a href=&#34;x&#34; o=&#39;y&#39;&#62;&#38;');
});

describe('formatResult', () => {
  it('shows rates, bytes and the share of the limit', () => {
    const reference = { board: 'AGX Orin', gen_throughput: 11.19, source: 'a log' };
    const text = formatResult(decodeResult({ reference, notes: ['a doubt'] }));
    expect(text).toContain('org/model at http://127.0.0.1:30000, sm_87, 12 threads');
    expect(text).toMatch(/batch 8\s+1100\.0\s+137\.5\s+12\.3\s+125\.0 MB\s+137\.5\s+81 %\s+40\.0\s+2\.50/);
    expect(text).toContain('prefill  4000.0 token/s, 512 tokens in 128.0 ms');
    expect(text).toContain('read bandwidth  170.0 GB/s; 1.00 GB of weights allow 170 token/s at batch 1');
    expect(text).toContain('documented  11.19 token/s on AGX Orin (a log)');
    expect(text).toContain('note  a doubt');
  });

  it('shows a dash for what could not be measured', () => {
    const [row] = decodeResult().decode;
    if (row === undefined) throw new Error('no row');
    const unknown = {
      ...row,
      tokensPerSecond: null,
      bytesPerToken: null,
      bandwidthGBs: null,
      share: null,
      power: null,
    };
    const text = formatResult(decodeResult({ decode: [unknown], prefill: null, readBandwidthGBs: null }));
    expect(text).toMatch(/batch 1\s+-\s+-\s+12\.3\s+-\s+-\s+-\n/);
    expect(text).not.toContain('read bandwidth');
    expect(text).not.toContain('WATTS');
  });

  it('says before all else that figures are partial or not valid', () => {
    const text = formatResult(decodeResult({ status: 'partial', invalid: ['the clock moved'] }));
    expect(text).toMatch(/^PARTIAL: .*\nINVALID: the clock moved\n/);
  });

  it('of a level: counts, throughput, goodput and percentiles', () => {
    const text = formatResult(serveResult({ serve: serveResult().serve.slice(0, 1) }));
    expect(text).toContain('1 at a time\n');
    expect(text).toContain('10 done, 0 failed');
    expect(text).toMatch(/goodput +1\.25 requests\/s, 60 % of the requests/);
    expect(text).toMatch(/ITL +10\.0 +10\.0 +10\.0 +10\.0 +10\.0/);
  });

  it('of failures says their kinds', () => {
    const [level] = serveResult().serve;
    if (level === undefined) throw new Error('no level');
    const failed = { ...level, failed: 3, failures: { 'http 429': 2, connection: 1 }, cancelled: 4 };
    expect(formatResult(serveResult({ serve: [failed] }))).toContain(
      '10 done, 3 failed (2 x http 429, 1 x connection), 4 cancelled',
    );
  });

  it('of a start: the state of the page cache as it was', () => {
    expect(formatResult(loadResult())).toMatch(/cold +0 % +1\.00 GB +0\.50 +2\.00 +3\.00 +4\.00/);
  });
});
