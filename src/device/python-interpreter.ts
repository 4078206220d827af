/** Which Python serves here, and the folders it imports from. */
import { delimiter } from 'node:path';
import { oneValue, type Source, sourceUnder } from './source.js';
import type { Site } from './wheels.js';

export interface Interpreter {
  /** `3.10.12`; a copied machine's files tell only `3.10`. */
  version: string;
  path: string;
  kind: 'venv' | 'conda' | 'system' | 'other';
  /** Whether pip refuses to install beside the system's packages (PEP 668). */
  isExternallyManaged: boolean;
}

export interface Environment {
  interpreter: Interpreter | null;
  /** Folder of the environment; null: not told. */
  prefix: string | null;
  /** In the order of the import path. */
  sites: Site[];
}

/** What the interpreter says of itself. The empty entry of the path is the current folder, which is nobody's package. */
const ASK = `
import sys
sys.path[:] = [p for p in sys.path if p]
import json, os, sysconfig
stdlib = sysconfig.get_path('stdlib')
print(json.dumps({
    'version': '.'.join(map(str, sys.version_info[:3])),
    'path': sys.executable,
    'prefix': sys.prefix,
    'venv': sys.prefix != sys.base_prefix,
    'conda': os.path.isdir(os.path.join(sys.prefix, 'conda-meta')),
    'managed': os.path.exists(os.path.join(stdlib, 'EXTERNALLY-MANAGED')),
    'sites': [p for p in sys.path if os.path.isdir(p)],
}))
`;

export async function probeEnvironment(source: Source, env: NodeJS.ProcessEnv = process.env): Promise<Environment> {
  return source.isHere ? await askInterpreter(source) : environmentUnder(source, env);
}

async function askInterpreter(source: Source): Promise<Environment> {
  const output = (await source.run('python3', ['-B', '-c', ASK])) ?? (await source.run('python', ['-B', '-c', ASK]));
  const told = parseAnswer(output?.code === 0 ? output.stdout : '');
  if (told === null) return { interpreter: null, prefix: null, sites: [] };
  const isSystem = told.path.startsWith('/usr/bin/');
  return {
    interpreter: {
      version: told.version,
      path: told.path,
      kind: told.venv ? 'venv' : told.conda ? 'conda' : isSystem ? 'system' : 'other',
      isExternallyManaged: told.managed && !told.venv,
    },
    prefix: told.prefix,
    sites: told.sites.map((path) => ({ path, source })),
  };
}

interface Answer {
  version: string;
  path: string;
  prefix: string;
  venv: boolean;
  conda: boolean;
  managed: boolean;
  sites: string[];
}

/** The last line, whatever a sitecustomize printed before it. */
function parseAnswer(stdout: string): Answer | null {
  try {
    const answer = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Partial<Answer>;
    return typeof answer.version === 'string' && Array.isArray(answer.sites) ? (answer as Answer) : null;
  } catch {
    return null;
  }
}

/** A copied machine: its system's Python, or the virtual environment that is named or that its image is made around. */
function environmentUnder(source: Source, env: NodeJS.ProcessEnv): Environment {
  // Commands come from this machine's PATH, and with them what PYTHONPATH shows them.
  const own = (env.PYTHONPATH ?? '').split(delimiter).filter((path) => path.startsWith('/'));
  const here = own.map((path) => ({ path, source: sourceUnder('/') }));
  const venv = [env.VIRTUAL_ENV, '/opt/venv'].find((path) => path && source.find(`${path}/pyvenv.cfg`) !== null);
  const found = venv ? venvUnder(source, venv) : systemUnder(source);
  return { ...found, sites: [...here, ...found.sites] };
}

function systemUnder(source: Source): Environment {
  const version = versionOfLink(source, '/usr/bin/python3');
  const folders = sitesUnder(source, version);
  const interpreter: Interpreter | null =
    version === null
      ? null
      : {
          version,
          path: '/usr/bin/python3',
          kind: 'system',
          isExternallyManaged: source.find(`/usr/lib/python${version}/EXTERNALLY-MANAGED`) !== null,
        };
  return { interpreter, prefix: '/usr', sites: folders.map((path) => ({ path, source })) };
}

/** /usr/bin/python3 is a link to python3.10. */
function versionOfLink({ link, list }: Source, path: string): string | null {
  const named = /python(3\.\d+)$/.exec(link(path) ?? '')?.[1];
  const beside = list('/usr/bin').map((name) => /^python(3\.\d+)$/.exec(name)?.[1]);
  return named ?? beside.find(Boolean) ?? null;
}

/** Debian's import path: the users' folders, what pip installed for all, what packages installed. */
function sitesUnder({ list, find }: Source, version: string | null): string[] {
  const homes = ['/root', ...list('/home').map((name) => `/home/${name}`)];
  const libraries = [...homes.map((home) => `${home}/.local/lib`), '/usr/local/lib', '/usr/lib', '/opt/conda/lib'];
  const isWanted = (name: string) => (version === null ? /^python3\.\d+$/.test(name) : name === `python${version}`);
  const folders = libraries.flatMap((folder) =>
    list(folder)
      .filter(isWanted)
      .flatMap((name) => [`${folder}/${name}/site-packages`, `${folder}/${name}/dist-packages`]),
  );
  return [...folders, '/usr/lib/python3/dist-packages'].filter((path) => find(path) !== null);
}

/** pyvenv.cfg: `version = 3.10.12`, `include-system-site-packages = true`. */
function venvUnder(source: Source, path: string): Environment {
  const text = source.read(`${path}/pyvenv.cfg`) ?? '';
  const field = (name: string) => new RegExp(`^${name}\\s*=\\s*(\\S+)`, 'm').exec(text)?.[1];
  const version = oneValue(field('version(?:_info)?') ?? null);
  const own = source
    .list(`${path}/lib`)
    .filter((name) => /^python3/.test(name))
    .map((name) => ({ path: `${path}/lib/${name}/site-packages`, source }));
  const system = field('include-system-site-packages') === 'true' ? sitesUnder(source, minorOf(version)) : [];
  return {
    interpreter:
      version === null ? null : { version, path: `${path}/bin/python3`, kind: 'venv', isExternallyManaged: false },
    prefix: path,
    sites: [...own, ...system.map((path) => ({ path, source }))],
  };
}

const minorOf = (version: string | null) => /^3\.\d+/.exec(version ?? '')?.[0] ?? null;
