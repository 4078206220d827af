import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { compareVersions, parseVersion, publicVersion } from '../../../src/device/python-version.js';
import { sourceUnder } from '../../../src/device/source.js';
import { listDistributions, type Site } from '../../../src/device/wheels.js';
import { codeOfArchList, runsOn } from '../../../src/device/wheels-arch.js';
import { readLibraries } from '../../../src/device/wheels-code.js';
import { scanWheels } from '../../../src/device/wheels-scan.js';
import {
  localTag,
  type MarkerFacts,
  meets,
  normaliseName,
  parseRequirement,
} from '../../../src/device/wheels-versions.js';
import { elf, fatbin } from './elf-file.js';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Sites below a folder of their own, as a copied machine has them. */
function sitesWith(files: Record<string, string | Buffer>, paths = ['/site']): Site[] {
  const root = mkdtempSync(join(tmpdir(), 'jsg-wheels-'));
  folders.push(root);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
  const source = sourceUnder(root);
  return paths.map((path) => ({ path, source }));
}

const soon = () => performance.now() + 5000;

/** Sign of the order without local tags; 0 where one is no version. */
function order(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  return left && right ? Math.sign(compareVersions(publicVersion(left), publicVersion(right))) : 0;
}

describe('versions', () => {
  it.each([
    ['2.8.0', '2.10.0', -1],
    ['2.8', '2.8.0', 0],
    ['2.8.0a0+34c6371d24.nv25.08', '2.8.0', -1],
    ['0.2.0.post1', '0.2.0', 1],
    ['1.0rc2', '1.0rc10', -1],
    ['1.0.dev3', '1.0a1', -1],
    ['2.8.0+cu126', '2.8.0+cpu', 0],
    ['not a version', '1.0', 0],
  ])('%s against %s', (a, b, sign) => {
    expect(order(a, b)).toBe(sign);
  });

  it.each([
    ['2.8.0+cu126', 'cu126'],
    ['2.14.0+cpu', 'cpu'],
    ['2.1.0a0+41361538.nv23.06', '41361538.nv23.06'],
    ['2.8.0', null],
  ])('the local tag of %s', (version, tag) => {
    expect(localTag(version)).toBe(tag);
  });

  it.each([
    ['2.8.0+cu126', '==2.8.0', true],
    ['2.8.0', '==2.8.0+cu126', false],
    ['2.9.1', '==2.8.0', false],
    ['2.8.1', '==2.8.*', true],
    ['0.23.4', '~=0.23.0', true],
    ['0.24.0', '~=0.23.0', false],
    ['1.26.4', '<2,>=1.21', true],
    ['2.1.0', '<2,>=1.21', false],
    ['2.1.0', '!=2.1.0', false],
    ['2.8.0a0+34c6371d24.nv25.08', '==2.8.0', true],
    ['2.8.0a0', '>=2.8.0', false],
    ['3.0', '', true],
    ['3.0', '>=oddity', true],
  ])('%s meets %s: %s', (version, specifier, met) => {
    expect(meets(version, specifier)).toBe(met);
  });

  it('spells names one way', () => {
    expect(normaliseName('Sgl_Kernel')).toBe('sgl-kernel');
  });
});

describe('parseRequirement', () => {
  const orin: MarkerFacts = { pythonVersion: '3.10.12', machine: 'aarch64' };

  it.each([
    ['torch==2.8.0', { name: 'torch', specifier: '==2.8.0' }],
    ['torch (==2.8.0)', { name: 'torch', specifier: '==2.8.0' }],
    ['flashinfer_python[cu12] >=0.2,<0.3', { name: 'flashinfer-python', specifier: '>=0.2,<0.3' }],
    ['numpy', { name: 'numpy', specifier: '' }],
    ['triton==3.6.0; platform_system == "Linux" and python_version >= "3.9"', { name: 'triton', specifier: '==3.6.0' }],
    ['triton==3.6.0; platform_machine == "x86_64"', null],
    [
      'triton==3.6.0; platform_machine == "x86_64" or platform_machine == "aarch64"',
      { name: 'triton', specifier: '==3.6.0' },
    ],
    ['numpy<2; python_version < "3.10"', null],
    ['torchao==0.9.0; extra == "srt"', null],
    ['torch @ https://example.org/torch.whl', null],
    ["torch=='; reboot '", null],
    ['torch==`reboot`', null],
    ['', null],
  ])('%s', (line, wanted) => {
    expect(parseRequirement(line, orin)).toEqual(wanted);
  });
});

