// Builds what a checkout needs: `node scripts/build.mjs [ts|native|all] [--if-needed] [--tests]`.
//   ts      src/ -> dist/ with tsc
//   native  native/ -> build/Release/jsg.node with cmake-js (headers come from node-api-headers: nothing is downloaded)
// --if-needed skips what is newer than its sources; --tests also builds the C++ tests.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const flags = process.argv.slice(2);
const target = flags.find((flag) => !flag.startsWith('--')) ?? 'all';
const ifNeeded = flags.includes('--if-needed');
const tests = flags.includes('--tests');

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const isFresh = (output, ...sources) => {
  const built = statSync(join(root, output), { throwIfNoEntry: false });
  return built !== undefined && sources.every((source) => newest(join(root, source)) <= built.mtimeMs);
};

function buildTs() {
  // An installed package ships dist/ and no sources.
  if (!existsSync(join(root, 'src'))) return;
  if (ifNeeded && isFresh('dist/cli.js', 'src', 'tsconfig.json', 'package.json')) return;
  run(process.execPath, [require.resolve('typescript/bin/tsc'), '-p', '.']);
}

function requireTool(names, what, packages) {
  for (const name of names) {
    if (name && spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0) return;
  }
  process.stderr.write(
    `jsg: building the native runtime needs ${what}, and none of ${names.filter(Boolean).join(', ')} was found.\n` +
      `     Install it, then run the same command again: sudo apt-get install -y ${packages}\n`,
  );
  process.exit(1);
}

function buildNative() {
  if (ifNeeded && !tests && isFresh('build/Release/jsg.node', 'native', 'CMakeLists.txt', 'package.json')) return;
  requireTool(['cmake'], 'cmake 3.22 or newer', 'cmake');
  requireTool([process.env.CXX, 'c++', 'g++', 'clang++'], 'a C++20 compiler (gcc 11 or newer, or clang 14 or newer)', 'g++');
  requireTool([process.env.CMAKE_MAKE_PROGRAM, 'make', 'ninja'], 'make or ninja', 'make');
  const cmakeJs = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  run(process.execPath, [
    cmakeJs, 'compile', '--log-level', 'warn', '--parallel', String(availableParallelism()),
    `--CDJSG_VERSION=${version}`, `--CDJSG_TESTS=${tests ? 'ON' : 'OFF'}`,
  ]);
}

if (target === 'ts' || target === 'all') buildTs();
if (target === 'native' || target === 'all') buildNative();
