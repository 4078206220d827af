/** What pip fetches by itself while a plan is carried out: what must be at hand where there is no network. Pure. */
import { basename } from 'node:path';
import type { Plan, Step } from './plan.js';

export interface PipNeeds {
  /** Requirements that steps name: `setuptools`, `apache-tvm-ffi`. */
  wheels: string[];
  /** Requirements that are compiled from their source package. */
  sourcePackages: string[];
  /** Folders, relative to the build folder, that pip builds by itself: it fetches what their pyproject.toml asks for. */
  builds: PipBuild[];
}

export interface PipBuild {
  folder: string;
  /** What the project requires when it runs is installed too. */
  withDependencies: boolean;
}

/** Options of pip whose value is the next word. */
const WITH_VALUE = ['-w', '-d', '-r', '-c', '-i', '--find-links', '--index-url', '--no-binary', '--only-binary'];

export function pipNeeds({ steps }: Plan): PipNeeds {
  const each = steps.filter(({ source }) => source === null).map(needsOf);
  return {
    wheels: unique(each.flatMap(({ wheels }) => wheels)),
    sourcePackages: unique(each.flatMap(({ sourcePackages }) => sourcePackages)),
    builds: each.flatMap(({ builds }) => builds),
  };
}

const none = (): PipNeeds => ({ wheels: [], sourcePackages: [], builds: [] });

function needsOf({ argv, cwd }: Step): PipNeeds {
  const at = argv.findIndex((word) => /^pip[\d.]*$/.test(basename(word)));
  const [verb, ...words] = at === -1 ? [] : argv.slice(at + 1);
  if ((verb !== 'install' && verb !== 'wheel') || words.includes('--no-index')) return none();
  const fromSource = words.flatMap((word, i) => (word === '--no-binary' ? (words[i + 1]?.split(',') ?? []) : []));
  const named = words.filter((word, i) => !word.startsWith('-') && !WITH_VALUE.includes(words[i - 1] ?? ''));
  const needs = none();
  for (const word of named) {
    if (word === '.') {
      if (words.includes('--no-build-isolation')) continue;
      needs.builds.push({ folder: cwd, withDependencies: !words.includes('--no-deps') });
    } else if (/[/*]|\.whl$/.test(word)) {
      // A file that an earlier step has made.
    } else if (fromSource.includes(word.split(/[=<>!~[;]/)[0] ?? '')) needs.sourcePackages.push(word);
    else needs.wheels.push(word);
  }
  return needs;
}

const unique = (values: string[]) => [...new Set(values)];
