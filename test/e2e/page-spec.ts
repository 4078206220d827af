/** The page at / of a real server, in a real browser. */
import { spawnSync } from 'node:child_process';
import type { BrowserContextOptions, Page, Request } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { hasBrowser, launchBrowser, NO_BROWSER } from './browser.js';
import { Jsg } from './jsg.js';

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;

/** Null: all is there. */
export const WHY_NOT = hasBrowser() ? (hasPip ? null : 'no python3 with pip to fetch smollm2') : NO_BROWSER;

export async function serve(extra: string[] = []): Promise<{ server: Jsg; url: string }> {
  const server = new Jsg(['launch', '--profile', 'smollm2', '--port', '0', '--context-length', '1024', ...extra]);
  const [, url = ''] = await server.waitFor(/is served at (http:\/\/127\.0\.0\.1:\d+)/);
  return { server, url };
}

/** A server with these flags and a browser, there while the tests of the `describe` around it run. */
export function useServer(extra: string[] = []): { server: Jsg; url: string; browser: Browser } {
  const there = {} as { server: Jsg; url: string; browser: Browser };
  beforeAll(async () => {
    const [served, browser] = await Promise.all([serve(extra), launchBrowser()]);
    Object.assign(there, served, { browser });
  });
  afterAll(async () => {
    await there.browser?.close();
    await there.server?.end('SIGKILL');
  });
  return there;
}

export type Browser = Awaited<ReturnType<typeof launchBrowser>>;
export { launchBrowser };

export const FRANCE = 'What is the capital of France?';
export const LONG = 'Count from 1 to 1000, one number a line.';

/** Sampled, a small model talks on for long. */
const CHOICES = JSON.stringify({ numbers: { temperature: '0', max_tokens: '64' } });

/** A tab on `url` with these parameters, and every request that it made. */
export async function open(
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; requests: Request[] }> {
  const context = await browser.newContext(options);
  await context.addInitScript((choices) => {
    if (localStorage.getItem('jsg.choices') === null) localStorage.setItem('jsg.choices', choices);
  }, CHOICES);
  const page = await context.newPage();
  const requests: Request[] = [];
  page.on('request', (request) => requests.push(request));
  await page.goto(url);
  return { page, requests };
}

/** Waits for the end of the last answer; its text. */
export async function lastAnswer(page: Page): Promise<string> {
  const answer = page.getByRole('article', { name: 'Answer' }).last();
  await answer.locator('footer').waitFor();
  return (await answer.locator('.markdown, pre').first().textContent()) ?? '';
}

export async function ask(page: Page, question: string): Promise<string> {
  await page.getByLabel('Message').fill(question);
  await page.keyboard.press('Enter');
  return lastAnswer(page);
}

/** The body of the next chat request. */
export async function nextBody(page: Page): Promise<Record<string, unknown>> {
  const request = await page.waitForRequest((each) => each.url().endsWith('/v1/chat/completions'));
  return request.postDataJSON() as Record<string, unknown>;
}

/** Adds fields to the page's chat requests, for what it has no field for. */
export async function addToRequests(page: Page, fields: object): Promise<void> {
  await page.route('**/v1/chat/completions', (route) =>
    route.continue({ postData: JSON.stringify({ ...route.request().postDataJSON(), ...fields }) }),
  );
}

/** The page's chat requests are answered with these deltas, which this model would not say. */
export async function answerWith(page: Page, ...deltas: object[]): Promise<void> {
  const event = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const body = `${deltas.map((delta) => event(delta, null)).join('')}${event({}, 'stop')}data: [DONE]\n\n`;
  await page.route('**/v1/chat/completions', (route) => route.fulfill({ contentType: 'text/event-stream', body }));
}

/** An answer that goes on until somebody stops it. */
export const ENDLESS = { ignore_eos: true, max_tokens: 900 };
