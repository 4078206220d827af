// Builds what a checkout needs: `node scripts/build.mjs [ts|native|all] [--if-needed] [--tests] [--out FOLDER]`.
//   ts      src/ -> dist/ with tsc, and web/ -> dist/web with vite
//   native  native/ -> build/Release/jsg.node with cmake-js (headers come from node-api-headers: nothing is downloaded)
// --if-needed skips what is newer than its sources; --tests also builds the C++ tests and benches; --out builds the native
// part in another folder of the checkout than build/.
// Environment, for `npm ci` too: JSG_CUDA (AUTO: CUDA is built where nvcc is; ON, OFF), JSG_CUDA_ARCHS (`87,90`, or `all`;
// else for the GPU that is here), CUDACXX (the nvcc), CXX (the C++ compiler), JSG_XGRAMMAR (AUTO: structured output where
// pip can fetch XGrammar's sources; ON, OFF, or the path of their archive).
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chooseCuda, cudaJobs } from './cuda/archs.mjs';
import { xgrammarLibrary } from './xgrammar/library.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    'if-needed': { type: 'boolean', default: false },
    tests: { type: 'boolean', default: false },
    out: { type: 'string', default: 'build' },
  },
});
const { 'if-needed': ifNeeded, tests, out } = values;
const outDir = join(root, out);
const target = positionals[0] ?? 'all';

const OLDEST_CMAKE = [3, 22];

function fail(message, hint) {
  process.stderr.write(`jsg: ${message}\n     ${hint}\n`);
  process.exit(1);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.error) fail(`cannot run ${command}: ${result.error.message}`, 'Run npm ci first.');
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Path of a module of a development or runtime dependency; says what to do when node_modules is incomplete. */
function resolveModule(name) {
  try {
    return require.resolve(name);
  } catch {
    return fail(`${name.split('/')[0]} is not installed`, 'Run npm ci first (without --omit=dev in a checkout).');
  }
}

/** Time of the newest file under a path, 0 where there is none. */
function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

function isFresh(output, ...sources) {
  const built = statSync(join(root, output), { throwIfNoEntry: false });
  return built !== undefined && sources.every((source) => newest(join(root, source)) <= built.mtimeMs);
}

function buildTs() {
  // An installed package ships dist/ and no sources.
  if (!existsSync(join(root, 'src'))) return;
  if (ifNeeded && isFresh('dist/cli.js', 'src', 'web', 'tsconfig.json', 'package.json')) return;
  // What was removed from src/ must not live on in dist/; cli.js comes last so that its time stands for all.
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  // Packages export their package.json, not their programs.
  const vite = join(dirname(resolveModule('vite/package.json')), 'bin', 'vite.js');
  resolveModule('preact/package.json');
  run(process.execPath, [vite, 'build', '--config', 'web/vite.config.js']);
  run(process.execPath, [join(dirname(resolveModule('typescript/package.json')), 'bin', 'tsc'), '-p', '.']);
}

/** The version text of the first of these commands that runs, else null. */
function versionOf(names) {
  for (const name of names) {
    if (!name) continue;
    const result = spawnSync(name, ['--version'], { encoding: 'utf8' });
    if (result.status === 0) return result.stdout;
  }
  return null;
}

function requireTools() {
  const cmake = versionOf(['cmake']);
  const missing = [
    cmake === null && ['cmake', 'cmake'],
    versionOf([process.env.CXX, 'c++', 'g++', 'clang++']) === null && ['a C++20 compiler', 'g++'],
    versionOf(['make', 'ninja']) === null && ['make', 'make'],
  ].filter(Boolean);
  if (missing.length > 0) {
    const what = missing.map(([name]) => name).join(', ');
    const packages = missing.map(([, name]) => name).join(' ');
    const then = 'and run the same command again (on Debian and Ubuntu; elsewhere by its package manager).';
    fail(
      `building the native runtime needs ${what}, not found on PATH`,
      `sudo apt-get install -y ${packages}  ${then}`,
    );
  }
  const [major = 0, minor = 0] = (/\d+\.\d+/.exec(cmake)?.[0] ?? '0.0').split('.').map(Number);
  if (major < OLDEST_CMAKE[0] || (major === OLDEST_CMAKE[0] && minor < OLDEST_CMAKE[1])) {
    fail(`cmake ${major}.${minor} is too old, ${OLDEST_CMAKE.join('.')} is needed`, 'python3 -m pip install cmake');
  }
}

/** CMake refuses a cache made elsewhere (a moved or copied checkout): begin anew then. */
function dropForeignCache() {
  const cache = join(outDir, 'CMakeCache.txt');
  if (!existsSync(cache)) return;
  const home = /^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(readFileSync(cache, 'utf8'))?.[1];
  if (home !== undefined && home !== root) rmSync(outDir, { recursive: true, force: true });
}

function cudaOptions() {
  try {
    return chooseCuda(process.env);
  } catch (error) {
    return fail(error.message, 'Set it to one of these, or to nothing for the default.');
  }
}

function xgrammar(cores) {
  try {
    const { directory, note } = xgrammarLibrary({
      root,
      env: process.env,
      cmake: (args) => run('cmake', args),
      jobs: cores,
      log: (text) => process.stdout.write(`jsg: ${text}\n`),
    });
    if (note) process.stdout.write(`jsg: ${note}\n`);
    return directory ?? '';
  } catch (error) {
    return fail(error.message, 'JSG_XGRAMMAR=OFF builds without structured output.');
  }
}

function buildNative() {
  if (ifNeeded && !tests && isFresh(join(out, 'Release', 'jsg.node'), 'native', 'CMakeLists.txt', 'package.json'))
    return;
  requireTools();
  dropForeignCache();
  const started = Date.now();
  process.stdout.write('jsg: building the native runtime\n');
  const cmakeJs = join(dirname(resolveModule('cmake-js/package.json')), 'bin', 'cmake-js');
  const { cuda, archs, note } = cudaOptions();
  if (note) process.stdout.write(`jsg: ${note}\n`);
  const cores = availableParallelism();
  const common = [
    ...['--log-level', 'warn', '--out', outDir],
    ...[`--CDJSG_VERSION=${version}`, `--CDJSG_TESTS=${tests ? 'ON' : 'OFF'}`],
    ...[`--CDJSG_CUDA=${cuda}`, `--CDJSG_CUDA_ARCHS=${archs.join(',')}`, `--CDJSG_XGRAMMAR=${xgrammar(cores)}`],
  ];
  // Not cmake-js's `compile`: that keeps the options of an earlier run, and on a fault starts all over.
  run(process.execPath, [cmakeJs, 'configure', ...common]);
  const parallel = (jobs) => ['--parallel', String(jobs)];
  if (cudaJobs(cores) < cores) {
    run(process.execPath, [cmakeJs, 'build', ...common, '--target', 'jsg_cuda_objects', ...parallel(cudaJobs(cores))]);
  }
  run(process.execPath, [cmakeJs, 'build', ...common, ...parallel(cores)]);
  process.stdout.write(`jsg: native runtime built in ${((Date.now() - started) / 1000).toFixed(0)} s\n`);
}

if (target === 'ts' || target === 'all') buildTs();
if (target === 'native' || target === 'all') buildNative();
