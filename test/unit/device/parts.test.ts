/** The smaller parts of a machine: libraries, swap, disk, container, docker, heat, desktop, GPU nodes. */
import { describe, expect, it } from 'vitest';
import { probeContainer } from '../../../src/device/container.js';
import { probeDesktop } from '../../../src/device/desktop.js';
import { probeDocker } from '../../../src/device/docker.js';
import { missingGroups } from '../../../src/device/gpu-access.js';
import { parseCudaVersionFile, probeLibraries } from '../../../src/device/libraries.js';
import { parseDpkgStatus, probePackages } from '../../../src/device/packages.js';
import { probeStorage } from '../../../src/device/storage.js';
import { probeSwap } from '../../../src/device/swap.js';
import { probeThermal } from '../../../src/device/thermal.js';
import { fakeSource } from './fake-source.js';

const MIB = 2 ** 20;
const none = new Map<string, string>();
const at = (files: Record<string, string>) => fakeSource({ files });

describe('packages', () => {
  const stanza = (name: string, version: string, status = 'install ok installed') =>
    `Package: ${name}\nStatus: ${status}\nArchitecture: arm64\nVersion: ${version}\nDescription: x\n y\n`;

  it('are those that are installed', () => {
    const text = [
      stanza('nvidia-l4t-core', '36.4.4-20250616085344'),
      stanza('held', '1', 'hold ok installed'),
      stanza('gone', '1', 'deinstall ok config-files'),
      stanza('never', '1', 'unknown ok not-installed'),
      'Package: cut-off\nStatus: install ok inst',
    ].join('\n');
    expect([...parseDpkgStatus(text).keys()]).toEqual(['nvidia-l4t-core', 'held']);
  });

  it('may lie in a file each', () => {
    const files = {
      '/var/lib/dpkg/status.d/a': 'Package: a\nVersion: 2\n',
      '/var/lib/dpkg/status.d/b': 'Package: b\n',
    };
    expect([...probePackages(at(files))]).toEqual([['a', '2']]);
  });
});

describe('libraries', () => {
  const nvcc = 'nvcc: NVIDIA (R) Cuda compiler driver\nCuda compilation tools, release 12.6, V12.6.68\n';
  const header = '#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 3\n#define CUDNN_PATCHLEVEL 0\n';

  it('prefer what the tools say to what packages say', async () => {
    const source = fakeSource({
      files: {
        '/usr/local/cuda/version.json': '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}',
        '/usr/include/cudnn_version.h': header,
      },
      commands: { nvcc },
    });
    const packages = new Map([
      ['libcudnn8', '8.9.7.29-1+cuda12.2'],
      ['libcudnn9-cuda-12', '9.3.0.75-1'],
      ['libnvinfer10', '10.3.0.30-1+cuda12.5'],
      ['nvidia-tensorrt', '6.2.1+b38'],
    ]);
    expect(await probeLibraries(source, packages)).toMatchObject({
      cuda: '12.6.68',
      toolkit: '12.6.11',
      cudnn: '9.3.0.75',
      tensorrt: '10.3.0.30',
    });
  });

  it('come from packages and folders where nothing else tells', async () => {
    const packages = new Map([['cuda-nvcc-12-6', '12.6.68-1']]);
    expect(await probeLibraries(at({}), packages)).toMatchObject({ cuda: '12.6.68', nvcc: null, cudnn: null });
    const folders = at({ '/usr/local/cuda-12.2/bin/x': '', '/usr/local/cuda-12.6/bin/x': '' });
    expect(await probeLibraries(folders, none)).toMatchObject({ cuda: '12.6', installed: ['12.2', '12.6'] });
  });

  it('version files of old and new toolkits, whole or cut', () => {
    expect(parseCudaVersionFile('CUDA Version 10.2.300\n').sdk).toBe('10.2.300');
    expect(
      parseCudaVersionFile('{\n "cuda" : {\n "name" : "CUDA SDK",\n "version" : "12.6.11"\n },\n "cuda_cc').sdk,
    ).toBe('12.6.11');
    expect(parseCudaVersionFile('{"cuda_nvcc": {"version": "13.2.78"}}')).toEqual({ sdk: null, nvcc: '13.2.78' });
    expect(parseCudaVersionFile('[]')).toEqual({ sdk: null, nvcc: null });
  });
});

describe('swap', () => {
  const swaps = 'Filename\t\t\t\tType\t\tSize\tUsed\tPriority\n';

  it('tells zram from disk', () => {
    const text = `${swaps}/dev/zram0                              partition\t1024\t0\t5\n/swapfile                               file\t\t4096\t0\t-2\n`;
    expect(probeSwap(at({ '/proc/swaps': text }).read)).toEqual({
      totalBytes: 5 * MIB,
      zramBytes: MIB,
      diskBytes: 4 * MIB,
    });
  });

  it('none, only a sum, nothing told', () => {
    expect(probeSwap(at({ '/proc/swaps': swaps }).read)?.totalBytes).toBe(0);
    expect(probeSwap(at({ '/proc/meminfo': 'SwapTotal:       1024 kB\n' }).read)?.diskBytes).toBe(MIB);
    expect(probeSwap(at({}).read)).toBeNull();
  });
});

describe('disk', () => {
  const on = (device: string, more: Record<string, string> = {}) =>
    probeStorage(
      at({ '/proc/mounts': `rootfs / rootfs rw 0 0\n${device} / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n`, ...more }),
    ).kind;

  it.each([
    ['/dev/nvme0n1p1', 'nvme'],
    ['/dev/sda1', 'usb or sata'],
    ['10.0.0.1:/export', 'network'],
    ['overlay', 'other'],
  ])('%s', (device, kind) => {
    expect(on(device)).toBe(kind);
  });

  it('a card and soldered memory have the same name, not the same type', () => {
    expect(on('/dev/mmcblk1p1', { '/sys/block/mmcblk1/device/type': 'SD\n' })).toBe('sd');
    expect(on('/dev/mmcblk0p1', { '/sys/block/mmcblk0/device/type': 'MMC\n' })).toBe('emmc');
  });
});

