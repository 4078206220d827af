/** The page at /, as a person uses it: the real server with SmolLM2, a real browser. */
import { spawnSync } from 'node:child_process';
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
  nextBody,
  open,
  useServer,
  WHY_NOT,
} from './page-spec.js';

if (WHY_NOT) console.log(`skipped: test/e2e/page.test.ts: ${WHY_NOT}`);

describe.skipIf(WHY_NOT)('the page', () => {
  const there = useServer();
  let page: Page;
  beforeEach(async () => {
    ({ page } = await open(there.browser, there.url));
  });
  afterEach(async () => {
    await page.context().close();
  });

  const choose = async (values: Record<string, string>) => {
    for (const [label, value] of Object.entries(values)) await page.getByLabel(label, { exact: true }).fill(value);
  };

  it('answers, piece by piece, and counts the tokens', async () => {
    expect(await ask(page, FRANCE)).toBe('The capital of France is Paris.');
    await expect
      .poll(() => page.locator('.measured').textContent())
      .toMatch(/^8 tokens · [\d.]+ tok\/s · first after \d+ ms/);
    expect(await page.getByRole('article', { name: 'Answer' }).getAttribute('aria-busy')).toBe('false');
    expect(await page.getByRole('log').getAttribute('aria-live')).toBe('polite');
  });

  it('shows an answer while it grows', async () => {
    await page.getByLabel('Message').fill(LONG);
    const seen = page.evaluate(
      () =>
        new Promise<string[]>((done) => {
          const texts = new Set<string>();
          const observer = new MutationObserver(() => {
            texts.add(document.querySelector('.answer .markdown')?.textContent ?? '');
            if (document.querySelector('.answer footer')) done([...texts]);
          });
          observer.observe(document.body, { childList: true, subtree: true, characterData: true });
        }),
    );
    await page.keyboard.press('Enter');
    const lengths = (await seen).map((text) => text.length);
    expect(lengths.length).toBeGreaterThan(4);
    expect(lengths.at(-1)).toBeGreaterThan(lengths[1] ?? 0);
  });

  it('sends the conversation so far', async () => {
    await choose({ 'System prompt': 'Answer in one sentence.' });
    const first = await ask(page, FRANCE);
    const body = nextBody(page);
    await ask(page, 'And of Italy?');
    expect((await body).messages).toEqual([
      { role: 'system', content: 'Answer in one sentence.' },
      { role: 'user', content: FRANCE },
      { role: 'assistant', content: first },
      { role: 'user', content: 'And of Italy?' },
    ]);
  });

  it('stops an answer, and the server stops with it', async () => {
    await addToRequests(page, ENDLESS);
    await page.getByLabel('Message').fill(LONG);
    await page.getByRole('button', { name: 'Send' }).click();
    await page.locator('.answer .markdown').waitFor();
    await page.getByRole('button', { name: 'Stop' }).click();
    expect((await lastAnswer(page)).length).toBeGreaterThan(0);
    expect(await page.locator('.measured').textContent()).toMatch(/^stopped/);
    const numRunning = async () => (await (await fetch(`${there.url}/v1/loads`)).json()).loads[0].num_running_reqs;
    await expect.poll(numRunning, { timeout: 5000 }).toBe(0);
    expect(await page.getByLabel('Message').evaluate((element) => element === document.activeElement)).toBe(true);
  });

  it('sends the parameters that are set, and no others', async () => {
    await choose({ Temperature: '0.7', 'Max tokens': '5', Seed: '11' });
    await page.getByText('More').click();
    await choose({ 'Top k': '40', 'Repetition penalty': '1.1', 'Stop strings, one a line': 'END' });
    await page.getByLabel('Thinking').selectOption('off');
    const body = nextBody(page);
    await ask(page, LONG);
    const { messages: _, ...fields } = await body;
    expect(fields).toEqual({
      temperature: 0.7,
      max_tokens: 5,
      seed: 11,
      top_k: 40,
      repetition_penalty: 1.1,
      stop: ['END'],
      chat_template_kwargs: { enable_thinking: false },
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(await page.locator('.measured').textContent()).toMatch(/^cut at max tokens · 5 tokens/);
    await page.reload();
    expect(await page.getByLabel('Seed').inputValue()).toBe('11');
  });

  it('holds an answer to a JSON schema, lays it out and judges it', async () => {
    await page.getByLabel('JSON schema').check();
    await page.getByRole('button', { name: 'Insert an example' }).click();
    const text = await ask(page, 'Tell me about Paris.');
    expect(JSON.parse(text)).toMatchObject({ city: 'Paris', is_capital: expect.any(Boolean) });
    expect(text).toContain('{\n  "city"');
    expect(await page.locator('.verdict').textContent()).toBe('Matches the schema');

    await page.getByLabel('JSON', { exact: true }).check();
    expect(JSON.parse(await ask(page, 'Give me a JSON object with a name.'))).toBeTypeOf('object');
    expect(await page.locator('.verdict').last().textContent()).toBe('A JSON object');
  });

  it('does not send a schema that is no JSON', async () => {
    await page.getByLabel('JSON schema').check();
    const schema = page.locator('#field-response_format');
    await schema.fill('{"type": ');
    await page.getByLabel('Message').fill(FRANCE);
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('The JSON schema cannot be read');
    expect(await schema.getAttribute('aria-invalid')).toBe('true');
  });

  it('shows thoughts apart from the answer', async () => {
    await answerWith(page, { reasoning_content: 'France. Its capital.' }, { content: 'Paris.' });
    expect(await ask(page, FRANCE)).toBe('Paris.');
    const thoughts = page.getByText('France. Its capital.');
    expect(await thoughts.isVisible()).toBe(false);
    await page.getByText('Thoughts').click();
    expect(await thoughts.isVisible()).toBe(true);
  });

  it('sets Markdown', async () => {
    const code = 'const x = "<b>";';
    const content = [
      '# Title',
      'Some **bold**, *slanted* and `fixed <i>` text & 3 < 4 &amp; \\(x\\) \\*.',
      '1. one\n2. two\n   - inner',
      '| a | b |\n|--|--:|\n| 1 | 2 |',
      `\`\`\`js\n${code}\n\`\`\``,
    ].join('\n\n');
    await answerWith(page, { content });
    await ask(page, FRANCE);
    const textOf = (selector: string) => page.locator(`.markdown ${selector}`).allTextContents();
    expect(await textOf('h3')).toEqual(['Title']);
    expect(await textOf('p')).toEqual(['Some bold, slanted and fixed <i> text & 3 < 4 & \\(x\\) *.']);
    expect(await textOf('ol > li')).toEqual(['one', 'twoinner']);
    expect(await textOf('li li')).toEqual(['inner']);
    expect(await textOf('td')).toEqual(['1', '2']);
    expect(await textOf('pre')).toEqual([code]);
  });

  it('tells what the server does, and never 0 for what cannot be read', async () => {
    await ask(page, FRANCE);
    const status = await (await fetch(`${there.url}/v1/status`)).json();
    const tile = (name: string) => page.locator('.tile', { has: page.getByText(name, { exact: true }) });
    await expect.poll(() => tile('Throughput').textContent()).toMatch(/[\d.]+tok\/s/);
    expect(await tile('KV cache').textContent()).toMatch(/of [\d,]+ tokens/);
    expect(await tile('Prefix cache hits').textContent()).toMatch(/\d+ of [\d,]+ prompt tokens/);
    expect(await tile('Memory').textContent()).toMatch(/[\d.]+GiBof [\d.]+ GiB/);
    for (const [name, value] of [
      ['Power', status.power],
      ['Temperature', status.temperature],
    ]) {
      expect(await tile(name).textContent()).toMatch(value === null ? /not available$/ : /\d/);
    }
    expect(await page.locator('.facts').textContent()).toMatch(/Modelsmollm2Profilesmollm2Devicecpu/);
    expect(await page.locator('.health').textContent()).toBe('ready');
  });

  it('shows the request as code that runs', async () => {
    await choose({ 'System prompt': "Don't be long." });
    await page.getByRole('button', { name: 'Code' }).click();
    const dialog = page.getByRole('dialog');
    const codeIn = async (language: string) => {
      await dialog.getByLabel(language).check();
      return (await dialog.locator('pre').textContent()) ?? '';
    };
    const run = (command: string, args: string[], input = '') => spawnSync(command, args, { input, encoding: 'utf8' });
    const curl = await codeIn('curl');
    expect(curl).toContain(there.url);
    expect(JSON.parse(run('bash', ['-c', curl]).stdout).choices[0].message.content).toContain('Paris');
    expect(run(process.execPath, ['--input-type=module', '-'], await codeIn('JavaScript')).stdout).toContain('Paris');
    const python = await codeIn('Python');
    expect(await dialog.locator('.code-bar').textContent()).toContain('after pip install openai');
    expect(python).toContain(`OpenAI(base_url="${there.url}/v1"`);
    expect(run('python3', ['-c', 'import ast, sys; ast.parse(sys.stdin.read())'], python).status).toBe(0);
    await dialog.getByRole('button', { name: 'Copy' }).click();
    await dialog.getByRole('button', { name: 'Copied' }).waitFor();
  });
});
