/** `jsg build` on a board of 8 GB, which a cgroup makes of this machine: the build adapts instead of being ended by the kernel. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeVenv } from './build-spec.js';

const GIB = 2 ** 30;
const BOARD_BYTES = 8 * GIB;
const BIN = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));

/** A group of processes that gets so much memory and no more; null where this machine lets us make none. */
function makeGroup(bytes: number): { folder: string; numKilled: () => number } | null {
  const isV1 = existsSync('/sys/fs/cgroup/memory/memory.limit_in_bytes');
  const folder = join(isV1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup', `jsg-test-${process.pid}`);
  try {
    if (!isV1) writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+memory');
    mkdirSync(folder);
    writeFileSync(join(folder, isV1 ? 'memory.limit_in_bytes' : 'memory.max'), String(bytes));
    // A board's zram takes none of what compilers hold.
    const swap = join(folder, isV1 ? 'memory.memsw.limit_in_bytes' : 'memory.swap.max');
    if (existsSync(swap)) writeFileSync(swap, isV1 ? String(bytes) : '0');
    const counter = join(folder, isV1 ? 'memory.oom_control' : 'memory.events');
    return { folder, numKilled: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(counter, 'utf8'))?.[1]) };
  } catch {
    return null;
  }
}

/** Like ninja: so many units, `jobs` at a time; each takes its memory for a while. It says nothing of why one has failed. */
const COMPILE = `
import subprocess, sys
jobs, units, bytes = int(sys.argv[1]), 2, int(sys.argv[2])
unit = "import sys, time; data = bytearray(int(sys.argv[1])); time.sleep(1)"
done = 0
while done < units:
    batch = [subprocess.Popen([sys.executable, '-c', unit, str(bytes)]) for _ in range(min(jobs, units - done))]
    if any([process.wait() for process in batch]):
        sys.exit('FAILED: a unit')
    done += len(batch)
    print(f'[{done}/{units}] with {jobs} jobs', flush=True)
open('done', 'w').write(str(jobs))
`;

let root = '';
let venv = '';
let group: ReturnType<typeof makeGroup> = null;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'jsg-build-memory-'));
  venv = makeVenv({ root }, 'venv');
  writeFileSync(join(root, 'compile.py'), COMPILE);
  group = freemem() < BOARD_BYTES ? null : makeGroup(BOARD_BYTES);
});
afterAll(() => {
  rmSync(root, { recursive: true, force: true });
  if (group !== null) rmdirSync(group.folder);
});

/** A recipe whose jobs take `takesGb` where it says `saysGb`. */
async function buildOnBoard(name: string, { saysGb, takesGb }: { saysGb: number; takesGb: number }) {
  const recipe = join(root, `${name}.yaml`);
  const run = JSON.stringify(['python3', join(root, 'compile.py'), '{jobs}', String(takesGb * 1e9)]);
  writeFileSync(
    recipe,
    `description: takes memory
variants:
  seed:
    description: takes memory
    requirements: { tools: [python3], memory_gb: ${saysGb}, disk_gb: 0.1 }
    steps:
      - { id: compile, title: compile, in: ${name}, make: true, run: ${run}, outputs: ['${name}/done'], timeout_min: 5 }
`,
  );
  const command = `echo $$ > '${group?.folder}/cgroup.procs' && exec "$@"`;
  const args = [process.execPath, BIN, 'build', recipe, '--build-dir', root, '--venv', venv];
  const finished = await execa('sh', ['-c', command, 'sh', ...args], { reject: false });
  return { ...finished, jobs: Number(readFileSync(join(root, 'seed', name, 'done'), 'utf8')) };
}

it('runs as many jobs as fit, so that none is ended by the kernel', async ({ skip }) => {
  if (group === null) return skip('no cgroup can be made here, or less than 8 GiB are free');
  const { exitCode, stderr, jobs } = await buildOnBoard('honest', { saysGb: 5, takesGb: 4.6 });
  expect(exitCode, stderr).toBe(0);
  expect(jobs).toBe(1);
  expect(group.numKilled()).toBe(0);
});

it('goes on with fewer jobs where a recipe needs more than it says and the kernel ends one', async ({ skip }) => {
  if (group === null) return skip('no cgroup can be made here, or less than 8 GiB are free');
  const { exitCode, stderr, jobs } = await buildOnBoard('optimistic', { saysGb: 1, takesGb: 4.5 });
  expect(exitCode, stderr).toBe(0);
  expect(stderr).toContain('memory is short, going on with 1 job');
  expect(jobs).toBe(1);
  expect(group.numKilled()).toBeGreaterThan(0);
});
