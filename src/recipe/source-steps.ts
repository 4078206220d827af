/**
 * Fetching sources: of git one commit deep, and of its submodules only those that are used; of the index of wheels a package
 * with all that it requires.
 */
import type { PackageSource, Step } from './plan.js';
import type { Variant } from './schema.js';

type GitEntry = Extract<Variant['sources'][number], { git: string }>;

const CLONE_TIMEOUT_MS = 30 * 60_000;
const WHEELS_TIMEOUT_MS = 60 * 60_000;

export function cloneSteps({ git: url, name, tag, note, submodules }: GitEntry): Step[] {
  const common = {
    source: name,
    makeCwd: false,
    env: {},
    inputs: [],
    modules: [],
    expects: null,
    timeoutMs: CLONE_TIMEOUT_MS,
  };
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

/** What a package is asked for by: `torch==2.8.0`. */
export const requirementOf = ({ name, version }: Pick<PackageSource, 'name' | 'version'>) =>
  version === null ? name : `${name}==${version}`;

/** None where a step fetches it. */
export function wheelSteps(source: PackageSource): Step[] {
  const { name, index } = source;
  if (index === null) return [];
  const step: Step = {
    id: `${name}/fetch`,
    title: `fetch ${name} and what it requires`,
    source: name,
    note: 'jsg does this by itself: the mirrors in order, each sha256 verified, the choice kept in jsg.lock.yaml.',
    cwd: '.',
    makeCwd: false,
    argv: ['python3', '-m', 'pip', 'download', requirementOf(source), '--index-url', index.url, '-d', index.directory],
    env: {},
    inputs: [],
    modules: [],
    outputs: [`${index.directory}/${name.replaceAll('-', '_')}-*.whl`],
    expects: null,
    timeoutMs: WHEELS_TIMEOUT_MS,
  };
  return [step];
}
