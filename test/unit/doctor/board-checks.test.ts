/** The checks of a board: release, libraries, power, clocks, memory, disk, profiles. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../src/device/machine.js';
import { isSuperAvailable } from '../../../src/doctor/checks/super.js';
import { examine } from '../../../src/doctor/examine.js';
import type { Facts, ProfileFacts, SpeedFacts } from '../../../src/doctor/facts.js';
import { toJson } from '../../../src/doctor/json.js';
import { laptopMachine, orinMachine } from '../device/machines.js';

const GIB = 1024 ** 3;
const rest = { toolchain: null, addon: null, store: null, python: null, speed: null, profiles: [] };
const orin: Facts = { ...orinMachine, ...rest };
const on = (change: Partial<Facts>): Facts => ({ ...orin, ...change });
const find = (facts: Facts, id: string) => examine(facts).find((finding) => finding.id === id);

const release = (l4t: string | null, jetpack: string | null, more: Partial<Machine['release']> = {}) => ({
  release: { l4t, jetpack, jetpackPackage: null, isFromPackage: false, nearest: null, ...more },
});
const mode = (id: number, name: string, more = {}) => ({
  id,
  name,
  gpuMaxHz: null,
  emcMaxHz: null,
  numCpus: null,
  gating: '',
  ...more,
});
const power = (name: string, modes: ReturnType<typeof mode>[], max: string, more = {}): Machine['power'] => ({
  current: { id: modes.find((each) => each.name === name)?.id ?? null, name },
  source: 'nvpmodel',
  modes,
  isFromConf: true,
  max: modes.find((each) => each.name === max) ?? null,
  isMax: name === max,
  hasSuperMode: modes.some((each) => each.name === 'MAXN_SUPER'),
  defaultId: null,
  savedId: null,
  ...more,
});
const nanoBoard = (isSuper: boolean, isSuperInBootControl: boolean | null = isSuper): Machine['board'] => ({
  name: 'Jetson Orin Nano 8GB',
  partNumber: 'p3767-0005',
  model: null,
  soc: 'tegra234',
  isSuper,
  isSuperInBootControl,
  ramGib: 8,
});
const superModes = [
  mode(0, '15W', { gating: 'x' }),
  mode(1, '25W'),
  mode(2, 'MAXN_SUPER'),
  mode(3, '7W', { gating: 'y' }),
];
const clocks = (gpuMhz: number, emcMhz: number, more = {}): Machine['clocks'] => ({
  isLocked: true,
  needsRoot: false,
  gpuMaxHz: gpuMhz * 1e6,
  emcMaxHz: emcMhz * 1e6,
  cpuMaxHz: null,
  modeName: null,
  ...more,
});
const nanoDevice = {
  ...orin.device,
  memory: { totalBytes: 7.4 * GIB, availableBytes: 6 * GIB, cgroupLimitBytes: null },
};
const onNano = (change: Partial<Facts>) =>
  on({
    device: nanoDevice,
    board: nanoBoard(true),
    power: power('MAXN_SUPER', superModes, 'MAXN_SUPER'),
    clocks: clocks(1020, 3199),
    ...change,
  });
const speed: SpeedFacts = { workload: 'an 8B model in int4', now: 10, atMax: 15, afterSuper: null };

it('a board as it should be has nothing to mend', () => {
  expect(examine(orin).filter(({ status }) => status === 'fail' || status === 'warn')).toEqual([]);
});

describe('release', () => {
  it.each([
    ['36.4.4', '6.2.1', 'pass'],
    ['36.4.0', '6.1', 'pass'],
    ['39.2.0', '7.2', 'pass'],
    ['36.3.0', '6.0', 'fail'],
    ['35.6.4', '5.1.6', 'fail'],
  ])('L4T %s: %s', (l4t, jetpack, status) => {
    expect(find(on(release(l4t, jetpack)), 'jetpack')?.status).toBe(status);
  });

  it('the way up is apt within JetPack 6, flashing before it, none for older modules', () => {
    const fix = (facts: Partial<Facts>) => find(on(facts), 'jetpack')?.fix;
    expect(fix(release('36.3.0', '6.0'))).toContain('dist-upgrade');
    expect(fix(release('35.4.1', '5.1.2'))).toMatch(/^sdkmanager/);
    const nano = { ...nanoBoard(false), name: 'Jetson Nano 4GB', partNumber: 'p3448-0000', soc: 'tegra210' };
    expect(fix({ board: nano as Machine['board'], ...release('32.7.1', '4.6.1') })).toContain('no JetPack 6');
  });

  it('an unknown L4T is called so, with the nearest known one', () => {
    const nearest = { l4t: '36.5.2', jetpack: '6.2.x' };
    const finding = find(on(release('36.9.0', 'unknown', { nearest })), 'jetpack');
    expect(finding?.status).toBe('warn');
    expect(finding?.found).toMatch(/36\.9\.0.*unknown.*36\.5\.2/);
    const old = { l4t: '35.6.4', jetpack: '5.1.6' };
    expect(find(on(release('35.6.5', 'unknown', { nearest: old })), 'jetpack')?.status).toBe('fail');
  });

  it('36.4.7 is known for failing allocations', () => {
    expect(find(on(release('36.4.7', '6.2.1')), 'release-known-bad')?.status).toBe('warn');
    expect(find(orin, 'release-known-bad')).toBeUndefined();
  });

  it.each([
    ['6.2.1+b38', 'pass', null],
    ['6.2+b77', 'warn', /install nvidia-jetpack/],
    ['6.2.3+b81', 'warn', /dist-upgrade/],
  ])('metapackage %s on L4T 36.4.4: %s', (jetpackPackage, status, fix) => {
    const finding = find(on(release('36.4.4', '6.2.1', { jetpackPackage })), 'jetpack-package');
    expect(finding?.status).toBe(status);
    if (fix !== null) expect(finding?.fix).toMatch(fix);
  });
});

describe('libraries', () => {
  const libraries = (change: Partial<Machine['libraries']>) => on({ libraries: { ...orin.libraries, ...change } });

  it.each([
    ['cuda', { cuda: '13.0.48', nvcc: '13.0.48', toolkit: '13.0.0' }, 'warn'],
    ['cuda', { cuda: '12.6.85', nvcc: '12.6.85', toolkit: null }, 'pass'],
    ['cuda', { cuda: null, nvcc: null, toolkit: null, installed: [] }, 'warn'],
    ['cuda', { nvcc: '12.6.68', toolkit: '12.2.140' }, 'warn'],
    ['cudnn', { cudnn: '8.9.7' }, 'warn'],
    ['cudnn', { cudnn: null }, 'warn'],
    ['cudnn', { cudnn: '9.4.0' }, 'pass'],
    ['tensorrt', { tensorrt: '8.6.2.3' }, 'warn'],
  ])('%s of %j: %s', (id, change, status) => {
    expect(find(libraries(change), id)?.status).toBe(status);
  });

  it('none are asked of a machine that is no Jetson', () => {
    const laptop: Facts = { ...laptopMachine, ...rest };
    const ids = examine(laptop).map(({ id }) => id);
    for (const id of ['cuda', 'cudnn', 'tensorrt', 'jetpack', 'power-mode', 'clocks-locked', 'swap']) {
      expect(ids).not.toContain(id);
    }
    expect(find(laptop, 'board')?.found).toContain('no Jetson');
  });
});

describe('power mode', () => {
  it('goes by name: on an Orin Nano Super id 0 is nearly the slowest', () => {
    const finding = find(onNano({ power: power('15W', superModes, 'MAXN_SUPER'), speed }), 'power-mode');
    expect(finding).toMatchObject({ status: 'warn', found: '15W (id 0)' });
    expect(finding?.fix).toMatch(/^sudo nvpmodel -m 2$/);
    expect(finding?.why).toContain('10.0 tok/s instead of 15.0 (-33 %)');
    expect(find(onNano({ power: power('25W', superModes, 'MAXN_SUPER') }), 'power-mode')?.fix).toBe(
      'sudo nvpmodel -m 2',
    );
  });

  it('tells whether changing over asks for a reboot', () => {
    const fix = (facts: Facts) => find(facts, 'power-mode')?.fix;
    // By the SMs that both modes power: 8 and 8, 4 and 8.
    expect(fix(onNano({ power: power('25W', superModes, 'MAXN_SUPER') }))).toBe('sudo nvpmodel -m 2');
    expect(fix(onNano({ power: power('7W', superModes, 'MAXN_SUPER') }))).toBe(
      'sudo nvpmodel -m 2   # asks for a reboot',
    );
    // The board's own masks win.
    const own = [mode(0, '7W', { gating: 'a' }), mode(1, 'MAXN', { gating: 'a' })];
    expect(fix(onNano({ power: power('7W', own, 'MAXN') }))).toBe('sudo nvpmodel -m 1');
    const other = [mode(0, '25W', { gating: 'a' }), mode(2, 'MAXN_SUPER', { gating: 'b' })];
    expect(fix(onNano({ power: power('25W', other, 'MAXN_SUPER') }))).toContain('asks for a reboot');
    expect(fix(onNano({ board: null, power: power('25W', superModes, 'MAXN_SUPER') }))).toContain(
      'may ask for a reboot',
    );
  });

  it('says nothing of a loss that is not known', () => {
    const facts = onNano({ power: power('25W', superModes, 'MAXN_SUPER'), speed: { ...speed, now: null } });
    expect(find(facts, 'power-mode')?.why).not.toContain('tok/s');
  });

  it.each([
    [{ savedId: 2, defaultId: 1 }, 'pass'],
    [{ savedId: 1, defaultId: 2 }, 'warn'],
    [{ savedId: null, defaultId: 1 }, 'warn'],
    [{ savedId: null, defaultId: 2 }, 'pass'],
  ])('saved for the next start: %j, %s', (more, status) => {
    const facts = onNano({ power: power('MAXN_SUPER', superModes, 'MAXN_SUPER', more) });
    expect(find(facts, 'power-saved')?.status).toBe(status);
  });

  it('nvpmodel and jetson_clocks that disagree', () => {
    expect(find(onNano({ clocks: clocks(1020, 3199, { modeName: '25W' }) }), 'power-saved')?.status).toBe('warn');
  });
});

describe('Super', () => {
  const plainModes = [mode(0, '15W'), mode(1, '7W')];
  const plain = (l4t: string): Facts =>
    onNano({
      board: nanoBoard(false),
      power: power('15W', plainModes, '15W'),
      clocks: clocks(624.75, 2133),
      ...release(l4t, '6.2'),
    });

  it('flashed for it', () => {
    expect(find(onNano({}), 'super')?.status).toBe('pass');
    expect(isSuperAvailable(onNano({}))).toBe(true);
  });

  it('not flashed: a loss, but not a wrong mode', () => {
    expect(find(plain('36.4.4'), 'super')?.status).toBe('warn');
    expect(find(plain('36.4.4'), 'power-mode')?.status).toBe('pass');
    expect(find(plain('36.3.0'), 'super')?.status).toBe('skip');
    expect(isSuperAvailable(plain('36.4.4'))).toBe(false);
  });

  it('set, but capped to the old ceilings', () => {
    const capped = onNano({ clocks: clocks(624.75, 2133) });
    expect(find(capped, 'clock-ceilings')).toMatchObject({ status: 'warn', expected: 'GPU 1020 MHz, memory 3199 MHz' });
    expect(isSuperAvailable(capped)).toBe(false);
    expect(find({ ...capped, speed }, 'clock-ceilings')?.why).toContain('10.0 tok/s instead of 15.0');
    // Also where the module is not known.
    expect(find({ ...capped, board: null }, 'clock-ceilings')?.status).toBe('warn');
  });

  it('half flashed', () => {
    expect(find(onNano({ board: nanoBoard(true, false) }), 'super')?.status).toBe('warn');
    expect(find(onNano({ board: nanoBoard(false, true) }), 'super')?.status).toBe('warn');
  });

  it('does not exist for an AGX Orin', () => {
    expect(find(orin, 'super')).toBeUndefined();
    expect(isSuperAvailable(orin)).toBe(false);
  });
});

describe('clocks', () => {
  it.each([
    [{ isLocked: true }, 'pass'],
    [{ isLocked: false }, 'warn'],
    [{ isLocked: null, needsRoot: true }, 'skip'],
  ])('%j: %s', (change, status) => {
    expect(find(on({ clocks: clocks(1300.5, 3199, change) }), 'clocks-locked')?.status).toBe(status);
  });

  it('ceilings below those of the mode', () => {
    const slow = on({ clocks: clocks(612, 3199) });
    expect(find(slow, 'clock-ceilings')).toMatchObject({
      status: 'warn',
      found: 'GPU 612 MHz, memory 3199 MHz in MAXN',
    });
    expect(find(orin, 'clock-ceilings')?.status).toBe('pass');
  });

  it.each([
    [52.9, 'pass'],
    [95, 'warn'],
    [99.5, 'fail'],
  ])('%f degrees of 99: %s', (celsius, status) => {
    const thermal = { ...orin.thermal, sensors: [{ name: 'tj', celsius, throttlesAt: 99 }] };
    expect(find(on({ thermal }), 'temperature')?.status).toBe(status);
  });

  it('throttling now or since boot, and a rail over its limit', () => {
    const thermal = orin.thermal;
    expect(find(on({ thermal: { ...thermal, numOverCurrent: 3 } }), 'throttling')?.status).toBe('warn');
    expect(find(on({ thermal: { ...thermal, throttling: ['cpufreq-cpu0'] } }), 'throttling')?.status).toBe('warn');
    const rails = [{ name: 'VDD_IN', milliwatts: 25500, milliamps: 5100, maxMilliamps: 4944 }];
    expect(find(on({ thermal: { ...thermal, rails } }), 'power-rails')).toMatchObject({
      status: 'warn',
      found: 'VDD_IN 5100 mA of 4944 mA',
    });
  });
});

describe('memory', () => {
  const small = (change: Partial<Facts>) => onNano(change);

  it('zram is no room for a build', () => {
    const swap = { totalBytes: 3.7 * GIB, zramBytes: 3.7 * GIB, diskBytes: 0 };
    expect(find(small({ swap }), 'swap')).toMatchObject({
      status: 'warn',
      fix: expect.stringContaining('fallocate -l 12G'),
    });
    expect(find(small({ swap }), 'zram')?.status).toBe('warn');
    expect(find(small({ swap: { totalBytes: 8 * GIB, zramBytes: 0, diskBytes: 8 * GIB } }), 'swap')?.status).toBe(
      'pass',
    );
    expect(find(on({ swap }), 'zram')?.status).toBe('pass');
  });

  it('a desktop counts on a small board', () => {
    const desktop = { isRunning: true, startsAtBoot: true, bytes: 0.9 * GIB };
    expect(find(small({ desktop }), 'desktop')).toMatchObject({ status: 'warn', found: 'running, holds 0.9 GiB' });
    expect(find(on({ desktop }), 'desktop')?.status).toBe('pass');
  });

  const profile = (name: string, neededGib: number | null, more: Partial<ProfileFacts> = {}): ProfileFacts => ({
    name,
    isAsked: false,
    neededBytes: neededGib === null ? null : neededGib * GIB,
    availableBytes: 6 * GIB,
    needsCuda: true,
    refusal: null,
    ...more,
  });

  it('the documented profiles', () => {
    const both = [profile('small', 5.5), profile('large', 17)];
    expect(find(small({ profiles: both }), 'profiles-fit')).toMatchObject({
      status: 'pass',
      found: 'of 6.0 GiB available: fit: small; too large: large (17.0 GiB)',
    });
    expect(find(small({ profiles: [profile('large', 17)] }), 'profiles-fit')?.status).toBe('warn');
    expect(find(small({ profiles: [profile('x', null)] }), 'profiles-fit')).toBeUndefined();
  });

  it.each([
    [profile('p', 5, { isAsked: true }), 'pass'],
    [profile('p', 17, { isAsked: true }), 'fail'],
    [profile('p', 5, { isAsked: true, refusal: 'not in this version' }), 'fail'],
    [profile('p', null, { isAsked: true }), 'skip'],
  ])('the profile asked for: %j, %s', (asked, status) => {
    expect(find(small({ profiles: [asked] }), 'profile')?.status).toBe(status);
  });

  it('the profile asked for needs a GPU that is not there', () => {
    const asked = profile('p', 5, { isAsked: true });
    expect(find({ ...laptopMachine, ...rest, profiles: [asked] }, 'profile')?.found).toContain('no NVIDIA GPU');
  });
});

describe('machine', () => {
  it('device nodes that are closed, or not there', () => {
    const access = (change: Partial<Machine['gpuAccess']>) =>
      find(on({ gpuAccess: { ...orin.gpuAccess, ...change } }), 'gpu-access');
    expect(access({})?.status).toBe('pass');
    expect(access({ closed: ['/dev/nvmap'], missingGroups: ['render'] })).toMatchObject({
      status: 'fail',
      fix: 'sudo usermod -aG render me   # then log in anew',
    });
    expect(access({ closed: null })).toBeUndefined();
    const inside = on({ container: 'docker', gpuAccess: { nodes: [], closed: [], user: 'root', missingGroups: [] } });
    expect(find(inside, 'gpu-access')?.fix).toContain('--runtime nvidia');
  });

  it('a driver that does not answer', () => {
    const finding = find({ ...laptopMachine, ...rest, gpuFault: 'NVIDIA-SMI has failed' }, 'gpu');
    expect(finding).toMatchObject({ status: 'warn', found: 'nvidia-smi: NVIDIA-SMI has failed' });
  });

  it.each([
    [{ kind: 'sd', freeBytes: 100 * GIB }, 'warn'],
    [{ kind: 'nvme', freeBytes: 5 * GIB }, 'warn'],
    [{ kind: 'nvme', freeBytes: 100 * GIB }, 'pass'],
    [{ kind: 'emmc', freeBytes: null }, 'pass'],
  ] as [Partial<Machine['storage']>, string][])('disk %j: %s', (change, status) => {
    expect(find(on({ storage: { ...orin.storage, ...change } }), 'disk')?.status).toBe(status);
  });

  it.each([
    [{ isInstalled: true }, 'warn'],
    [{ isInstalled: true, hasToolkit: true }, 'warn'],
    [{ isInstalled: true, hasToolkit: true, hasRuntime: true }, 'pass'],
  ])('docker %j: %s', (change, status) => {
    expect(find(on({ docker: { ...orin.docker, ...change } }), 'docker')?.status).toBe(status);
  });
});

it('every warning and failure names a command', () => {
  const bad = onNano({
    ...release('36.4.7', '6.2.1', { jetpackPackage: '6.2+b77' }),
    power: power('15W', superModes, 'MAXN_SUPER', { savedId: 1 }),
    clocks: clocks(300, 1000, { isLocked: false }),
    libraries: { cuda: null, nvcc: null, toolkit: null, installed: [], cudnn: '8.0', tensorrt: '8.0' },
    device: { ...orin.device, memory: { totalBytes: GIB, availableBytes: GIB / 2, cgroupLimitBytes: null } },
    swap: { totalBytes: GIB, zramBytes: GIB, diskBytes: 0 },
    desktop: { isRunning: true, startsAtBoot: true, bytes: GIB },
    docker: { isInstalled: true, hasToolkit: false, hasRuntime: false, isDefaultRuntime: false },
    storage: { device: '/dev/mmcblk1p1', kind: 'sd', freeBytes: GIB, totalBytes: GIB },
  });
  const found = examine(bad).filter(({ status }) => status === 'warn' || status === 'fail');
  expect(found.length).toBeGreaterThan(12);
  expect(found.filter(({ fix }) => !fix)).toEqual([]);
});

it('--json has the documented fields', () => {
  const document = toJson(orin, examine(orin));
  expect(Object.keys(document)).toEqual([
    ...['board', 'l4t', 'jetpack', 'jetpack_package', 'cuda', 'cudnn', 'tensorrt', 'os', 'kernel', 'power_mode'],
    ...[
      'max_power_mode',
      'is_max_performance',
      'jetson_clocks_locked',
      'super_available',
      'memory',
      'torch',
      'checks',
      'ok',
    ],
  ]);
  expect(document.board).toEqual({
    name: 'Jetson AGX Orin 64GB',
    part_number: 'p3701-0005',
    model: 'NVIDIA Jetson AGX Orin Developer Kit',
    soc: 'tegra234',
    super: false,
    ram_gib: 64,
  });
  expect(document).toMatchObject({ power_mode: { id: 0, name: 'MAXN' }, max_power_mode: 'MAXN', ok: true });
  expect(Object.keys(document.checks[0] ?? {})).toEqual(['id', 'status', 'found', 'expected', 'why', 'fix']);
  expect(toJson({ ...laptopMachine, ...rest }, [])).toMatchObject({
    board: null,
    power_mode: null,
    super_available: null,
  });
});