describe('runsOn', () => {
  const orin = { arch: 87, isTegra: true };
  const thor = { arch: 110, isTegra: true };
  const desktop = { arch: 89, isTegra: false };

  it.each([
    ['its own machine code', { sass: ['87'], ptx: [] }, orin, true],
    ['machine code of a discrete relative on Jetson', { sass: ['80', '86'], ptx: [] }, orin, false],
    ['machine code of an older minor version elsewhere', { sass: ['80'], ptx: [] }, desktop, true],
    ['machine code of a newer minor version', { sass: ['90'], ptx: [] }, desktop, false],
    ['PTX of an older GPU', { sass: ['75'], ptx: ['80'] }, orin, true],
    ['PTX of a newer GPU', { sass: [], ptx: ['90'] }, orin, false],
    ['PTX for one GPU alone', { sass: [], ptx: ['90a'] }, thor, false],
    ['code for Thor alone', { sass: ['110a'], ptx: [] }, thor, true],
    ['code for its family', { sass: ['110f'], ptx: [] }, thor, true],
    ['code of torch 2.11 for SBSA', { sass: ['80', '90', '100', '110', '120'], ptx: [] }, orin, false],
    ['nothing', { sass: [], ptx: [] }, orin, false],
  ])('%s', (_, code, gpu, runs) => {
    expect(runsOn(code, gpu)).toBe(runs);
  });

  it('takes the list that torch prints', () => {
    expect(codeOfArchList(['sm_87', 'sm_90a', 'compute_90'])).toEqual({ sass: ['87', '90a'], ptx: ['90'] });
  });
});

describe('listDistributions', () => {
  const metadata = (version: string, ...requires: string[]) =>
    `Metadata-Version: 2.1\nName: x\nVersion: ${version}\n${requires.map((line) => `Requires-Dist: ${line}\n`).join('')}\nVersion: 9 in a description\n`;

  it('reads what wheels and Debian packages leave', () => {
    const found = listDistributions(
      sitesWith({
        '/site/torch-2.8.0.dist-info/METADATA': metadata('2.8.0+cu126', 'triton==3.4.0', 'numpy'),
        '/site/torch-2.8.0.dist-info/WHEEL': 'Wheel-Version: 1.0\nTag: cp310-cp310-linux_aarch64\n',
        '/site/torch-2.8.0.dist-info/RECORD': 'torch/__init__.py,sha256=x,1\n"torch/a,b.so",,\n',
        '/site/numpy-1.21.5.egg-info': metadata('1.21.5'),
        '/site/sgl_kernel-0.3.21.dist-info/METADATA': '',
        '/site/xgrammar-0.1.11-py3.10.egg-info/PKG-INFO': metadata('0.1.11'),
        '/site/unrelated-1.0.dist-info/METADATA': metadata('1.0'),
        '/site/torchgen.py': '',
      }),
    );
    expect(found.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'numpy 1.21.5',
      'sgl-kernel 0.3.21',
      'torch 2.8.0+cu126',
      'xgrammar 0.1.11',
    ]);
    expect(found[2]).toMatchObject({
      requires: ['triton==3.4.0', 'numpy'],
      tags: ['cp310-cp310-linux_aarch64'],
      files: ['torch/__init__.py', 'torch/a,b.so'],
      isShadowed: false,
    });
    expect(found[0]?.files).toBeNull();
  });

  it('sees which copy is imported', () => {
    const sites = sitesWith(
      {
        '/user/torch-2.9.0.dist-info/METADATA': metadata('2.9.0+cpu'),
        '/system/torch-2.8.0.dist-info/METADATA': metadata('2.8.0+cu126'),
      },
      ['/user', '/system', '/absent'],
    );
    expect(listDistributions(sites).map(({ version, isShadowed }) => [version, isShadowed])).toEqual([
      ['2.9.0+cpu', false],
      ['2.8.0+cu126', true],
    ]);
  });
});

