/**
 * Which steps are done. A finished step leaves a record with the hash of all that its result depends on and the hashes of its
 * outputs; it counts only while both still hold. A step that has begun leaves a mark first, so that a run after a kill
 * knows what may be half-written.
 */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sha256OfFile, writeAtomically } from '../../files.js';
import { canonicalJson, findGlob, sha256Of } from './files.js';

export interface StepRecord {
  key: string;
  /** Path relative to the build folder -> its hash. */
  outputs: Record<string, string>;
  /** ISO 8601. */
  finishedAt: string;
  seconds: number;
  /** The line of its output that the step expects; null: it expects none. */
  said: string | null;
}

export const keyOf = (inputs: unknown): string => sha256Of(canonicalJson(inputs));

/** Hashes of all files that the globs match; null where one matches nothing. */
export async function hashOutputs(build: string, globs: string[]): Promise<Record<string, string> | null> {
  const hashes: Record<string, string> = {};
  for (const glob of globs) {
    const paths = findGlob(build, glob);
    if (paths.length === 0) return null;
    // A folder as an output stands for its being there.
    for (const path of paths) {
      const isFile = statSync(resolve(build, path)).isFile();
      hashes[path] = isFile ? await sha256OfFile(resolve(build, path)) : 'folder';
    }
  }
  return hashes;
}

export class StepCache {
  readonly #folder: string;
  readonly #build: string;

  constructor(build: string) {
    this.#build = build;
    this.#folder = join(build, '.jsg', 'steps');
  }

  /** The record of a step whose inputs have `key` and whose outputs are what it made; null: it must run. */
  async finished(id: string, key: string, outputs: string[]): Promise<StepRecord | null> {
    const record = this.read(id);
    if (record === null || record.key !== key || this.wasBegun(id)) return null;
    const hashes = await hashOutputs(this.#build, outputs);
    return hashes !== null && canonicalJson(hashes) === canonicalJson(record.outputs) ? record : null;
  }

  read(id: string): StepRecord | null {
    try {
      const record = JSON.parse(readFileSync(this.#path(id, 'done'), 'utf8')) as Partial<StepRecord> | null;
      return typeof record?.key === 'string' && typeof record.outputs === 'object' ? (record as StepRecord) : null;
    } catch {
      return null;
    }
  }

  /** Begun, and neither finished nor failed by itself: it was killed. */
  wasBegun(id: string): boolean {
    return existsSync(this.#path(id, 'begun'));
  }

  /** `installsInto`: the interpreter for which it installs packages; null: it installs none. */
  begin(id: string, installsInto: string | null): void {
    writeAtomically(this.#path(id, 'begun'), installsInto ?? '');
    rmSync(this.#path(id, 'done'), { force: true });
  }

  finish(id: string, record: StepRecord): void {
    writeAtomically(this.#path(id, 'done'), canonicalJson(record));
    rmSync(this.#path(id, 'begun'), { force: true });
  }

  /** Whether a step of any recipe was killed while it installed for this interpreter. */
  wasInstalling(python: string): boolean {
    return findGlob(this.#folder, '*.begun').some((name) => readFileSync(join(this.#folder, name), 'utf8') === python);
  }

  /** It ended, and by itself. */
  fail(id: string): void {
    rmSync(this.#path(id, 'begun'), { force: true });
  }

  #path(id: string, kind: 'done' | 'begun'): string {
    return join(this.#folder, `${id.replace(/[^\w.-]/g, '_')}.${kind}`);
  }
}
