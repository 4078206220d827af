/** Where a result goes: stdout, a file, a page. */
import { resolve } from 'node:path';

import type { Documented } from '../bench/report/documented-chart.js';
import { renderPage } from '../bench/report/page.js';
import { formatResult } from '../bench/report/text.js';
import { type Result, resultSchema } from '../bench/result.js';
import { JsgError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { listProfiles, loadProfile } from '../profile/profile.js';
import type { Options } from './settings.js';

/** Throws E_INTERRUPTED where a run was ended before it had measured anything. */
export async function emit(options: Options, result: Result): Promise<void> {
  const checked = resultSchema.parse(result);
  if (checked.status === 'partial' && isEmpty(checked)) {
    throw new JsgError('E_INTERRUPTED', 'the run was ended before anything was measured');
  }
  if (isEmpty(checked)) throw new JsgError('E_RUNTIME_FAILED', checked.notes.join('\n     ') || 'nothing was measured');
  const json = `${JSON.stringify(checked, null, 2)}\n`;
  if (options.outputFile !== undefined) save(String(options.outputFile), json, 'output-file');
  if (options.report !== undefined) savePage(String(options.report), checked);
  process.stdout.write(options.json ? json : formatResult(checked));
}

export function savePage(path: string, result: Result): void {
  save(path, renderPage(result, documentedFigures()), 'report');
}

function isEmpty(result: Result): boolean {
  switch (result.kind) {
    case 'decode':
      return result.decode.length === 0;
    case 'prefill':
      return result.prefill.length === 0;
    case 'serve':
      return result.serve.length === 0;
    case 'load':
      return result.load.length === 0;
  }
}

function save(path: string, text: string, flag: string): void {
  try {
    writeAtomically(resolve(path), text);
  } catch (error) {
    throw new JsgError('E_IO_FAILED', `--${flag}: ${path} cannot be written (${(error as Error).message})`);
  }
  process.stderr.write(`wrote ${path}\n`);
}

/** What the profiles say that others have measured. */
export function documentedFigures(): Documented[] {
  return listProfiles().flatMap((path) => {
    try {
      const { name, reference, settings } = loadProfile(path);
      if (reference === null) return [];
      const { board, gen_throughput: tokensPerSecond, source } = reference;
      return [{ profile: name, model: settings['model-path'] ?? '', board, tokensPerSecond, source }];
    } catch {
      return []; // a profile of the user's that is not valid is no business of a report
    }
  });
}
