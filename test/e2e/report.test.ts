/** The page of `jsg bench --report` as a browser draws it: what the test of its text cannot see. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderPage } from '../../src/bench/report/page.js';
import type { Result } from '../../src/bench/result.js';
import { documentedFigures } from '../../src/commands/bench-output.js';
import { decodeResult, decodeRow, loadResult, prefillResult, serveLevel, serveResult } from '../unit/bench/results.js';
import { hasBrowser, launchBrowser, NO_BROWSER } from './browser.js';

if (!hasBrowser()) console.warn(`skipped: ${NO_BROWSER}`);

const failing = {
  ...serveLevel(4, 15),
  failed: 12,
  failures: { 'http 429': 9, connection: 3 },
  failureExamples: { 'http 429': 'too many requests (Retry-After: 3)', connection: 'ECONNRESET' },
};
const RESULTS: [string, Result][] = [
  ['decode', decodeResult()],
  ['decode, one row, a long name', decodeResult({ decode: [decodeRow(1, 150)], model: `org/${'Llama-'.repeat(20)}` })],
  ['decode, many rows', decodeResult({ decode: [1, 2, 4, 8, 16, 32, 64, 128, 256].map((b) => decodeRow(b, 140 * b)) })],
  ['prefill', prefillResult()],
  ['serve', serveResult()],
  ['serve, many levels', serveResult({ serve: Array.from({ length: 14 }, (_, i) => serveLevel(i + 1, 10 + 3 * i)) })],
  [
    'serve, one level with failures',
    serveResult({ serve: [failing], status: 'partial', invalid: ['the clock moved'] }),
  ],
  ['load', loadResult()],
];

describe.skipIf(!hasBrowser())('the page of a bench', () => {
  let browser: Browser;
  const folder = mkdtempSync(join(tmpdir(), 'jsg-report-'));
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterAll(() => browser?.close());

  describe.each([1280, 390])('at %i pixels', (width) => {
    it.each(RESULTS)('%s: all of it is to be read, and nothing is asked for', async (name, result) => {
      const page = await browser.newPage({ viewport: { width, height: 900 } });
      try {
        const asked: string[] = [];
        page.on('request', (request) => asked.push(request.url()));
        const file = join(folder, `${name.replaceAll(/\W+/g, '-')}.html`);
        writeFileSync(file, renderPage(result, documentedFigures()));
        await page.goto(pathToFileURL(file).href);
        expect(asked).toEqual([pathToFileURL(file).href]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(width);
        const { numTexts, smallest, faults } = await textsOf(page);
        expect(faults).toEqual([]);
        expect(numTexts).toBeGreaterThan(3);
        expect(smallest).toBeGreaterThan(10);
      } finally {
        await page.close();
      }
    });
  });
});

/** Texts of the figures that are shown: those that touch each other or leave their drawing, and the size of the smallest. */
function textsOf(page: Page): Promise<{ numTexts: number; smallest: number; faults: string[] }> {
  return page.evaluate(() => {
    const faults: string[] = [];
    const sizes: number[] = [];
    for (const drawing of document.querySelectorAll('svg')) {
      const paper = drawing.getBoundingClientRect();
      if (paper.width === 0) continue;
      const scale = paper.width / drawing.viewBox.baseVal.width;
      const texts = [...drawing.querySelectorAll('text')].filter((each) => each.textContent !== '');
      const boxes = texts.map((each) => each.getBoundingClientRect());
      sizes.push(...texts.map((each) => Number.parseFloat(getComputedStyle(each).fontSize) * scale));
      boxes.forEach((a, i) => {
        const said = texts[i]?.textContent;
        if (a.left < paper.left - 2 || a.right > paper.right + 2) faults.push(`outside: ${said}`);
        boxes.slice(i + 1).forEach((b, k) => {
          const [across, down] = [
            Math.min(a.right, b.right) - Math.max(a.left, b.left),
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top),
          ];
          if (across > 1 && down > 3) faults.push(`${said} on ${texts[i + 1 + k]?.textContent}`);
        });
      });
    }
    return { numTexts: sizes.length, smallest: Math.min(...sizes), faults };
  });
}
