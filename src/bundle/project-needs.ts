/** What a Python project asks pip for: to be built, by its pyproject.toml, and to run. */
import { execa } from 'execa';
import { JsgError } from '../errors.js';

export interface ProjectNeeds {
  /** Of `[build-system]`; without one what pip then takes. */
  build: string[];
  /** Of `[project]`, and of requirements.txt, which an old setup.py reads. */
  run: string[];
}

/** A folder, or the tar of a source package. What only the build itself would tell is not known here. */
const READ = `
import io, json, os, sys, tarfile
try:
    import tomllib
except ImportError:
    from pip._vendor import tomli as tomllib

def read(root, name):
    if os.path.isdir(root):
        path = os.path.join(root, name)
        return open(path, encoding='utf-8').read() if os.path.isfile(path) else None
    with tarfile.open(root) as archive:
        for member in archive:
            if member.isfile() and member.name.count('/') == 1 and member.name.endswith('/' + name):
                return archive.extractfile(member).read().decode('utf-8')
    return None

root = sys.argv[1]
project = tomllib.loads(read(root, 'pyproject.toml') or '')
lines = (read(root, 'requirements.txt') or '').splitlines() if not project.get('project') else []
run = [line.split('#')[0].strip() for line in lines]
print(json.dumps({
    'build': project.get('build-system', {}).get('requires', ['setuptools', 'wheel']),
    'run': project.get('project', {}).get('dependencies', []) + [line for line in run if line and not line.startswith('-')],
}))
`;

/** Throws E_IO_FAILED where it cannot be read. */
export async function projectNeeds(path: string, python: string): Promise<ProjectNeeds> {
  const result = await execa(python, ['-I', '-c', READ, path], { stdin: 'ignore', timeout: 60_000, reject: false });
  try {
    if (result.exitCode === 0) return JSON.parse(`${result.stdout}`) as ProjectNeeds;
  } catch {
    // Told below.
  }
  const why = `${result.stderr || result.shortMessage}`.trimEnd().split('\n').at(-1) ?? '';
  throw new JsgError('E_IO_FAILED', `${path}: what it needs to be built cannot be read: ${why}`);
}
