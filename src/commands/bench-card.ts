/** `jsg bench card RESULT.json`: a saved result as a card that others can measure by, and as a page. */
import { cardOf, cardToMarkdown, headline } from '../bench/card.js';
import { readResult } from '../bench/result.js';
import { JsgError } from '../errors.js';
import { requireWritable, savePage } from './bench-output.js';
import type { Options } from './settings.js';

export async function benchCard(options: Options, args: string[]): Promise<number> {
  const [path] = args;
  if (path === undefined || args.length > 1) {
    throw new JsgError('E_USAGE', 'a card is made of one result', { hint: 'jsg bench card RESULT.json' });
  }
  requireWritable(options);
  const result = readResult(path);
  if (options.report !== undefined) savePage(String(options.report), result);
  const document = { version: 1, headline: headline(result), card: cardOf(result), result };
  process.stdout.write(options.json ? `${JSON.stringify(document, null, 2)}\n` : cardToMarkdown(result));
  return 0;
}
