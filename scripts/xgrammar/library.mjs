// XGrammar's C++ library: its source package, pinned by sha256, comes through the user's own pip (so that mirrors, proxies
// and offline folders of its configuration work) and is built once, as a static library, into build/xgrammar.
// JSG_XGRAMMAR: AUTO (the default: without it where it cannot be had), ON (that is then an error), OFF, or the path of the
// archive, already downloaded.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const XGRAMMAR = {
  version: '0.2.8',
  sha256: '8305646fd2b319d6c3003f51a1665e54cbbe9cba1fb636bc41d0b46434ccbb80',
};
/** What the static library and its users need of the archive. */
const MEMBERS = ['cpp', 'include', '3rdparty/picojson', '3rdparty/dlpack/include', 'LICENSE', 'NOTICE'];
/**
 * What is changed in the unpacked sources of this version; each text must be there.
 * A string with a minLength or maxLength could hold raw control characters, which is no JSON, and halves of surrogate
 * pairs, which are no UTF-8. And a pattern that begins with the character 1 is a grammar of the text between the quotes,
 * for what expressions cannot say within bounds (`src/server/grammar/text/`).
 */
const FIXES = [
  {
    file: 'cpp/json_schema_converter.cc',
    from: String.raw`      int32_t character =
          builder_.AddCharacterClass({{'"', '"'}, {'\\', '\\'}, {'\r', '\r'}, {'\n', '\n'}}, true);`,
    to: String.raw`      int32_t character =
          builder_.AddCharacterClass({{0, 0x1f}, {'"', '"'}, {'\\', '\\'}, {0xd800, 0xdfff}}, true);`,
  },
  {
    file: 'cpp/json_schema_converter.cc',
    from: `  bool can_use_fsm = !force_cfg_expansion;
  if (json_string) {`,
    to: String.raw`  if (regex[0] == '\x01') return AddSubGrammar(Grammar::FromEBNF(regex.substr(1)));
  bool can_use_fsm = !force_cfg_expansion;
  if (json_string) {`,
  },
];
const PIP_SECONDS = 180;
const BACKEND = fileURLToPath(new URL('backend', import.meta.url));

/** `AUTO`, `ON`, `OFF`, or a path. */
export function readChoice(env) {
  const value = env.JSG_XGRAMMAR || 'AUTO';
  const word = value.toUpperCase();
  if (['AUTO', 'ON', 'OFF'].includes(word)) return { mode: word, archive: null };
  if (!existsSync(value)) throw new Error(`JSG_XGRAMMAR=${value}: neither AUTO, ON or OFF nor a file that is there`);
  return { mode: 'ON', archive: value };
}

/**
 * The folder with lib/ and include/, or null where it is not wanted, or cannot be had and need not be; then `note` says
 * why. Throws an Error where it must be had.
 */
export function xgrammarLibrary({ root, env, cmake, jobs, log }) {
  const { mode, archive } = readChoice(env);
  if (mode === 'OFF') return { directory: null, note: 'without XGrammar (JSG_XGRAMMAR=OFF): no structured output' };
  const home = join(root, 'build', 'xgrammar');
  try {
    ensureSource(home, archive, env, log);
  } catch (error) {
    if (mode === 'ON') throw error;
    return { directory: null, note: `without XGrammar, so without structured output: ${error.message}` };
  }
  buildLibrary(root, home, cmake, jobs);
  return { directory: home, note: null };
}

