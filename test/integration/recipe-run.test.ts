/** The runner of recipes, in this process: sources, steps, cache, failures, the lock and interruption. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { explain } from '../../src/doctor/failures.js';
import { sha256OfFile } from '../../src/files.js';
import type { Check, Plan } from '../../src/recipe/plan.js';
import type { RunEvent } from '../../src/recipe/run/events.js';
import { type RunOptions, type RunResult, runPlans } from '../../src/recipe/run/run.js';
import { buildWheel, installWheel, makeUpstream, planOf, step, WHEEL } from './recipe-run-spec.js';

const root = mkdtempSync(join(tmpdir(), 'jsg-recipe-run-'));
let upstream: { env: NodeJS.ProcessEnv; commit: string };
let numBuilds = 0;
const newBuild = () => join(root, `build-${numBuilds++}`);

/** Of all builds but those that are about making one, which takes seconds. */
const venv = join(root, 'venv');

beforeAll(() => {
  upstream = makeUpstream(join(root, 'upstream'));
  execaSync('python3', ['-m', 'venv', venv]);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const run = async (plan: Plan, build: string, options: Partial<RunOptions> = {}): Promise<RunResult> => {
  const [result] = await runPlans([plan], {
    build,
    resume: 'jsg build demo',
    venv,
    signal: new AbortController().signal,
    onEvent: () => {},
    explain,
    env: upstream.env,
    ...options,
  });
  return result as RunResult;
};

/** A process that nobody has waited for yet is not running. */
function isRunning(pid: number): boolean {
  const path = `/proc/${pid}/stat`;
  return existsSync(path) && !/\) [ZX] /.test(readFileSync(path, 'latin1'));
}

describe('runPlans', () => {
  it('clones what is needed, builds and installs, and does nothing the second time', async () => {
    const build = newBuild();
    const plan = planOf(upstream.commit, [buildWheel, installWheel]);
    const events: RunEvent[] = [];
    const first = await run(plan, build, { venv: null, onEvent: (event) => events.push(event) });
    expect(first).toMatchObject({ numRun: 2, commits: { demo: upstream.commit } });
    expect(existsSync(join(build, 'demo/3rdparty/lib/include/lib.h'))).toBe(true);
    expect(existsSync(join(build, 'demo/3rdparty/unused/README.md'))).toBe(false);
    const shares = events.flatMap((event) => (event.kind === 'progress' && event.share !== null ? [event.share] : []));
    expect(shares.at(-1)).toBe(1);
    const hash = await sha256OfFile(join(build, WHEEL));
    expect((await run(plan, build, { venv: null })).numRun).toBe(0);

    const checks: Check[] = [
      { kind: 'wheel', file: 'demo/*.whl', minBytes: 500 },
      { kind: 'wheel', file: 'demo/*.whl', minBytes: 10_000_000 },
      { kind: 'wheel', file: 'none/*.whl', minBytes: 1 },
      { kind: 'contents', file: 'demo/*.whl', prefix: 'demo/part', count: 10 },
      { kind: 'contents', file: 'demo/*.whl', prefix: 'demo/part', count: 11 },
      { kind: 'sm', file: 'demo/*.whl', sm: 87 },
      { kind: 'import', module: 'demo', version: '0.2.0', needs: [] },
      { kind: 'import', module: 'demo', version: '0.3.0', needs: [] },
      { kind: 'import', module: 'demo', version: null, needs: ['not_there'] },
      { kind: 'import', module: 'not_there', version: null, needs: [] },
    ];
    const second = await run({ ...plan, checks }, build, { venv: null });
    expect(second.numRun).toBe(0);
    expect(second.verdicts.map(({ status }) => status)).toEqual([
      'passed',
      'failed',
      'failed',
      'passed',
      'failed',
      'failed',
      'passed',
      'failed',
      'skipped',
      'failed',
    ]);

    // An output that was changed is made again; what depends on its bytes follows only if they changed.
    writeFileSync(join(build, WHEEL), 'cut short');
    expect((await run(plan, build, { venv: null })).numRun).toBe(1);
    expect(await sha256OfFile(join(build, WHEEL))).toBe(hash);
  });

  it('refuses another commit, and a tag that is not there', async () => {
    const wrong = run(planOf('0'.repeat(40), [buildWheel]), newBuild());
    await expect(wrong).rejects.toMatchObject({ code: 'E_CHECKSUM_MISMATCH' });
    const plan = planOf(null, [buildWheel]);
    const missing = {
      ...plan,
      sources: plan.sources.map((source) => ({ ...source, tag: 'v9.9.9' })) as Plan['sources'],
    };
    await expect(run(missing, newBuild())).rejects.toThrow('v9.9.9');
  });

  it('fetches a submodule that has lost its files, or that only a later recipe needs', async () => {
    const plan = planOf(upstream.commit, []);
    const build = newBuild();
    const without = { ...plan, sources: plan.sources.map((source) => ({ ...source, submodules: [] })) } as Plan;
    await run(without, build);
    expect(existsSync(join(build, 'demo/3rdparty/lib/include/lib.h'))).toBe(false);
    await run(plan, build);
    rmSync(join(build, 'demo/3rdparty/lib/include'), { recursive: true });
    await run(plan, build);
    expect(existsSync(join(build, 'demo/3rdparty/lib/include/lib.h'))).toBe(true);
  });

  it('tells of a submodule that is fetched and does not hold what it should', async () => {
    const plan = planOf(upstream.commit, []);
    const submodules = [{ path: '3rdparty/lib', holds: '3rdparty/lib/include/other.h' }];
    const wrong = { ...plan, sources: plan.sources.map((source) => ({ ...source, submodules })) } as Plan;
    await expect(run(wrong, newBuild())).rejects.toThrow('without their files in');
  });

  it('tells of a failure the command, the last lines, the known cause and how to resume; then resumes', async () => {
    const build = newBuild();
    const plan = planOf(upstream.commit, [buildWheel]);
    const error = await run(plan, build, { env: { ...upstream.env, FAIL: '1' } }).catch((cause) => cause);
    expect(error.message).toContain('python3 setup.py --verbose bdist_wheel');
    expect(error.message).toContain("No module named 'setuptools'");
    expect(error.message).toContain('known cause');
    expect(error.hint).toContain('setuptools');
    expect(error.hint).toContain('resume');
    expect((await run(plan, build)).numRun).toBe(1);
  });

  it('does not take a command for done whose output or result is missing', async () => {
    const silent = step({ id: 'silent', argv: ['python3', '-c', 'pass'], outputs: ['*.whl'] });
    await expect(run(planOf(null, [silent]), newBuild())).rejects.toThrow('did not make *.whl');
    const untold = step({ id: 'untold', argv: ['python3', '-c', 'pass'], expects: 'Successfully installed' });
    await expect(run(planOf(null, [untold]), newBuild())).rejects.toThrow('does not say "Successfully installed"');
  });

  it('goes on with fewer jobs where memory runs out', async () => {
    const code = `import sys\nif sys.argv[1] != '1': sys.exit('c++: fatal error: Killed signal terminated program cc1plus')`;
    const hungry = step({ id: 'hungry', argv: ['python3', '-c', code, '{jobs}'] });
    const plan = { ...planOf(null, [hungry]), jobs: { count: 4, memoryBytesPerJob: 1 } };
    const notes: string[] = [];
    await run(plan, newBuild(), { onEvent: (event) => event.kind === 'note' && notes.push(event.text) });
    expect(notes.map((note) => /(\d) jobs?$/.exec(note)?.[1])).toEqual(['2', '1']);
  });

  it('is begun again with fewer jobs while memory is short, and goes on when it is not', async () => {
    // With more than one job it would take for ever.
    const code = `import sys, time\ntime.sleep(0 if sys.argv[1] == '1' else 600)`;
    const slow = step({ id: 'slow', argv: ['python3', '-c', code, '{jobs}'] });
    const plan = { ...planOf(null, [slow]), sources: [], jobs: { count: 4, memoryBytesPerJob: 1 } };
    let numLooks = 0;
    // Not before it has begun, so that it begins with all four.
    const readMemory = () => ({
      ...{ availableBytes: 1e12, swapBytes: 0, oomKills: 0 },
      pressurePercent: numLooks++ < 3 ? 0 : 60,
    });
    const notes: string[] = [];
    const onEvent = (event: RunEvent) => event.kind === 'note' && notes.push(event.text);
    await run(plan, newBuild(), { readMemory, memoryPollMs: 20, onEvent });
    expect(notes.map((note) => /(\d) jobs?$/.exec(note)?.[1])).toEqual(['2', '1']);
  });

  it('keeps the torch that is there: pip is told of it, and what was compiled against another is compiled again', async () => {
    const build = newBuild();
    const own = join(build, 'own');
    execaSync('python3', ['-m', 'venv', '--without-pip', own]);
    const site = execaSync(join(own, 'bin/python'), [
      '-c',
      "import sysconfig; print(sysconfig.get_path('purelib'))",
    ]).stdout;
    const install = (version: string) => {
      rmSync(join(site, 'torch-2.8.0.dist-info'), { recursive: true, force: true });
      mkdirSync(join(site, `torch-${version}.dist-info`), { recursive: true });
      writeFileSync(join(site, `torch-${version}.dist-info/RECORD`), `torch/version.py,${version},1\n`);
    };
    const code = "import os; open('told', 'w').write(open(os.environ['PIP_CONSTRAINT']).read())";
    const tell = step({ id: 'tell', argv: ['python3', '-c', code], outputs: ['told'], modules: ['torch'] });
    const free = step({ id: 'free', argv: ['python3', '-c', 'pass'] });
    const plan = { ...planOf(null, [free, tell]), sources: [] };
    install('2.8.0');
    expect((await run(plan, build, { venv: own })).numRun).toBe(2);
    expect(readFileSync(join(build, 'told'), 'utf8')).toBe('torch==2.8.0\n');
    expect((await run(plan, build, { venv: own })).numRun).toBe(0);
    install('2.9.1');
    expect((await run(plan, build, { venv: own })).numRun).toBe(1);
    expect(readFileSync(join(build, 'told'), 'utf8')).toBe('torch==2.9.1\n');
  });

  it('lets one run at a time into a folder, and ends all its processes when interrupted', async () => {
    const build = newBuild();
    const pidFile = join(root, 'grandchild.pid');
    // A grandchild in a session of its own, which ignores a polite end.
    const code = `import subprocess, sys, time
child = subprocess.Popen([sys.executable, '-c', 'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print("up", flush=True); time.sleep(600)'], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
open(${JSON.stringify(pidFile)}, 'w').write(str(child.pid))
time.sleep(600)`;
    const plan = planOf(null, [step({ id: 'endless', argv: ['python3', '-c', code] })]);
    const controller = new AbortController();
    const first = run(plan, build, { signal: controller.signal }).catch((error) => error);
    while (!existsSync(pidFile) || readFileSync(pidFile, 'utf8') === '') await sleep(20);
    await expect(run(plan, build)).rejects.toMatchObject({ code: 'E_UNAVAILABLE' });
    controller.abort();
    expect((await first).message).toContain('interrupted');
    expect(isRunning(Number(readFileSync(pidFile, 'utf8')))).toBe(false);
  });
});
