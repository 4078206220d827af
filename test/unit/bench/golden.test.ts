/** Results that version 1 has written stay readable: `test/golden/bench/` is only added to. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { cardToMarkdown } from '../../../src/bench/card.js';
import { renderPage } from '../../../src/bench/report/page.js';
import { readResult } from '../../../src/bench/result.js';

const folder = fileURLToPath(new URL('../../golden/bench', import.meta.url));
const files = readdirSync(folder);

it.each(files)('%s is read, and makes a card and a page', (file) => {
  const result = readResult(`${folder}/${file}`);
  expect(result.version).toBe(1);
  expect(cardToMarkdown(result)).toContain(result.commandLine.replaceAll('|', '\\|'));
  expect(renderPage(result, [])).toContain('</html>');
});

it('there is one of each kind', () => {
  expect(files.map((file) => readResult(`${folder}/${file}`).kind).sort()).toEqual([
    'decode',
    'load',
    'prefill',
    'serve',
  ]);
});
