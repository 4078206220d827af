/** The page at / of a server that asks for a key. */
import type { Page } from 'playwright-core';
import { afterEach, describe, expect, it } from 'vitest';
import { addToRequests, ask, ENDLESS, FRANCE, LONG, open, useServer, WHY_NOT } from './page-spec.js';

if (WHY_NOT) console.log(`skipped: test/e2e/page-key.test.ts: ${WHY_NOT}`);

describe.skipIf(WHY_NOT)('the page of a server that asks for a key', () => {
  const there = useServer(['--api-key', 'open-sesame']);
  let page: Page;
  afterEach(async () => {
    await page?.context().close();
  });

  it('loads without one, asks for it, and keeps it for the tab', async () => {
    ({ page } = await open(there.browser, there.url));
    const key = page.getByRole('textbox', { name: 'API key' });
    await expect.poll(() => page.evaluate(() => document.activeElement?.id)).toBe('key');
    await key.fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The server does not know this key.').waitFor();
    // Who puts it away is not asked again each second.
    await page.keyboard.press('Escape');
    await page.waitForTimeout(2500);
    expect(await page.getByRole('dialog').count()).toBe(0);
    expect(await page.locator('.health').textContent()).toBe('asks for a key');
    await page.getByRole('button', { name: 'Key', exact: true }).click();
    await key.fill('open-sesame');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.health').textContent()).toBe('ready');
    expect(await ask(page, FRANCE)).toContain('Paris');
    const kept = await page.evaluate(() => [JSON.stringify(sessionStorage), JSON.stringify(localStorage)]);
    expect(kept[0]).toContain('open-sesame');
    expect(kept[1]).not.toContain('open-sesame');
    await page.getByRole('button', { name: 'Code' }).click();
    expect(await page.getByRole('dialog').locator('pre').textContent()).toContain('Authorization: Bearer YOUR_API_KEY');
  });

  it('tells that the server shuts down, and where an answer was cut off', async () => {
    ({ page } = await open(there.browser, there.url));
    await page.getByRole('textbox', { name: 'API key' }).fill('open-sesame');
    await page.keyboard.press('Enter');
    await expect.poll(() => page.locator('.health').textContent()).toBe('ready');
    await addToRequests(page, ENDLESS);
    await page.getByLabel('Message').fill(LONG);
    await page.keyboard.press('Enter');
    await page.locator('.answer .markdown').waitFor();
    there.server.child.kill('SIGTERM');
    await expect.poll(() => page.locator('.health').textContent(), { timeout: 5000 }).toBe('shutting down');
    there.server.child.kill('SIGKILL');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('The connection was lost');
    await expect.poll(() => page.locator('.health').textContent(), { timeout: 10_000 }).toBe('does not answer');
  });
});
