/** `jsg build` as a person runs it, from repositories on this machine. */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256OfFile } from '../../src/files.js';
import { makeSite, makeVenv, type Site, type Wanted, writeRecipe } from './build-spec.js';
import { Jsg, jsg } from './jsg.js';

let site: Site;
let venv = '';
let numBuilds = 0;
beforeAll(() => {
  site = makeSite();
  venv = makeVenv(site, 'venv');
});
afterAll(() => rmSync(site.root, { recursive: true, force: true }));

/** A recipe and a folder of its own; `args` of `jsg build`. */
function newBuild(wanted: Wanted = {}) {
  const name = `build-${numBuilds++}`;
  const folder = join(site.root, name);
  return { folder, args: ['build', writeRecipe(site, name, wanted), '--build-dir', folder], wheel: wheelIn(folder) };
}
const wheelIn = (folder: string) => join(folder, 'seed/demo/demo-0.2.0-py3-none-any.whl');
const own = () => ['--venv', venv];

/** Running processes that carry this variable. */
const processesWith = (variable: string): string[] =>
  readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(variable));

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

describe('jsg build', () => {
  it('builds, installs into an environment of its own, proves it; does nothing the second time; tells its status', async () => {
    const { args, folder, wheel } = newBuild();
    const first = await jsg(args, { env: site.env });
    expect(first.code, first.stderr).toBe(0);
    expect(first.stdout).toMatch(/^Successfully installed demo-0\.2\.0\n/);
    expect(first.stdout).toContain(`demo v0.2.0, ${site.commit}`);
    expect(first.stdout).toContain('10 files under demo/part');
    expect(first.stdout).toContain('import demo 0.2.0');
    expect(first.stdout).toMatch(/skipped +import demo: needs torch/);
    expect(first.stderr).toMatch(/^virtual environment: \d+s\nclone demo v0\.2\.0: \d+s\nbuild the wheel: \d+s\n/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a terminal would take for colours and movements
    expect(first.stdout + first.stderr).not.toMatch(/\u001b/);
    const hash = await sha256OfFile(wheel);

    const second = await jsg(args, { env: site.env });
    expect(second.code).toBe(0);
    expect(second.stdout).toContain('demo (seed) for');
    expect(second.stdout).toContain('nothing was to be done');
    expect(second.stderr.match(/is done already/g)).toHaveLength(4);

    const status = await jsg(['build', '--status', '--build-dir', folder, '--json']);
    expect(JSON.parse(status.stdout)).toMatchObject([
      {
        recipe: 'demo',
        variant: 'seed',
        unchanged: true,
        sources: [{ name: 'demo', tag: 'v0.2.0', commit: site.commit }],
        artefacts: [{ path: wheel, sha256: hash }],
        checks: [
          { kind: 'wheel', status: 'passed' },
          { kind: 'contents', status: 'passed' },
          { kind: 'import', status: 'passed' },
          { kind: 'import', status: 'skipped' },
        ],
      },
    ]);
    rmSync(wheel);
    expect((await jsg(['build', 'demo', '--status', '--build-dir', folder])).stdout).toContain('have changed');
    expect((await jsg(['build', 'other', '--status', '--build-dir', folder])).code).toBe(1);
  });

  it('tells of a failed build the command, its lines, the known cause with its fix and how to resume; then resumes', async () => {
    const { args, folder } = newBuild();
    const failed = await jsg([...args, ...own()], { env: { ...site.env, FAIL: '1' } });
    expect(failed.code).toBe(1);
    expect(failed.stdout).toBe('');
    expect(failed.stderr).toContain('jsg: build the wheel: exit code 1');
    expect(failed.stderr).toContain('command: python3 setup.py --verbose bdist_wheel --dist-dir ./');
    expect(failed.stderr).toContain("| ModuleNotFoundError: No module named 'setuptools'");
    expect(failed.stderr).toMatch(/known cause: .*setuptools/);
    expect(failed.stderr).toContain(`jsg ${[args[0], args[1], ...own(), ...args.slice(2)].join(' ')}   # resumes`);
    const log = /log: +(\S+)/.exec(failed.stderr)?.[1] ?? '';
    expect(log.startsWith(folder) && readFileSync(log, 'utf8')).toContain('running bdist_wheel');
    const resumed = await jsg([...args, ...own()], { env: site.env });
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.stderr).toContain('clone demo v0.2.0: is done already');
  });

  it('a result that does not hold is a failure, though every command went well', async () => {
    const { args } = newBuild({ minKb: 3000 });
    const { code, stdout, stderr } = await jsg([...args, ...own()], { env: site.env });
    expect(code).toBe(1);
    expect(stdout).toMatch(/failed +demo-0\.2\.0-py3-none-any\.whl has \d+ KB, at least 3\.0 MB are expected/);
    expect(stderr).toContain('jsg: what was built does not hold:');
  });

  it('names all that is missing at once, before anything is fetched', async () => {
    const { args, folder } = newBuild({ tools: '[git, no-such-tool, neither-this]' });
    const { code, stderr } = await jsg(args, { env: site.env });
    expect(code).toBe(5);
    expect(stderr).toContain('no-such-tool, a command\n  neither-this, a command');
    expect(stderr).toContain('sudo apt-get install -y no-such-tool neither-this');
    expect(existsSync(join(folder, 'seed'))).toBe(false);
  });

  it.each([
    ['a host that is not there', {}, {}, /known cause: git\.example\.invalid could not be reached/],
    [
      'a tag that is not there',
      { tag: 'v9.9.9' },
      null,
      /known cause: The repository has no tag, branch or commit v9\.9\.9/,
    ],
  ])('%s ends in one error that says what to do', async (_, wanted, env, cause) => {
    const { args } = newBuild(wanted);
    const { code, stdout, stderr } = await jsg([...args, ...own()], { env: env ?? site.env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr.match(/^jsg: /gm)).toHaveLength(1);
    expect(stderr).toMatch(cause);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  it('Ctrl-C ends it in order: exit code 130, nothing left running, and it goes on afterwards', async () => {
    const { args, folder } = newBuild();
    const running = new Jsg([...args, ...own()], { ...site.env, SLOW: '60' });
    while (!existsSync(wheelIn(folder))) await sleep(20);
    expect(processesWith('SLOW=60')).not.toEqual([]);
    const { code, stderr } = await running.end('SIGINT');
    expect(code).toBe(130);
    expect(stderr).toMatch(/jsg: the build was interrupted\n {5}jsg build .* # resumes/);
    expect(processesWith('SLOW=60')).toEqual([]);
    const resumed = await jsg([...args, ...own()], { env: site.env });
    expect(resumed.code, resumed.stderr).toBe(0);
  });

  it('two runs at once: one does the work, the other is refused', async () => {
    const { args, wheel } = newBuild();
    const both = await Promise.all([1, 2].map(() => jsg([...args, ...own()], { env: { ...site.env, SLOW: '3' } })));
    expect(both.map(({ code }) => code).sort()).toEqual([0, 1]);
    expect(both.map(({ stderr }) => stderr).join()).toMatch(/another build \(pid \d+\) is at work in/);
    expect(existsSync(wheel)).toBe(true);
  });

  it.each([
    [['build'], 'no recipe is named'],
    [['build', 'flashinfr'], 'there is no recipe flashinfr'],
    [['build', 'flashinfer', '--variant', 'newest'], 'recipe flashinfer has no variant newest'],
    [['build', 'flashinfer', '--venv', '/'], '--venv: / is no virtual environment'],
    [['build', 'flashinfer', '--root', '/'], '--root names another machine'],
    [['build', 'flashinfer', '--print', '--json'], '--print shows commands, not JSON'],
    [['build', './none.yaml'], './none.yaml: cannot be read'],
    [['build', 'flashinfer', 'xgrammar'], 'too many arguments'],
  ])('jsg %j is refused', async (args, fault) => {
    const { code, stdout, stderr } = await jsg(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(fault);
  });
});
