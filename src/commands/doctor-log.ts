/** `jsg doctor --log FILE`: what made a build or a launch fail, as its log tells it. */
import { createReadStream, statSync } from 'node:fs';
import { Explainer } from '../doctor/failures.js';
import { formatExplanations, toJson } from '../doctor/failures-report.js';
import { JsgError } from '../errors.js';
import { styleFor } from '../style.js';

/** `file`: `-` is stdin. Returns 1 when a failure was found, as doctor does, and 0 when none is known. */
export async function explainLog(file: string, json: boolean): Promise<number> {
  const explainer = new Explainer();
  for await (const chunk of openLog(file)) explainer.push(chunk as Buffer);
  const found = explainer.explanations();
  const name = file === '-' ? 'stdin' : file;
  if (json) process.stdout.write(`${JSON.stringify(found.map(toJson), null, 2)}\n`);
  else process.stdout.write(formatExplanations(found, name, explainer.numLines, styleFor(process.stdout)));
  return found.length > 0 ? 1 : 0;
}

function openLog(file: string): NodeJS.ReadableStream {
  if (file === '-') return process.stdin;
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) throw new JsgError('E_USAGE', `--log: there is no file ${file}`);
  if (!stat.isFile()) {
    // A pipe without a writer would wait for ever.
    throw new JsgError('E_USAGE', `--log: ${file} is not a file`, { hint: 'COMMAND 2>&1 | jsg doctor --log -' });
  }
  return createReadStream(file, { highWaterMark: 2 ** 20 });
}
