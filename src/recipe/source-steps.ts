/** Fetching a git source: one commit deep, and of its submodules only those that are used. */
import type { Step } from './plan.js';
import type { Variant } from './schema.js';

type GitEntry = Extract<Variant['sources'][number], { git: string }>;

const CLONE_TIMEOUT_MS = 30 * 60_000;

export function cloneSteps({ git: url, name, tag, note, submodules }: GitEntry): Step[] {
  const common = { source: name, makeCwd: false, env: {}, inputs: [], expects: null, timeoutMs: CLONE_TIMEOUT_MS };
  const clone: Step = {
    ...common,
    id: `${name}/clone`,
    title: `clone ${name} ${tag}`,
    note: note?.trimEnd() ?? null,
    cwd: '.',
    argv: ['git', 'clone', '-b', tag, url, '--depth', '1'],
    outputs: [`${name}/.git`],
  };
  if (submodules.length === 0) return [clone];
  const update: Step = {
    ...common,
    id: `${name}/submodules`,
    title: `fetch the submodules of ${name} that are used`,
    note: null,
    cwd: name,
    argv: ['git', 'submodule', 'update', '--init', '--depth', '1', ...submodules.map(({ path }) => path)],
    outputs: submodules.map(({ holds }) => `${name}/${holds}`),
  };
  return [clone, update];
}
