/** The page at / of somebody who goes on: loads it again, asks anew, and goes on after an answer that is none. */
import type { Page } from 'playwright-core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  addToRequests,
  answerWith,
  ask,
  ENDLESS,
  FRANCE,
  LONG,
  lastAnswer,
  launchBrowser,
  nextBody,
  open,
  serve,
  useServer,
  WHY_NOT,
} from './page-spec.js';

if (WHY_NOT) console.log(`skipped: test/e2e/page-again.test.ts: ${WHY_NOT}`);

describe.skipIf(WHY_NOT)('the page, again', () => {
  const there = useServer();
  let page: Page;
  let faults: Error[];
  beforeEach(async () => {
    ({ page } = await open(there.browser, there.url));
    faults = [];
    page.on('pageerror', (error) => faults.push(error));
  });
  afterEach(async () => {
    expect(faults).toEqual([]);
    await page.context().close();
  });

  const message = () => page.getByLabel('Message');
  const questions = () => page.getByRole('article', { name: 'You' }).allTextContents();

  it('goes on with the conversation when it is loaded again, until there is a new one', async () => {
    const answer = await ask(page, FRANCE);
    const measured = await page.locator('.measured').textContent();
    await message().fill('And of');
    await page.reload();
    expect(await lastAnswer(page)).toBe(answer);
    expect(await page.locator('.measured').textContent()).toBe(measured);
    expect(await message().inputValue()).toBe('And of');
    const body = nextBody(page);
    await ask(page, 'And of Italy?');
    expect(((await body).messages as object[]).map((each) => Object.values(each)[0])).toEqual([
      'user',
      'assistant',
      'user',
    ]);
    await page.getByRole('button', { name: 'New chat' }).click();
    await page.reload();
    await page.getByText('something.').waitFor();
    expect(await questions()).toEqual([]);
  });

  it('keeps what had come of an answer when it is loaded again meanwhile', async () => {
    await addToRequests(page, ENDLESS);
    await message().fill(LONG);
    await page.keyboard.press('Enter');
    await page.locator('.answer .markdown').waitFor();
    await page.reload();
    expect((await lastAnswer(page)).length).toBeGreaterThan(0);
    expect(await page.locator('.measured').textContent()).toMatch(/^stopped/);
    await page.getByRole('button', { name: 'Send' }).waitFor();
  });

  it('gives the last question back', async () => {
    const prompt = 'word '.repeat(2000);
    await ask(page, FRANCE);
    await message().fill(prompt);
    await page.keyboard.press('Enter');
    const fault = page.getByRole('alert');
    await fault.waitFor();
    expect(await fault.textContent()).toMatch(/maximum context length is 1024 tokens.*begin a new chat/);
    await page.getByRole('button', { name: 'Edit question' }).click();
    expect(await message().inputValue()).toBe(prompt.trimEnd());
    expect(await message().evaluate((element) => element === document.activeElement)).toBe(true);
    expect(await questions()).toEqual([FRANCE]);
    const answer = await ask(page, '\n    What is 2 + 2?\n');
    expect(answer).not.toBe('');
    expect(await questions()).toEqual([FRANCE, '    What is 2 + 2?']);
  });

  it('leaves keys to an input method', async () => {
    await message().fill('にほん');
    const press = (key: string, composing: object) =>
      message().evaluate(
        (element, init) => element.dispatchEvent(new KeyboardEvent('keydown', { bubbles: true, ...init })),
        { key, ...composing },
      );
    await press('Enter', { isComposing: true });
    // As Safari tells it.
    await press('Enter', { keyCode: 229 });
    expect(await questions()).toEqual([]);
    await addToRequests(page, ENDLESS);
    await press('Enter', {});
    await page.locator('.answer .markdown').waitFor();
    await press('Escape', { isComposing: true });
    expect(await page.getByRole('button', { name: 'Stop' }).count()).toBe(1);
    await press('Escape', {});
    await lastAnswer(page);
  });

  it('outlives a schema that no browser can read', async () => {
    await page.getByLabel('JSON schema').check();
    await page.locator('#field-response_format').fill('{"type": "string", "pattern": "^a\\\\_b$"}');
    expect(await ask(page, 'Say a_b.')).toBe('"a_b"');
    expect(await page.locator('.verdict').textContent()).toContain('This page cannot check the schema');
    await page.getByLabel('Text').check();
    expect(await ask(page, FRANCE)).not.toBe('');
  });

  it('shows thoughts that lead to no answer', async () => {
    await answerWith(page, { reasoning_content: 'It is late. I stop.' });
    await message().fill(FRANCE);
    await page.keyboard.press('Enter');
    await page.locator('.answer footer').waitFor();
    expect(await page.getByText('It is late. I stop.').isVisible()).toBe(true);
  });

  it('begins with its defaults where another version kept something else', async () => {
    await page.evaluate(() => {
      localStorage.setItem('jsg.choices', JSON.stringify({ numbers: null, stop: 5 }));
    });
    await page.reload();
    expect(await page.getByLabel('Temperature', { exact: true }).inputValue()).toBe('0.5');
  });
});

describe.skipIf(WHY_NOT)('the page of a model that is unloaded', () => {
  it('says so, and that it is being loaded for a question', async () => {
    const [{ server, url }, browser] = await Promise.all([serve(['--idle-unload', '0.5']), launchBrowser()]);
    try {
      const { page } = await open(browser, url);
      const health = () => page.locator('.health').textContent();
      await expect.poll(health, { timeout: 10_000 }).toBe('model unloaded');
      // A moment of loading is stretched, so that it is seen.
      await page.route('**/v1/status', async (route) => {
        const status = await (await route.fetch()).json();
        await route.fulfill({ json: { ...status, model: 'loading' } });
      });
      await expect.poll(health, { timeout: 10_000 }).toBe('loading the model');
      await page.route('**/v1/chat/completions', async (route) => {
        await page.getByText('The model is being loaded').waitFor();
        await route.continue();
      });
      expect(await ask(page, FRANCE)).toContain('Paris');
      await page.unroute('**/v1/status');
      await expect.poll(health, { timeout: 10_000 }).toBe('model unloaded');
    } finally {
      await browser.close();
      await server.end('SIGKILL');
    }
  });
});