/** build/xgrammar/source, of the pinned version. The stamp is written last: what has it is whole. */
function ensureSource(home, archive, env, log) {
  const stamp = join(home, 'source.sha256');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === stampText()) return;
  // It may lie in the folder that is made anew.
  const given = archive === null ? null : readFileSync(archive);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(join(home, 'source'), { recursive: true });
  const path = join(home, `xgrammar-${XGRAMMAR.version}.tar.gz`);
  if (given === null) {
    log(`fetching the sources of XGrammar ${XGRAMMAR.version} (3 MB) through pip`);
    download(home, path, env);
  } else {
    writeFileSync(path, given);
  }
  const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
  if (sha256 !== XGRAMMAR.sha256) {
    rmSync(path);
    throw new Error(`${archive ?? 'the archive that pip fetched'} has sha256 ${sha256}, expected ${XGRAMMAR.sha256}`);
  }
  const prefix = `xgrammar-${XGRAMMAR.version}`;
  const members = MEMBERS.map((member) => `${prefix}/${member}`);
  const args = ['-xzf', path, '-C', join(home, 'source'), '--strip-components=1', ...members];
  const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`tar cannot unpack ${path}: ${String(stderr).trim().split('\n').at(-1)}`);
  for (const { file, from, to } of FIXES) {
    const at = join(home, 'source', file);
    const text = readFileSync(at, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${file} of XGrammar ${XGRAMMAR.version} is not as expected`);
    writeFileSync(
      at,
      text.replace(from, () => to),
    );
  }
  writeFileSync(stamp, stampText());
}

/** What the sources are made of: other fixes are other sources. */
function stampText() {
  return `${XGRAMMAR.sha256}\n${createHash('sha256').update(JSON.stringify(FIXES)).digest('hex')}\n`;
}

function download(home, path, env) {
  const python = env.JSG_PYTHON || 'python3';
  const scratch = join(home, 'download');
  mkdirSync(scratch);
  const requirements = join(home, 'requirements.txt');
  writeFileSync(requirements, `xgrammar==${XGRAMMAR.version} --hash=sha256:${XGRAMMAR.sha256}\n`);
  const args = ['-m', 'pip', 'download', '--no-deps', '--require-hashes', '--no-binary', 'xgrammar', '--no-input'];
  args.push('--no-build-isolation', '--disable-pip-version-check', '--timeout', '30', '--retries', '2');
  args.push('-r', requirements, '-d', scratch);
  const pythonPath = env.PYTHONPATH ? `${BACKEND}:${env.PYTHONPATH}` : BACKEND;
  const pipEnv = { ...env, PYTHONPATH: pythonPath, JSG_XGRAMMAR_VERSION: XGRAMMAR.version };
  const result = spawnSync(python, args, { env: pipEnv, encoding: 'utf8', timeout: PIP_SECONDS * 1000 });
  const [name] = readdirSync(scratch);
  if (result.status === 0 && name !== undefined) {
    copyFileSync(join(scratch, name), path);
    rmSync(scratch, { recursive: true });
    return;
  }
  const lines = `${result.stdout ?? ''}${result.stderr ?? ''}`.split('\n').filter((line) => line.startsWith('ERROR'));
  const problem = result.error?.message ?? lines.at(-1) ?? `exit code ${result.status}`;
  const safe = problem.replace(/\/\/[^/@\s]*@/g, '//***@').slice(0, 300);
  throw new Error(
    `pip could not fetch xgrammar==${XGRAMMAR.version} (${safe}); ` +
      `JSG_XGRAMMAR=/path/to/xgrammar-${XGRAMMAR.version}.tar.gz names an archive that is there`,
  );
}

/** Nothing is done where it is built and newer than its sources: CMake sees to that. */
function buildLibrary(root, home, cmake, jobs) {
  const build = join(home, 'lib');
  const cache = join(build, 'CMakeCache.txt');
  const source = join(root, 'native', 'grammar', 'xgrammar');
  // Made elsewhere (a moved checkout): CMake refuses it.
  if (existsSync(cache) && !readFileSync(cache, 'utf8').includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${source}\n`)) {
    rmSync(build, { recursive: true });
  }
  const toolchain = process.env.JSG_XGRAMMAR_TOOLCHAIN
    ? [`-DCMAKE_TOOLCHAIN_FILE=${process.env.JSG_XGRAMMAR_TOOLCHAIN}`]
    : [];
  cmake(['-S', source, '-B', build, `-DXGRAMMAR_SOURCE=${join(home, 'source')}`, ...toolchain, '--log-level=WARNING']);
  cmake(['--build', build, '--parallel', String(jobs)]);
}
