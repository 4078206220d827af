/** Python packages that serving needs, as they lie in the folders of an interpreter's path. */
import { oneValue, type Source } from './source.js';
import { normaliseName } from './wheels-versions.js';

/** A folder of `sys.path`, first ones win. */
export interface Site {
  /** Path as its machine names it. */
  path: string;
  source: Pick<Source, 'isHere' | 'read' | 'list' | 'find'>;
}

export interface Distribution {
  /** Normalised: `sgl-kernel`. */
  name: string;
  version: string;
  /** Folder of the path it lies in. */
  site: string;
  /** Another copy of the same name comes before it on the path. */
  isShadowed: boolean;
  /** Lines of Requires-Dist. */
  requires: string[];
  /** What it was built for: `cp310-cp310-linux_aarch64`. Empty: not told. */
  tags: string[];
  /** Files it brought, relative to the site; null: no list (a Debian package, an editable install). */
  files: string[] | null;
}

/** The rest of an environment does not decide whether a model is served. */
const OF_INTEREST = new Set([
  'pip',
  'torch',
  'torchvision',
  'torchaudio',
  'torchao',
  'triton',
  'numpy',
  'transformers',
  'sglang',
  'sgl-kernel',
  'sglang-kernel',
  'sglang-router',
  'flashinfer',
  'flashinfer-python',
  'flashinfer-cubin',
  'flashinfer-jit-cache',
  'flash-attn',
  'xgrammar',
  'apache-tvm-ffi',
  'outlines',
  'vllm',
  'xformers',
  'bitsandbytes',
  'huggingface-hub',
  'setuptools',
  'wheel',
  'ninja',
  'pybind11',
]);

const MAX_FILES = 20_000;

export function listDistributions(sites: Site[]): Distribution[] {
  const found: Distribution[] = [];
  for (const site of sites) {
    for (const entry of site.source.list(site.path)) {
      const named = parseEntry(entry);
      if (named === null || !OF_INTEREST.has(named.name)) continue;
      const isShadowed = found.some(({ name }) => name === named.name);
      found.push({ ...readDistribution(site, entry, named), isShadowed });
    }
  }
  return found;
}

/** `torch-2.8.0.dist-info`, `numpy-1.21.5.egg-info`, `numpy-1.21.5-py3.10.egg-info`; the name has no dash in it. */
function parseEntry(entry: string): { name: string; version: string } | null {
  const match = /^([A-Za-z0-9][\w.]*)-([^-]+)(?:-py\d[\d.]*(?:-[\w.]+)*)?\.(?:dist|egg)-info$/.exec(entry);
  return match?.[1] && match[2] ? { name: normaliseName(match[1]), version: match[2] } : null;
}

function readDistribution(
  { path, source }: Site,
  entry: string,
  named: { name: string; version: string },
): Omit<Distribution, 'isShadowed'> {
  const file = (name: string) => source.read(`${path}/${entry}/${name}`);
  const metadata = headersOf(file('METADATA') ?? file('PKG-INFO') ?? source.read(`${path}/${entry}`) ?? '');
  const record = file('RECORD');
  return {
    name: named.name,
    version: oneValue(metadata('Version')[0] ?? null) ?? named.version,
    site: path,
    requires: metadata('Requires-Dist'),
    tags: headersOf(file('WHEEL') ?? '')('Tag'),
    files: record === null ? null : parseRecord(record),
  };
}

/** The fields of a text of `Name: value` lines, up to the blank line that starts a description. */
function headersOf(text: string): (name: string) => string[] {
  const head = text.split(/\n[ \t]*\n/, 1)[0] ?? '';
  return (name) =>
    [...head.matchAll(new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, 'gim'))].map(([, value = '']) => value);
}

/** RECORD: `path,sha256=...,size`; a path with a comma is quoted. */
function parseRecord(text: string): string[] {
  return text
    .split('\n', MAX_FILES)
    .map((line) => /^(?:"((?:[^"]|"")*)"|([^,]*)),/.exec(line))
    .map((match) => match?.[1] ?? match?.[2] ?? '')
    .filter((path) => /^[\x20-\x7e]+$/.test(path));
}
