/** Do the installed packages go together? By what each says of itself, and by what wheels/jetson.yaml knows beyond that. */

import { isOfLine } from '../../device/versions.js';
import type { Distribution } from '../../device/wheels.js';
import { localTag, type MarkerFacts, meets, parseRequirement } from '../../device/wheels-versions.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';
import { installFromIndex } from './python-install.js';
import { wheelTable } from './wheels-table.js';

interface Mismatch {
  text: string;
  /** What pip is to install instead. */
  mend: string;
  isFatal: boolean;
}

type Installed = Pick<Distribution, 'name' | 'version' | 'requires'>;

/** The packages that are imported; a torch that has no list of its own is known by what it says of itself. */
function imported({ python }: Facts): Installed[] {
  const found = python?.distributions.filter(({ isShadowed }) => !isShadowed) ?? [];
  const torch = python?.torch ?? null;
  if (torch === null || found.some(({ name }) => name === 'torch')) return found;
  return [...found, { name: 'torch', version: torch.version, requires: [] }];
}

export const wheelVersions: Check = {
  id: 'wheel-pins',
  group: 'python',
  expected: 'packages in the versions that require each other',
  why: 'compiled operators of another version are not found or crash, at import or at the first request',
  look: (facts) => {
    const distributions = imported(facts);
    const found = [
      ...pairMismatches(distributions),
      ...sameMismatches(distributions),
      ...required(facts, distributions),
    ];
    const unique = found.filter(({ text }, i) => found.findIndex((other) => other.text === text) === i);
    const served = distributions.filter(({ name }) => !BUILD_TOOLS.includes(name));
    if (served.length < 2) return null;
    const names = served.map(({ name, version }) => `${name} ${version}`).join(', ');
    if (unique.length === 0) return outcome('pass', names);
    const mends = [...new Set(unique.map(({ mend }) => `'${mend}'`))].join(' ');
    const text = unique.map(({ text }) => text).join('; ');
    // --no-deps: pip would else replace torch by the public wheel.
    const fix = installFromIndex(facts, `--no-deps ${mends}`);
    return outcome(unique.some(({ isFatal }) => isFatal) ? 'fail' : 'warn', text, fix);
  },
};

function pairMismatches(distributions: Installed[]): Mismatch[] {
  return wheelTable().pairs.flatMap(({ package: name, with: other, why, versions }) => {
    const [own, base] = [name, other].map((wanted) => distributions.find((found) => found.name === wanted));
    const line = base && Object.entries(versions).find(([from]) => isOfLine(base.version, from))?.[1];
    if (!own || !base || line === undefined || isOfLine(own.version, line)) return [];
    const text = `${name} ${own.version} with ${other} ${base.version}, which wants ${name} ${line} (${why})`;
    return [{ text, mend: `${name}==${line}.*`, isFatal: name === 'torchvision' }];
  });
}

function sameMismatches(distributions: Installed[]): Mismatch[] {
  return wheelTable().same.flatMap(([base, name]) => {
    const [first, second] = [base, name].map((wanted) => distributions.find((found) => found.name === wanted));
    if (!first || !second || release(first.version) === release(second.version)) return [];
    const text = `${name} ${second.version} with ${base} ${first.version}, which must be the same`;
    return [{ text, mend: `${name}==${release(first.version)}`, isFatal: true }];
  });
}

const release = (version: string) => version.split('+')[0] ?? version;

/** Packages that a build needs, not a server. */
const BUILD_TOOLS = ['setuptools', 'wheel', 'ninja', 'pybind11', 'pip'];

/** Requirements among the packages that are looked at, those of extras that pin what a release was tested with included. */
function required({ python, device }: Facts, distributions: Installed[]): Mismatch[] {
  const machine = device.cpu.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const markers: MarkerFacts = { pythonVersion: python?.interpreter?.version ?? null, machine };
  return distributions.flatMap((user) =>
    user.requires.flatMap((line) => {
      const requirement = parseRequirement(withoutExtra(user.name, line), markers);
      if (requirement === null || BUILD_TOOLS.includes(requirement.name)) return [];
      const other = distributions.find(({ name }) => name === requirement.name);
      if (other === undefined || meets(other.version, requirement.specifier)) return [];
      const wanted = `${requirement.name}${requirement.specifier}`;
      // torch is the one that fits the board: the package that wants another is what has to change.
      const mend = requirement.name === 'torch' ? user.name : wanted;
      return [
        { text: `${user.name} ${user.version} requires ${wanted}, there is ${other.version}`, mend, isFatal: false },
      ];
    }),
  );
}

/** The condition `extra == "srt"` of an extra that counts is taken away, so that its pins are looked at. */
function withoutExtra(name: string, line: string): string {
  const extra = /extra\s*==\s*["']([\w.-]+)["']/.exec(line);
  if (!extra?.[1] || !wheelTable().extras[name]?.includes(extra[1])) return line;
  return line
    .replace(/\s*(?:\band\b\s*)?\(?extra\s*==\s*["'][\w.-]+["']\)?\s*/, ' ')
    .replace(/;\s*$/, '')
    .replace(/;\s*and\b/, ';');
}

export const wheelTwins: Check = {
  id: 'wheel-twins',
  group: 'python',
  expected: 'one package for each module',
  why: 'two packages that bring the same module overwrite parts of each other',
  look: (facts) => {
    const names = imported(facts).map(({ name }) => name);
    const twins = wheelTable().twins.filter(({ packages }) => packages.every((name) => names.includes(name)));
    const first = twins[0];
    if (first === undefined) return null;
    const [remove = '', keep = ''] = first.packages;
    const fix = `python3 -m pip uninstall -y ${remove} && python3 -m pip install --force-reinstall --no-deps ${keep}`;
    return outcome('warn', `${first.packages.join(' and ')} both bring ${first.module}`, fix);
  },
};

export const numpyAbi: Check = {
  id: 'numpy-abi',
  group: 'python',
  expected: 'NumPy 1 where torch was compiled with it',
  why: 'modules compiled with NumPy 1 crash or refuse with NumPy 2 ("_ARRAY_API not found")',
  look: (facts) => {
    const numpy = imported(facts).find(({ name }) => name === 'numpy');
    const torch = facts.python?.torch ?? null;
    if (facts.python === null || torch === null || (numpy === undefined && !torch.hasNumpyFault)) return null;
    const version = numpy?.version ?? 'of unknown version';
    const built = facts.python.contents.torchNumpy ?? numpyOfVersion(torch.version);
    const text = `NumPy ${version}; torch ${torch.version} was compiled with NumPy ${built ?? 1}`;
    const isTwo = numpy !== undefined && Number.parseInt(numpy.version, 10) >= 2;
    if (torch.hasNumpyFault || (isTwo && built === 1)) return outcome('fail', text, "python3 -m pip install 'numpy<2'");
    return outcome('pass', built === null ? `NumPy ${version}` : text);
  },
};

/** By the first release that was compiled with NumPy 2. Null: NVIDIA's newer builds, of which it is not known. */
function numpyOfVersion(version: string): 1 | 2 | null {
  const { torch, nvidia } = wheelTable().numpy2;
  const build = /\bnv(\d+\.\d+)/.exec(localTag(version) ?? '')?.[1];
  if (build !== undefined) return Number(build) < Number(nvidia) ? 1 : null;
  return meets(version, `>=${torch}`) ? 2 : 1;
}
