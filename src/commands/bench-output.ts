/** Where a result goes: stdout, a file, a page. */
import { accessSync, constants, existsSync, statSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Documented } from '../bench/report/documented-chart.js';
import { renderPage } from '../bench/report/page.js';
import { formatResult } from '../bench/report/text.js';
import { type Result, resultSchema } from '../bench/result.js';
import { JsgError } from '../errors.js';
import { writeAtomically } from '../files.js';
import { listProfiles, loadProfile } from '../profile/profile.js';
import type { Options } from './settings.js';

const OUTPUTS = { outputFile: 'output-file', report: 'report' } as const;

/** Throws E_USAGE where a result could not be written: said before a long run, not after it. */
export function requireWritable(options: Options): void {
  for (const [key, flag] of Object.entries(OUTPUTS)) {
    if (options[key] === undefined) continue;
    const fault = faultOf(resolve(String(options[key])));
    if (fault !== null) throw new JsgError('E_USAGE', `--${flag}: ${options[key]} cannot be written (${fault})`);
  }
}

function faultOf(path: string): string | null {
  try {
    if (existsSync(path)) {
      if (statSync(path).isDirectory()) return 'it is a directory';
      accessSync(path, constants.W_OK);
    }
    let folder = dirname(path);
    while (!existsSync(folder)) folder = dirname(folder);
    if (!statSync(folder).isDirectory()) return `${folder} is no directory`;
    accessSync(folder, constants.W_OK | constants.X_OK);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** Throws E_INTERRUPTED where a run was ended before it had measured anything; what a file cannot take is on stdout all the same. */
export async function emit(options: Options, result: Result): Promise<void> {
  const checked = resultSchema.parse(result);
  if (checked.status === 'partial' && isEmpty(checked)) {
    throw new JsgError('E_INTERRUPTED', 'the run was ended before anything was measured');
  }
  if (isEmpty(checked)) throw new JsgError('E_RUNTIME_FAILED', checked.notes.join('\n     ') || 'nothing was measured');
  const json = `${JSON.stringify(checked, null, 2)}\n`;
  const faults: unknown[] = [];
  const attempt = (write: () => void) => {
    try {
      write();
    } catch (error) {
      faults.push(error);
    }
  };
  if (options.outputFile !== undefined) attempt(() => save(String(options.outputFile), json, OUTPUTS.outputFile));
  if (options.report !== undefined) attempt(() => savePage(String(options.report), checked));
  process.stdout.write(options.json ? json : formatResult(checked));
  if (faults.length > 0) throw faults[0];
}

export function savePage(path: string, result: Result): void {
  save(path, renderPage(result, documentedFigures()), OUTPUTS.report);
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
    // What is no file, /dev/stdout or /dev/null, must not be replaced by one.
    if (existsSync(path) && !statSync(path).isFile()) writeFileSync(path, text);
    else writeAtomically(resolve(path), text);
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
