// Whether an addon is the package that loads everywhere:
//   node scripts/cuda/check-addon.mjs build-cuda/Release/jsg.node [--archs 87,90,110,120,121] [--ptx 90] [--cuobjdump PATH]
// Every kernel file is in it for each of these architectures; it needs no library of CUDA's to load, shows none of the
// runtime's symbols, and loads. Prints a line for each, and fails (exit 1) when one does not hold.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cudaLibraries, listedArchs, missingArchs } from './addon.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    archs: { type: 'string', default: '87,90,110,120,121' },
    ptx: { type: 'string', default: '90' },
    cuobjdump: { type: 'string', default: 'cuobjdump' },
  },
});
const addon = resolve(positionals[0]);
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

function output(command, ...args) {
  const result = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr.trim()}`);
  return result.stdout;
}

let failed = false;
function expectNone(what, faults) {
  failed ||= faults.length > 0;
  console.log(`${faults.length === 0 ? 'ok  ' : 'FAIL'} ${what}${faults.map((fault) => `\n       ${fault}`).join('')}`);
}

const missingCount = (count, wanted) => (count === wanted ? [] : [`in ${count} kernel files instead of ${wanted}`]);

const cubins = listedArchs(output(values.cuobjdump, '--list-elf', addon));
const counts = [...cubins].map(([arch, count]) => `${count} for sm_${arch}`).join(', ');
const archs = values.archs.split(',');
expectNone(`cubins: ${counts || 'none'}`, missingArchs(cubins, archs));
const cmake = readFileSync(new URL('../../native/backend/cuda/cuda.cmake', import.meta.url), 'utf8');
const hopperSources = /^set\(HOPPER_SOURCES (.+)\)$/m.exec(cmake)[1].split(' ');
const numHopper = archs.includes('90') ? hopperSources.length : 0;
expectNone(`code with wgmma, for sm_90a: ${hopperSources.join(', ')}`, missingCount(cubins.get('90a') ?? 0, numHopper));

const ptx = listedArchs(output(values.cuobjdump, '--list-ptx', addon));
expectNone(`PTX for compute_${values.ptx}, for newer GPUs`, missingArchs(ptx, [values.ptx]));

expectNone('loads without a library of CUDA', cudaLibraries(output('readelf', '-d', addon)));

const exported = output('nm', '-D', '--defined-only', addon).match(/\bcu[A-Z]\w+|\bcuda[A-Z]\w+|__cuda\w+/g) ?? [];
expectNone("keeps the runtime's symbols to itself", exported.slice(0, 5));

const binding = createRequire(import.meta.url)(addon);
const device = binding.cudaDevice();
const hasDriver = existsSync('/dev/nvidiactl') || existsSync('/dev/nvhost-gpu') || existsSync('/dev/dxg');
expectNone(`loads here: version ${binding.version}, device ${device?.name ?? 'none'}`, [
  ...(binding.version === version ? [] : [`package.json says ${version}`]),
  ...(binding.hasCuda ? [] : ['hasCuda is false']),
  ...(hasDriver || device === null ? [] : ['there is no driver, yet a device']),
]);
process.exit(failed ? 1 : 0);
