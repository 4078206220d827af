/** The page at / for everybody: keyboard, light and dark, phones, hostile answers, faults. */
import axe from 'axe-core';
import type { Page, Request } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Jsg } from './jsg.js';
import {
  addToRequests,
  answerWith,
  ask,
  type Browser,
  ENDLESS,
  FRANCE,
  LONG,
  lastAnswer,
  launchBrowser,
  open,
  serve,
  WHY_NOT,
} from './page-spec.js';

if (WHY_NOT) console.log(`skipped: test/e2e/page-care.test.ts: ${WHY_NOT}`);

/** Nobody listens there. */
const ELSEWHERE = 'http://127.0.0.2:9/';

let browser: Browser;
let page: Page;
let requests: Request[];
if (!WHY_NOT) {
  beforeAll(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    await page?.context().close();
  });
  afterAll(async () => {
    await browser?.close();
  });
}

const focused = () =>
  page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.id);
/** What axe finds, each with the element. */
async function faults(): Promise<string[]> {
  await page.addScriptTag({ content: axe.source });
  const { violations } = await page.evaluate(() => (window as unknown as { axe: typeof axe }).axe.run());
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}

const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);

describe.skipIf(WHY_NOT)('the page, for everybody', () => {
  let server: Jsg;
  let url = '';
  beforeAll(async () => {
    ({ server, url } = await serve(['--max-running-requests', '2', '--max-queued-requests', '2']));
  });
  afterAll(async () => {
    await server?.end('SIGKILL');
  });
  const visit = async (options = {}) => {
    ({ page, requests } = await open(browser, url, options));
  };

  it('is usable by the keyboard alone', async () => {
    await visit();
    await expect.poll(focused).toBe('question');
    await addToRequests(page, ENDLESS);
    await page.keyboard.type('Count from 1 to 1000,');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('one number a line.');
    expect(await page.getByLabel('Message').inputValue()).toBe(LONG.replace(', ', ',\n'));
    await page.keyboard.press('Enter');
    await page.locator('.answer .markdown').waitFor();
    await page.keyboard.press('Escape');
    await lastAnswer(page);
    expect(await page.locator('.measured').textContent()).toMatch(/^stopped/);

    // Every stop of the tab order shows that it is the one.
    const stops: (string | null)[] = [];
    while (!stops.includes('Code')) {
      expect(stops.length).toBeLessThan(20);
      await page.keyboard.press('Shift+Tab');
      const [text, outline] = await page.evaluate(() => {
        const at = document.activeElement as Element;
        return [at.getAttribute('aria-label') ?? at.textContent, getComputedStyle(at).outlineStyle];
      });
      stops.push(text);
      expect(outline, text ?? '').toBe('solid');
    }
    expect(stops).toContain('Light or dark');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Code');
  });

  it.each(['light', 'dark'] as const)('keeps the rules of WCAG 2.1 AA in %s', async (colorScheme) => {
    // The judge is a script of its own, which the page's policy would not let in.
    await visit({ colorScheme, bypassCSP: true });
    await ask(page, FRANCE);
    await page.getByLabel('JSON schema').check();
    await page.getByText('More').click();
    expect(await faults()).toEqual([]);
    await answerWith(page, {
      content: '# Title\n\n- [ ] to do\n\n| a |\n|--|\n| 1 |\n\n[a link](https://example.org)',
    });
    await page.getByLabel('Text', { exact: true }).check();
    await ask(page, FRANCE);
    // The panels, and their headings, are gone then.
    await page.setViewportSize({ width: 390, height: 800 });
    expect(await faults()).toEqual([]);
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole('button', { name: 'Code' }).click();
    expect(await faults()).toEqual([]);
  });

  it('is light or dark as the system is, and as the user says', async () => {
    await visit({ colorScheme: 'light' });
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    const dark = await background();
    expect(dark).not.toBe(light);
    await page.getByRole('button', { name: 'Light or dark' }).click();
    expect(await background()).toBe(light);
    await page.reload();
    expect(await background()).toBe(light);
    await page.getByRole('button', { name: 'Light or dark' }).click();
    expect(await background()).toBe(dark);
  });

  it('fits a phone', async () => {
    await visit({ viewport: { width: 360, height: 740 }, hasTouch: true });
    await page.getByRole('button', { name: FRANCE }).click();
    await lastAnswer(page);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
    expect(await page.getByLabel('Temperature', { exact: true }).isVisible()).toBe(false);
    await page.getByRole('button', { name: 'Settings', exact: true }).click();
    expect(await page.getByLabel('Temperature', { exact: true }).isVisible()).toBe(true);
    await expect.poll(focused).toBe('Close settings');
    await page.keyboard.press('Escape');
    expect(await page.getByLabel('Temperature', { exact: true }).isVisible()).toBe(false);
    await expect.poll(focused).toBe('open-settings');
  });

  it('shows markup in an answer as text, and fetches nothing that it names', async () => {
    await visit();
    const hostile =
      '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script> **bold** ' +
      `[a link](javascript:window.pwned=1) ![a picture](${ELSEWHERE}p.png) [fine](https://example.org/)`;
    // The model is held to this very text: what is shown is what it generated.
    const regex = hostile.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    await addToRequests(page, { regex, max_tokens: 300 });
    const text = await ask(page, 'Be hostile.');
    expect(text).toContain('<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>');
    const answer = page.locator('.answer');
    expect(await answer.locator('strong').textContent()).toBe('bold');
    expect(await answer.locator('img, script, iframe, [onerror]').count()).toBe(0);
    const links = await answer.locator('a').evaluateAll((all) => all.map((each) => each.getAttribute('href')));
    expect(links).toEqual([`${ELSEWHERE}p.png`, 'https://example.org/']);
    expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
  });

  it.each([
    ['quotes', '> '.repeat(900)],
    ['more quotes', '>'.repeat(20_000)],
    ['lists', '- '.repeat(900)],
    ['emphasis', '*'.repeat(20_000)],
  ])('survives %s without end', async (_, nested) => {
    await visit();
    await answerWith(page, { content: `${nested}inside` });
    expect(await ask(page, FRANCE)).toContain('inside');
    await page.unroute('**/v1/chat/completions');
    await page.getByRole('button', { name: 'New chat' }).click();
    expect(await ask(page, FRANCE)).toContain('Paris');
  });

  it('asks nobody but its server, and could not', async () => {
    await visit();
    await ask(page, FRANCE);
    await page.getByRole('button', { name: 'Code' }).click();
    expect(requests.length).toBeGreaterThan(5);
    expect(requests.map((each) => each.url()).filter((each) => !each.startsWith(`${url}/`))).toEqual([]);
    const blocked = await page.evaluate(async (elsewhere) => {
      const violated: string[] = [];
      document.addEventListener('securitypolicyviolation', (event) => violated.push(event.effectiveDirective));
      await fetch(elsewhere).catch(() => {});
      const picture = new Image();
      picture.src = `${elsewhere}p.png`;
      await picture.decode().catch(() => {});
      try {
        document.body.innerHTML = '<b>no</b>';
      } catch {
        violated.push('innerHTML');
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
      return violated;
    }, ELSEWHERE);
    expect(blocked).toEqual(expect.arrayContaining(['connect-src', 'img-src', 'innerHTML']));
  });

  it('says what a refused request got wrong, and marks the field', async () => {
    await visit();
    await page.getByLabel('Temperature', { exact: true }).fill('5');
    await page.getByLabel('Message').fill(FRANCE);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('temperature: must be a number from 0 to 2');
    expect(await page.getByLabel('Temperature', { exact: true }).getAttribute('aria-invalid')).toBe('true');
    await page.getByLabel('Temperature', { exact: true }).fill('0');
    await page.getByRole('button', { name: 'Try again' }).click();
    expect(await lastAnswer(page)).toContain('Paris');
  });

  it('says that the queue is full, and when to try again', async () => {
    await visit();
    const ends = new AbortController();
    const body = { messages: [{ role: 'user', content: LONG }], max_tokens: 800, ignore_eos: true, stream: true };
    const flood = Array.from({ length: 8 }, () =>
      fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
        signal: ends.signal,
      }).catch(() => null),
    );
    const numQueued = async () => (await (await fetch(`${url}/v1/loads`)).json()).loads[0].num_waiting_reqs;
    await expect.poll(numQueued, { timeout: 20_000 }).toBe(2);
    await page.getByLabel('Message').fill(FRANCE);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toMatch(
      /The server is busy: its queue is full.*Try again in 1 s/,
    );
    ends.abort();
    await Promise.all(flood);
  });
});

describe.skipIf(WHY_NOT)('jsg launch --no-ui', () => {
  it('has no page', async () => {
    const { server, url } = await serve(['--no-ui']);
    try {
      let status = 0;
      ({ page } = await open(browser, `${url}/health`));
      page.on('response', (response) => {
        status = response.status();
      });
      await page.goto(`${url}/`);
      expect(status).toBe(404);
      expect(JSON.parse((await page.locator('body').textContent()) ?? '').error.code).toBe('E_NOT_FOUND');
    } finally {
      await server.end('SIGKILL');
    }
  });
});
