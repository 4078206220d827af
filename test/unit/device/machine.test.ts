/** Whole boards, from their files and commands. */
import { describe, expect, it } from 'vitest';
import { probeMachine } from '../../../src/device/machine.js';
import { fakeSource } from './fake-source.js';

const tegra = (major: number, revision: string) =>
  `# R${major} (release), REVISION: ${revision}, GCID: 1, BOARD: generic, EABI: aarch64, DATE: Thu Jan  1 00:00:00 UTC 2026\n`;
const compatible = (part: string, soc: string) =>
  `nvidia,p0000-0000+${part}\0nvidia,${part.replace('-super', '')}\0nvidia,${soc}\0`;
const conf = (...names: string[]) => names.map((name, id) => `< POWER_MODEL ID=${id} NAME=${name} >\n`).join('');

describe('probeMachine', () => {
  it('an Orin Nano Super in 25 W', async () => {
    const machine = await probeMachine(
      fakeSource({
        files: {
          '/etc/nv_tegra_release': tegra(36, '4.3'),
          '/proc/device-tree/compatible': compatible('p3767-0005-super', 'tegra234'),
          '/proc/device-tree/model': 'NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0',
          '/etc/nvpmodel.conf': conf('15W', '25W', 'MAXN_SUPER', '7W'),
          '/proc/meminfo': 'MemTotal:        7802880 kB\nMemAvailable:    6000000 kB\nSwapTotal: 0 kB\n',
        },
        commands: {
          nvpmodel: 'NV Power Mode: 25W\n1\n',
          jetson_clocks: {
            code: 1,
            stdout: 'Error: Run this script(/usr/bin/jetson_clocks) as a root user\n',
            stderr: '',
          },
        },
      }),
    );
    expect(machine.board).toMatchObject({ name: 'Jetson Orin Nano 8GB', isSuper: true, ramGib: 8 });
    expect(machine.release).toMatchObject({ l4t: '36.4.3', jetpack: '6.2' });
    expect(machine.power).toMatchObject({ current: { id: 1, name: '25W' }, max: { name: 'MAXN_SUPER' }, isMax: false });
    expect(machine.clocks).toMatchObject({ needsRoot: true, isLocked: null });
    expect(machine.device.gpu?.name).toBe('integrated GPU of tegra234');
  });

  it('a container on a Jetson: packages and kernel, no device tree', async () => {
    const machine = await probeMachine(
      fakeSource({
        files: {
          '/.dockerenv': '',
          '/var/lib/dpkg/status':
            'Package: nvidia-l4t-core\nStatus: install ok installed\nVersion: 36.4.4-20250616085344\n',
          '/proc/sys/kernel/osrelease': '5.15.148-tegra\n',
          '/etc/lsb-release': 'DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=22.04\nDISTRIB_DESCRIPTION="Ubuntu 22.04.4 LTS"\n',
        },
      }),
    );
    expect(machine).toMatchObject({ board: null, container: 'docker', power: null, clocks: null });
    expect(machine.release).toMatchObject({ l4t: '36.4.4', jetpack: '6.2.1', isFromPackage: true });
    expect(machine.device).toMatchObject({ os: { name: 'Ubuntu 22.04.4 LTS' }, kernel: '5.15.148-tegra' });
  });

  it('text with colours, CRLF and NUL', async () => {
    const machine = await probeMachine(
      fakeSource({
        files: {
          '/etc/nv_tegra_release': tegra(39, '2.0').replaceAll('\n', '\r\n'),
          '/sys/firmware/devicetree/base/compatible': compatible('p3834-0008', 'tegra264'),
          '/etc/nvpmodel.conf': conf('MAXN', '120W', '90W', '70W').replaceAll('\n', '\r\n'),
        },
        commands: { nvpmodel: '\u001b[92;1mNV Power Mode\u001b[0m: \u001b[1m120W\u001b[0m\r\n1\r\n' },
      }),
    );
    expect(machine.board?.name).toBe('Jetson AGX Thor');
    expect(machine.power).toMatchObject({ current: { id: 1, name: '120W' }, isMax: false });
  });

  it('an NVIDIA driver that does not answer', async () => {
    const failed = {
      code: 9,
      stdout: '',
      stderr: "NVIDIA-SMI has failed because it couldn't communicate\nwith the driver",
    };
    const machine = await probeMachine(fakeSource({ commands: { 'nvidia-smi': failed } }));
    expect(machine.gpuFault).toBe("NVIDIA-SMI has failed because it couldn't communicate");
    expect(machine.device.gpu).toBeNull();
  });

  it('commands that print garbage', async () => {
    const garbage = '\u0000\u0001\uFFFD%s%n{"a": [\n'.repeat(50);
    const names = ['nvpmodel', 'jetson_clocks', 'tegrastats', 'nvidia-smi', 'nvcc'];
    const commands = Object.fromEntries(names.map((name) => [name, garbage]));
    const machine = await probeMachine(fakeSource({ commands }));
    expect(machine).toMatchObject({ board: null, power: null, clocks: null, gpuFault: null });
    expect(machine.libraries.cuda).toBeNull();
  });
});
