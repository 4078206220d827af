// What the compiler made of the kernels for one architecture, and whether it is what a kernel at the bandwidth limit needs:
//   node scripts/cuda/check-sass.mjs build-cuda/Release/jsg.node [--arch 87] [--cuobjdump PATH] [--all]
// Fails (exit 1) with a table of the guilty when a kernel keeps registers in local memory, or when the loop of a matrix
// product loads its operands by less than 128 bits at a time. --all prints the table of every kernel.
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { isLocal, isWrite, loadBytes, parseResources, parseSass, streamingLoops, wideShare } from './sass.mjs';

/** May use local memory: what checks the fast path, and is not timed. */
const MAY_SPILL = /reference/;
/** Streams weights: nearly all bytes come by 128-bit loads (positions may be narrower). */
const STREAMS_WEIGHTS = /^(gemv|gemm|linear|product)/;
const LEAST_WIDE_SHARE = 0.9;
/** Codes come by 128-bit loads; beside the 16 bytes of one, its groups' scales are up to 16 bytes that several lanes share. */
const STREAMS_CODES = /Int[48]Weight/;
const LEAST_WIDE_SHARE_OF_CODES = 0.65;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    arch: { type: 'string', default: '87' },
    cuobjdump: { type: 'string', default: 'cuobjdump' },
    all: { type: 'boolean', default: false },
  },
});
const [addon] = positionals;

function output(command, args, input) {
  // cuobjdump runs the nvdisasm that it finds on the PATH.
  const env = { ...process.env, PATH: `${dirname(values.cuobjdump)}:${process.env.PATH}` };
  const result = spawnSync(command, args, { encoding: 'utf8', input, env, maxBuffer: 2 ** 30 });
  if (result.error) throw result.error;
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr.trim()}`);
  return result.stdout;
}

/** `gemv_kernel<__half, 16>` for a mangled name: no namespaces, no arguments. */
function readable(mangled) {
  const lines = output('c++filt', ['-p'], mangled.join('\n')).split('\n');
  return mangled.map((_, i) => lines[i].replace(/^void /, '').replace(/\(anonymous namespace\)::|\b\w+::/g, ''));
}

const of = ['-arch', `sm_${values.arch}`, addon];
const kernels = parseSass(output(values.cuobjdump, ['-sass', ...of]));
const resources = parseResources(output(values.cuobjdump, ['--dump-resource-usage', ...of]));
if (kernels.size === 0) throw new Error(`${addon} has no kernels for sm_${values.arch}`);

// A kernel for newer GPUs is compiled here too, without a body.
const built = [...kernels].filter(([, instructions]) => instructions.some(isWrite));
const names = readable(built.map(([mangled]) => mangled));
const rows = built.map(([mangled, instructions], i) => {
  const name = names[i];
  const { registers, stack, shared } = resources.get(mangled);
  const loops = streamingLoops(instructions);
  const loads = (bytes) => loops.flat().filter(({ opcode }) => loadBytes(opcode) === bytes).length;
  const local = instructions.filter(isLocal).length;
  const wide = wideShare(loops);
  const faults = [];
  if ((local > 0 || stack > 0) && !MAY_SPILL.test(name)) faults.push('uses local memory');
  const leastWide = STREAMS_CODES.test(name) ? LEAST_WIDE_SHARE_OF_CODES : LEAST_WIDE_SHARE;
  if (STREAMS_WEIGHTS.test(name) && (wide ?? 0) < leastWide) faults.push('narrow loads');
  const narrow = loads(8) + loads(4) + loads(2) + loads(1);
  const share = wide === null ? '-' : `${Math.round(wide * 100)} %`;
  return { name, registers, stack, local, shared, wideLoads: loads(16), narrow, share, fault: faults.join(', ') };
});
rows.sort((a, b) => a.name.localeCompare(b.name));

function table(shown) {
  const header = [
    'kernel',
    'registers',
    'stack',
    'LDL+STL',
    'shared',
    'loads 128',
    'narrower',
    'bytes by 128',
    'fault',
  ];
  const lines = [header, ...shown.map((row) => Object.values(row).map(String))];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  const isText = (column) => column === 0 || column === header.length - 1;
  const pad = (cell, column) => (isText(column) ? cell.padEnd(widths[column]) : cell.padStart(widths[column]));
  return lines.map((line) => line.map(pad).join('  ').trimEnd()).join('\n');
}

const guilty = rows.filter(({ fault }) => fault !== '');
if (values.all || guilty.length > 0) console.log(table(values.all ? rows : guilty));
const checked = rows.filter(({ name }) => STREAMS_WEIGHTS.test(name)).length;
// A rename must not make the rule void.
if (checked === 0) throw new Error(`no kernel of sm_${values.arch} is named like one that streams weights`);
const empty = kernels.size - built.length;
console.log(
  `sm_${values.arch}: ${rows.length} kernels (and ${empty} that are empty here), ${checked} of them stream weights; ` +
    `${guilty.length} at fault`,
);
process.exit(guilty.length > 0 ? 1 : 0);
