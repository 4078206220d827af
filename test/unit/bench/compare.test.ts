import { describe, expect, it } from 'vitest';
import { cardOf, cardToMarkdown, headline } from '../../../src/bench/card.js';
import { cautions, compare, requireAlike } from '../../../src/bench/compare.js';
import { normal, seededRandom } from '../../../src/bench/random.js';
import { parseResult } from '../../../src/bench/result.js';
import { serveFigures } from '../../../src/bench/serve-figures.js';
import { median, spread } from '../../../src/bench/stats.js';
import { decodeResult, decodeRow, loadResult, prefillResult, serveResult } from './results.js';
import { trace } from './traces.js';

describe('compare', () => {
  const rates = (a: number, b: number, noise = 0.01) =>
    compare(decodeResult({ decode: [decodeRow(1, a, noise)] }), decodeResult({ decode: [decodeRow(1, b, noise)] }))[0];

  it('tells a difference from noise', () => {
    expect(rates(100, 110)).toMatchObject({ what: 'decode, batch 1', ratio: 1.1, verdict: 'better', isRate: true });
    expect(rates(100, 90)?.verdict).toBe('worse');
    expect(rates(100, 101)?.verdict).toBe('within noise');
    expect(rates(100, 110, 0.1)?.verdict).toBe('within noise');
    const [low, high] = rates(100, 110)?.range ?? [0, 0];
    // Three repeats a side with a deviation of 1 %: a standard error of 1 % / sqrt 3 each, t of 4 degrees of freedom.
    const factor = Math.exp(2.776 * Math.sqrt(Math.PI / 2) * 0.01 * Math.sqrt(2 / 3));
    expect(low).toBeCloseTo(1.1 / factor, 6);
    expect(high).toBeCloseTo(1.1 * factor, 6);
  });

  it('seldom calls a rerun a difference, and tells one that is a fifth slower', () => {
    const random = seededRandom(1);
    const measured = (rate: number, repeats: number) => {
      const rates = Array.from({ length: repeats }, () => rate * (1 + 0.02 * normal(random)));
      const row = { ...decodeRow(1, median(rates) ?? 0), spread: spread(rates), repeats: rates };
      return decodeResult({ decode: [row], prefill: null });
    };
    const verdicts = (other: number, repeats: number) =>
      Array.from({ length: 300 }, () => compare(measured(100, repeats), measured(other, repeats))[0]?.verdict);
    for (const repeats of [2, 3, 5, 10]) {
      const wrong = verdicts(100, repeats).filter((verdict) => verdict !== 'within noise');
      expect(wrong.length).toBeLessThan(0.06 * 300);
    }
    for (const repeats of [3, 5, 10]) expect(new Set(verdicts(80, repeats))).toEqual(new Set(['worse']));
  });

  it('a load under which the machine drifts is compared with what its parts say', () => {
    const random = seededRandom(2);
    const run = (scale: number) => {
      let [drift, atMs] = [0, 0];
      const traces = Array.from({ length: 200 }, () => {
        drift = 0.9 * drift + 0.02 * normal(random);
        const pieceMs = [atMs + 100];
        for (let i = 1; i < 32; i++) {
          pieceMs.push((pieceMs.at(-1) ?? 0) + scale * 10 * Math.exp(drift + 0.2 * normal(random)));
        }
        const one = trace({ startMs: atMs, pieceMs });
        atMs = one.endMs;
        return one;
      });
      const figures = serveFigures(traces, 0, null);
      const [level] = serveResult().serve;
      return serveResult({ serve: level === undefined ? [] : [{ ...level, ...figures }] });
    };
    const verdicts = (other: number) =>
      Array.from(
        { length: 40 },
        () => compare(run(1), run(other)).find(({ what }) => what.endsWith('ITL p50'))?.verdict,
      );
    expect(verdicts(1).filter((verdict) => verdict !== 'within noise').length).toBeLessThanOrEqual(6);
    expect(verdicts(1.2).filter((verdict) => verdict === 'worse').length).toBeGreaterThan(36);
  });

  it('a side that is 0 has no ratio, and is there', () => {
    const good = serveResult();
    const bad = serveResult({
      serve: good.serve.map((level) => ({ ...level, goodput: { requestsPerSecond: 0, share: 0 } })),
    });
    const of = (a: typeof good, b: typeof good) => compare(a, b).find(({ what }) => what === '1 at a time: goodput');
    expect(of(bad, good)).toMatchObject({ a: 0, ratio: null, range: null, verdict: 'unknown' });
    expect(of(good, bad)).toMatchObject({ b: 0, ratio: 0, verdict: 'unknown' });
  });

  it('cautions against what ratios do not show', () => {
    const failed = serveResult({ serve: serveResult().serve.map((level) => ({ ...level, failed: 5 })) });
    const other = serveResult({ model: 'x', endpoint: '/v1/chat/completions' });
    expect(cautions(serveResult(), serveResult())).toEqual([]);
    expect(cautions(serveResult(), other)).toEqual([
      'another model: org/model and x',
      'another endpoint: /v1/completions and /v1/chat/completions',
    ]);
    expect(cautions(serveResult(), failed)[0]).toBe(
      'B, 1 at a time: 5 of 15 requests failed, and latencies are those of the others',
    );
  });

  it('takes results from before repeats were kept by their spread', () => {
    const old = (rate: number) => ({ ...decodeRow(1, rate), repeats: [] });
    const [found] = compare(decodeResult({ decode: [old(100)] }), decodeResult({ decode: [old(110)] }));
    expect(found).toMatchObject({
      verdict: 'better',
      range: [expect.closeTo(1.1 * (1 - Math.SQRT2 / 100), 3), expect.any(Number)],
    });
  });

  it('does not judge what was measured once', () => {
    expect(rates(100, 110, 0)).toMatchObject({ range: null, verdict: 'unknown' });
  });

  it('a longer latency is worse', () => {
    const withP99 = (p99: number) =>
      serveResult({
        serve: serveResult().serve.map((level) => ({
          ...level,
          itlMs: level.itlMs && {
            ...level.itlMs,
            p99,
            ci95: { ...level.itlMs.ci95, p99: [p99 - 10, p99 + 10] as [number, number] },
          },
        })),
      });
    const [fast, slow] = [withP99(500), withP99(999)];
    const found = compare(fast, slow).find(({ what }) => what === '4 at a time: ITL p99');
    expect(found).toMatchObject({ verdict: 'worse', unit: 'ms', isRate: false });
  });

  it('has a figure of every kind', () => {
    const what = (result: Parameters<typeof compare>[0]) => compare(result, result).map((each) => each.what);
    expect(what(decodeResult())).toEqual([
      'decode, batch 1',
      'decode, batch 1: energy',
      'decode, batch 8',
      'decode, batch 8: energy',
      'prefill, 1 x 512 tokens',
    ]);
    expect(what(prefillResult())).toContain('prefill, 4 x 128 tokens');
    expect(what(serveResult())).toContain('16 at a time: TTFT p50');
    expect(what(loadResult())).toEqual(['first token, cold page cache', 'first token, warm page cache']);
    const itself = compare(serveResult(), serveResult());
    expect(itself.every(({ ratio, verdict }) => ratio === 1 && verdict === 'within noise')).toBe(true);
  });

  it('refuses unlike workloads, unless forced, and unlike kinds always', () => {
    const other = decodeResult({ workload: { batches: [1, 8], maxTokens: 64 } });
    expect(() => requireAlike(decodeResult(), other, false)).toThrow('the workloads differ: maxTokens: 128 and 64');
    expect(() => requireAlike(decodeResult(), other, true)).not.toThrow();
    expect(() => requireAlike(decodeResult(), serveResult(), true)).toThrow('one measures decode, the other serve');
    // Another model on another machine is what comparing is for.
    expect(() => requireAlike(decodeResult(), decodeResult({ model: 'x', url: 'http://y' }), false)).not.toThrow();
  });
});