describe('containers', () => {
  it.each([
    [{ '/.dockerenv': '' }, 'docker'],
    [{ '/proc/self/cgroup': '12:memory:/docker/0123abc\n' }, 'docker'],
    [{ '/run/.containerenv': '' }, 'podman'],
    [{ '/proc/self/cgroup': '0::/kubepods.slice/pod1\n', '/.dockerenv': '' }, 'kubernetes'],
    [{ '/proc/1/environ': 'PATH=/bin\0container=lxc\0' }, 'lxc'],
    [{ '/proc/self/cgroup': '0::/user.slice/session-1.scope\n' }, null],
    [{}, null],
  ] as [Record<string, string>, string | null][])('%j: %s', (files, kind) => {
    expect(probeContainer(at(files))).toBe(kind);
  });
});

it('docker by its files', () => {
  const runtimes = {
    '/etc/docker/daemon.json': '{"default-runtime": "nvidia", "runtimes": {"nvidia": {"path": "x"}}}',
  };
  expect(
    probeDocker(
      at(runtimes),
      new Map([
        ['docker.io', '1'],
        ['nvidia-container-toolkit', '1'],
      ]),
    ),
  ).toEqual({
    isInstalled: true,
    hasToolkit: true,
    hasRuntime: true,
    isDefaultRuntime: true,
  });
  const broken = at({ '/etc/docker/daemon.json': '{"runtimes": [', '/usr/bin/dockerd': '' });
  expect(probeDocker(broken, none)).toMatchObject({ isInstalled: true, hasRuntime: false });
  expect(probeDocker(at({ '/etc/docker/daemon.json': 'null' }), none).hasRuntime).toBe(false);
});

describe('heat and supply', () => {
  const zone = '/sys/class/thermal/thermal_zone8';
  const monitor = '/sys/class/hwmon/hwmon4';
  const found = probeThermal(
    at({
      [`${zone}/type`]: 'tj-thermal\n',
      [`${zone}/temp`]: '96500\n',
      [`${zone}/trip_point_0_type`]: 'active\n',
      [`${zone}/trip_point_0_temp`]: '51000\n',
      [`${zone}/trip_point_1_type`]: 'passive\n',
      [`${zone}/trip_point_1_temp`]: '99000\n',
      '/sys/class/thermal/thermal_zone9/temp': '-256000\n',
      '/sys/class/thermal/cooling_device0/type': 'cpufreq-cpu0\n',
      '/sys/class/thermal/cooling_device0/cur_state': '3\n',
      '/sys/class/thermal/cooling_device1/type': 'pwm-fan\n',
      '/sys/class/thermal/cooling_device1/cur_state': '2\n',
      '/sys/class/hwmon/hwmon1/name': 'soctherm_oc\n',
      '/sys/class/hwmon/hwmon1/oc1_event_cnt': '2\n',
      '/sys/class/hwmon/hwmon1/oc3_event_cnt': '5\n',
      [`${monitor}/name`]: 'ina3221\n',
      [`${monitor}/in1_label`]: 'VDD_IN\n',
      [`${monitor}/in1_input`]: '5000\n',
      [`${monitor}/curr1_input`]: '5100\n',
      [`${monitor}/curr1_max`]: '4944\n',
      [`${monitor}/curr2_max`]: '32760\n',
      [`${monitor}/in2_label`]: 'VDD_CPU_GPU_CV\n',
    }),
    null,
  );

  it('by sysfs', () => {
    expect(found).toEqual({
      sensors: [{ name: 'tj-thermal', celsius: 96.5, throttlesAt: 99 }],
      rails: [
        { name: 'VDD_IN', milliwatts: 25500, milliamps: 5100, maxMilliamps: 4944 },
        { name: 'VDD_CPU_GPU_CV', milliwatts: null, milliamps: null, maxMilliamps: null },
      ],
      numOverCurrent: 7,
      throttling: ['cpufreq-cpu0'],
    });
  });

  it('nothing told', () => {
    expect(probeThermal(at({}), null)).toEqual({ sensors: [], rails: [], numOverCurrent: null, throttling: [] });
  });
});

it('a desktop is its processes and what starts at boot', () => {
  const source = fakeSource({
    files: {
      '/proc/1/comm': 'systemd\n',
      '/proc/900/comm': 'Xorg\n',
      '/proc/900/status': 'Name:\tXorg\nRssAnon:\t   51200 kB\n',
      '/proc/901/comm': 'gnome-shell\n',
      '/proc/901/status': 'RssAnon:\t  153600 kB\n',
    },
    links: { '/etc/systemd/system/default.target': '/lib/systemd/system/graphical.target' },
  });
  expect(probeDesktop(source)).toEqual({ isRunning: true, startsAtBoot: true, bytes: 200 * MIB });
  expect(probeDesktop(at({ '/proc/1/comm': 'systemd\n' }))).toEqual({ isRunning: false, startsAtBoot: null, bytes: 0 });
});

it('groups that own device nodes', () => {
  const groups = 'root:x:0:\nvideo:x:44:me\nrender:x:110:\n';
  expect(missingGroups(groups, [1000, 44])).toEqual(['render']);
  expect(missingGroups(groups, [0])).toEqual([]);
  expect(missingGroups('', [1000])).toEqual([]);
});