describe('readLibraries', () => {
  const kernels = (arch: number) =>
    elf({ sections: { '.nv_fatbin': fatbin([{ kind: 'sass', arch }]) }, needed: ['libcudart.so.12'] });

  it('reads the libraries that a list names, or that lie where they should', async () => {
    const sites = sitesWith({
      '/site/sgl_kernel-0.3.21.dist-info/RECORD':
        'sgl_kernel/common_ops.abi3.so,,\nsgl_kernel/gone.so,,\n../../bin/x.so,,\n',
      '/site/sgl_kernel/common_ops.abi3.so': kernels(90),
      '/site/torch-2.8.0.dist-info/METADATA': '',
      '/site/torch/lib/libtorch_cuda.so': kernels(87),
      '/site/torch/lib/libtorch_cpu.so': elf({}),
    });
    const found = await readLibraries(listDistributions(sites), sites, soon());
    expect(found.map(({ file, cpu, gpu, missing }) => [file, cpu, gpu?.sass, missing])).toEqual([
      ['sgl_kernel/common_ops.abi3.so', 'arm64', ['90'], []],
      ['torch/lib/libtorch_cuda.so', 'arm64', ['87'], []],
    ]);
  });

  it('leaves out what is hidden by another copy, and stops in time', async () => {
    const sites = sitesWith(
      {
        '/user/torch-2.9.0.dist-info/METADATA': '',
        '/system/torch-2.8.0.dist-info/METADATA': '',
        '/system/torch/lib/libtorch_cuda.so': kernels(87),
      },
      ['/user', '/system'],
    );
    expect(await readLibraries(listDistributions(sites), sites, soon())).toEqual([]);
    const own = sitesWith({
      '/site/torch-2.8.0.dist-info/METADATA': '',
      '/site/torch/lib/libtorch_cuda.so': kernels(87),
    });
    expect(await readLibraries(listDistributions(own), own, performance.now() - 1)).toEqual([]);
  });
});

describe('scanWheels', () => {
  const wanted = { arch: 87, numpy: true, deadline: performance.now() + 60_000 };

  it('reads no large file without need, nor after its time', () => {
    const sites = sitesWith({
      '/site/triton/backends/nvidia/bin/ptxas': 'sm_90',
      '/site/torch/lib/libtorch_python.so': 'numpy.core',
    });
    expect(scanWheels(sites, { ...wanted, numpy: false })).toEqual({ ptxas: [], torchNumpy: null, torchaoMissing: [] });
    const late = { ...wanted, arch: 110, deadline: performance.now() - 1 };
    expect(scanWheels(sites, late)).toEqual({ ptxas: [], torchNumpy: null, torchaoMissing: [] });
  });

  it("tells whether Triton's assembler knows the GPU", () => {
    const ptxas = Buffer.concat([Buffer.alloc(2 ** 22 - 3), Buffer.from('sm_110a')]);
    const sites = sitesWith({
      '/site/triton/backends/nvidia/bin/ptxas': 'sm_87 sm_101a',
      '/site/triton/backends/nvidia/bin/ptxas-blackwell': ptxas,
    });
    expect(scanWheels(sites, { ...wanted, arch: 110 }).ptxas.map(({ knowsArch }) => knowsArch)).toEqual([false, true]);
    expect(scanWheels(sites, { ...wanted, arch: null }).ptxas).toEqual([]);
  });

  it.each([
    ['numpy.core._multiarray_umath', 1],
    ['numpy._core._multiarray_umath\0numpy.core._multiarray_umath', 2],
    ['nothing of the kind', null],
  ])('tells by %j with which NumPy torch was compiled', (text, numpy) => {
    expect(scanWheels(sitesWith({ '/site/torch/lib/libtorch_python.so': text }), wanted).torchNumpy).toBe(numpy);
  });

  it('finds what SGLang imports and torchao has no more', () => {
    const sites = sitesWith({
      '/site/sglang/srt/layers/torchao_utils.py':
        '    from torchao.quantization import (\n        int4_weight_only,\n        quantize_,  # kept\n    )\n    from torchao.quantization import int8_weight_only as i8\n',
      '/site/torchao/quantization/__init__.py': 'from .quant_api import Int4WeightOnlyConfig, quantize_\n',
    });
    expect(scanWheels(sites, wanted).torchaoMissing).toEqual(['int4_weight_only', 'int8_weight_only']);
  });
});