describe('parseResult', () => {
  it.each([decodeResult(), prefillResult(), serveResult(), loadResult()])(
    'takes a $kind that was written',
    (result) => {
      expect(parseResult(JSON.parse(JSON.stringify(result)), 'f')).toEqual(result);
    },
  );

  it.each<[unknown, string]>([
    [{}, 'f is no result of jsg bench'],
    [null, 'f is no result of jsg bench'],
    [{ ...decodeResult(), version: 2 }, 'f is a result of version 2; this jsg reads version 1'],
    [{ ...decodeResult(), decode: 5 }, 'f: decode: '],
  ])('refuses %o', (parsed, message) => {
    expect(() => parseResult(parsed, 'f')).toThrow(message);
  });
});

describe('the card', () => {
  it('has all that measuring again takes', () => {
    expect(cardOf(decodeResult())).toMatchObject({
      board: 'Jetson AGX Orin 64GB',
      module: 'p3701-0005',
      L4T: '36.4.4 (JetPack 6.2.1)',
      GPU: 'Orin (nvgpu), driver 540.4.0, CUDA 12.6',
      'power mode': 'MAXN',
      'clocks before': 'CPU 2,201 of 2,201 MHz, GPU 1,300 of 1,300 MHz, memory 3,199 of 3,199 MHz, locked, 52 °C',
      jsg: '0.1.0, commit abc123, Node.js v22.0.0',
      'model sha256': `${'f'.repeat(64)} (model.gguf)`,
      'command line': 'jsg bench --profile smollm2',
      valid: 'yes',
    });
    expect(cardOf(decodeResult({ invalid: ['x'] })).valid).toBe('NO: x');
  });

  it('is Markdown, with the figures', () => {
    const card = cardToMarkdown(decodeResult({ commandLine: "jsg bench --model 'a|b'" }));
    expect(card).toMatch(
      /^# model on Jetson AGX Orin 64GB: 150 tokens a second at batch 1 \(88 % of the read bandwidth\)\n/,
    );
    expect(card).toContain("| command line | jsg bench --model 'a\\|b' |");
    expect(card).toContain('    batch 8');
  });

  it('has a headline of every kind', () => {
    expect(headline(prefillResult())).toContain('4,000 prompt tokens a second');
    expect(headline(serveResult())).toContain('output tokens a second');
    const [cold, warm] = loadResult().load;
    if (cold === undefined || warm === undefined) throw new Error('no starts');
    const load = [cold, { ...cold, firstTokenS: 6 }, { ...warm, firstTokenS: 0.1 }];
    expect(headline({ ...loadResult(), load })).toContain('first token 5.00 s after the start (cold page cache)');
  });
});
