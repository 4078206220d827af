import { describe, expect, it } from 'vitest';
import { cardOf, cardToMarkdown, headline } from '../../../src/bench/card.js';
import { compare, requireAlike } from '../../../src/bench/compare.js';
import { parseResult } from '../../../src/bench/result.js';
import { decodeResult, decodeRow, loadResult, prefillResult, serveResult } from './results.js';

describe('compare', () => {
  const rates = (a: number, b: number, noise = 0.01) =>
    compare(decodeResult({ decode: [decodeRow(1, a, noise)] }), decodeResult({ decode: [decodeRow(1, b, noise)] }))[0];

  it('tells a difference from noise', () => {
    expect(rates(100, 110)).toMatchObject({ what: 'decode, batch 1', ratio: 1.1, verdict: 'better', isRate: true });
    expect(rates(100, 90)?.verdict).toBe('worse');
    expect(rates(100, 101)?.verdict).toBe('within noise');
    expect(rates(100, 110, 0.1)?.verdict).toBe('within noise');
    const [low, high] = rates(100, 110)?.range ?? [0, 0];
    // Two errors of 1 % together: 1.41 %.
    expect(low).toBeCloseTo(1.1 * (1 - Math.SQRT2 / 100), 6);
    expect(high).toBeCloseTo(1.1 * (1 + Math.SQRT2 / 100), 6);
  });

  it('does not judge what was measured once', () => {
    expect(rates(100, 110, 0)).toMatchObject({ range: null, verdict: 'unknown' });
  });

  it('a longer latency is worse', () => {
    const [fast, slow] = [
      serveResult(),
      serveResult({
        serve: serveResult().serve.map((level) => ({
          ...level,
          itlMs: level.itlMs && {
            ...level.itlMs,
            p99: 999,
            ci95: { ...level.itlMs.ci95, p99: [990, 1010] as [number, number] },
          },
        })),
      }),
    ];
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
    expect(compare(serveResult(), serveResult()).every(({ ratio }) => ratio === 1)).toBe(true);
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
    expect(headline(loadResult())).toContain('first token 3.20 s after the start');
  });
});
