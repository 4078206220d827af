import { describe, expect, it } from 'vitest';
import { indexTable } from '../../../src/device/wheel-index.js';
import { jetsonIndexUrl, wheelTable } from '../../../src/doctor/checks/wheels-table.js';
import { find, goodPython, goodTorch, installed, library, onL4t, onLaptop, onOrin } from './python-facts.js';

const others = (...distributions: ReturnType<typeof installed>[]) => ({
  distributions: [...goodPython.distributions, ...distributions],
});
const asked = (sglKernelLaunch: string | null) => ({ torch: { ...goodTorch, sglKernelLaunch } });

describe('sgl-kernel', () => {
  const with87 = library('sgl-kernel', 'sgl_kernel/common_ops.abi3.so', ['80', '87', '90a']);
  const without = library('sgl-kernel', 'sgl_kernel/flash_ops.abi3.so', ['80', '86', '90a']);
  const kernel = others(installed('sgl-kernel', '0.3.21'), installed('sglang', '0.5.6'));

  it.each([
    ['all of it for this GPU', { ...kernel, libraries: [with87] }, 'pass'],
    ['part of it', { ...kernel, libraries: [with87, without] }, 'warn'],
    ['none of it', { ...kernel, libraries: [without] }, 'fail'],
    ['none of it, but a kernel ran', { ...kernel, libraries: [without], ...asked('ok') }, 'warn'],
    [
      'all of it, and yet a kernel failed',
      { ...kernel, libraries: [with87], ...asked('RuntimeError: no kernel image') },
      'fail',
    ],
    ['not told', { ...kernel, libraries: [] }, 'skip'],
    [
      'under its newer name',
      { ...others(installed('sglang-kernel', '0.4.5')), libraries: [library('sglang-kernel', 'x.so', ['90'])] },
      'fail',
    ],
  ])('%s', (_, python, status) => {
    expect(find(onOrin(python), 'sgl-kernel')?.status).toBe(status);
  });

  it('is built on the board from the source of the installed sglang', () => {
    const fix = find(onOrin({ ...kernel, libraries: [without] }), 'sgl-kernel')?.fix;
    expect(fix).toContain('git clone -b v0.5.6 ');
    expect(fix).toContain('TORCH_CUDA_ARCH_LIST=8.7');
    expect(fix).toContain('ENABLE_BELOW_SM90=ON');
    const onThor = find(onL4t('38.2.0', { ...kernel, libraries: [without] }, 'tegra264'), 'sgl-kernel')?.fix;
    expect(onThor).toContain('TORCH_CUDA_ARCH_LIST=11.0');
    expect(onThor).not.toContain('BELOW_SM90');
  });

  it('is not asked for where it is not installed', () => {
    expect(find(onOrin({}), 'sgl-kernel')).toBeUndefined();
  });
});

describe('compiled code of other wheels', () => {
  it('for other GPUs is told with its package', () => {
    const libraries = [
      library('flash-attn', 'flash_attn_2_cuda.so', ['80', '90']),
      library('torchvision', 'torchvision/_C.so', ['87']),
    ];
    const finding = find(onOrin({ libraries }), 'wheel-arch');
    expect(finding).toMatchObject({ status: 'warn', fix: expect.stringContaining('TORCH_CUDA_ARCH_LIST=8.7') });
    expect(finding?.found).not.toContain('torchvision');
    expect(find(onOrin({ libraries: libraries.slice(1) }), 'wheel-arch')?.status).toBe('pass');
  });

  it('for another CPU fails', () => {
    const libraries = [{ ...library('sgl-kernel', 'sgl_kernel/common_ops.so', ['87']), cpu: 'x64' as const }];
    expect(find(onOrin({ libraries }), 'wheel-cpu')).toMatchObject({
      status: 'fail',
      found: expect.stringContaining('x64'),
    });
    expect(find(onOrin({}), 'wheel-cpu')).toBeUndefined();
    expect(find(onLaptop({ libraries }), 'wheel-cpu')).toBeUndefined();
  });

  it.each([
    ['libcudart.so.12', 'torch', /uninstall -y torch .*cu132/],
    ['libcudart.so.12', 'sgl-kernel', /uninstall -y sgl-kernel .*--no-deps sgl-kernel/],
    ['libcusparseLt.so.0', 'torch', /^sudo apt-get install -y libcusparselt0$/],
  ])('that needs %s, for %s', (missing, name, fix) => {
    const libraries = [{ ...library(name, 'x.so', ['87']), missing: [missing] }];
    const facts = onL4t('39.2.0', { libraries, torch: { ...goodTorch, launch: null } });
    expect(find(facts, 'cuda-libs')).toMatchObject({ status: 'fail', found: expect.stringContaining(missing) });
    expect(find(facts, 'cuda-libs')?.fix).toMatch(fix);
  });

  it('needs nothing when a kernel of torch ran', () => {
    const libraries = [{ ...library('torch', 'x.so', ['87']), missing: ['libcudss.so.0'] }];
    expect(find(onOrin({ libraries }), 'cuda-libs')).toBeUndefined();
  });
});

describe('wheel-pins', () => {
  const pins = (...distributions: ReturnType<typeof installed>[]) => find(onOrin({ distributions }), 'wheel-pins');

  it('torchvision of another torch fails, and is replaced without touching torch', () => {
    const finding = pins(installed('torch', '2.8.0'), installed('torchvision', '0.22.1'));
    expect(finding).toMatchObject({ status: 'fail', found: expect.stringContaining('torchvision 0.23') });
    expect(finding?.fix).toContain("--no-deps 'torchvision==0.23.*'");
  });

  it.each([
    [[installed('torch', '2.8.0'), installed('triton', '3.5.1')], 'warn'],
    [[installed('torch', '2.8.0'), installed('triton', '3.4.0')], 'pass'],
    [[installed('torch', '2.5.0a0+872d972e41.nv24.08'), installed('torchvision', '0.20.0a0+afc54f7')], 'pass'],
    [[installed('torch', '9.9.0'), installed('torchvision', '0.1.0')], 'pass'],
    [[installed('flashinfer-python', '0.6.13'), installed('flashinfer-cubin', '0.6.11')], 'fail'],
    [[installed('flashinfer-python', '0.6.13'), installed('flashinfer-jit-cache', '0.6.13+cu130')], 'pass'],
    [[installed('torch', '2.8.0'), installed('xgrammar', '0.1.11', { requires: ['torch>=1.10', 'pybind11'] })], 'pass'],
    [[installed('torch', '2.8.0'), installed('sglang-kernel', '0.4.10', { requires: ['torch==2.14.1'] })], 'warn'],
    [
      [
        installed('torch', '2.8.0'),
        installed('numpy', '1.26.4'),
        installed('torch', '2.9.0', { isShadowed: true, requires: ['numpy<1'] }),
      ],
      'pass',
    ],
  ] as const)('%#', (distributions, status) => {
    expect(pins(...distributions)?.status).toBe(status);
  });

  it('counts what a release pins in the extra that serving takes', () => {
    const requires = ['torchao==0.9.0; extra == "srt"', 'transformers==4.57.1; extra == "dev"', 'xgrammar==0.1.27'];
    const finding = pins(
      installed('sglang', '0.5.6', { requires }),
      installed('torchao', '0.14.1'),
      installed('transformers', '5.0.0'),
      installed('xgrammar', '0.1.27'),
    );
    expect(finding?.found).toBe('sglang 0.5.6 requires torchao==0.9.0, there is 0.14.1');
    expect(finding?.fix).toContain("--no-deps 'torchao==0.9.0'");
  });

  it('replaces what wants another torch, never torch', () => {
    const finding = pins(installed('torch', '2.8.0'), installed('vllm', '0.11.0', { requires: ['torch==2.9.0'] }));
    expect(finding?.fix).toContain("--no-deps 'vllm'");
  });

  it('says nothing of an environment without any of them', () => {
    const distributions = [installed('numpy', '1.21.5'), installed('pip', '22.0.2'), installed('setuptools', '59.6.0')];
    expect(find(onOrin({ distributions, torch: null }), 'wheel-pins')).toBeUndefined();
    expect(find(onOrin({ distributions: [] }), 'wheel-pins')).toBeUndefined();
  });

  it('takes the version that torch tells where no list of packages has it', () => {
    const finding = pins(installed('sglang-kernel', '0.4.10', { requires: ['torch==2.14.1'] }));
    expect(finding?.found).toBe('sglang-kernel 0.4.10 requires torch==2.14.1, there is 2.8.0');
  });
});

describe('wheel-twins', () => {
  it.each(wheelTable().twins.map(({ packages }) => packages))('%s and %s', (a, b) => {
    const finding = find(onOrin(others(installed(a, '1.0'), installed(b, '1.0'))), 'wheel-twins');
    expect(finding?.fix).toBe(
      `python3 -m pip uninstall -y ${a} && python3 -m pip install --force-reinstall --no-deps ${b}`,
    );
    expect(find(onOrin(others(installed(a, '1.0'))), 'wheel-twins')).toBeUndefined();
  });
});

describe('numpy-abi', () => {
  const numpy = (version: string, torch: string, torchNumpy: 1 | 2 | null, hasNumpyFault = false) =>
    find(
      onOrin({
        distributions: [installed('torch', torch), installed('numpy', version)],
        torch: { ...goodTorch, version: torch, hasNumpyFault },
        contents: { ...goodPython.contents, torchNumpy },
      }),
      'numpy-abi',
    )?.status;

  it.each([
    ['1.26.4', '2.8.0', 2, 'pass'],
    ['2.2.6', '2.8.0', 2, 'pass'],
    ['2.2.6', '2.8.0', 1, 'fail'],
    ['2.2.6', '2.1.0a0+41361538.nv23.06', null, 'fail'],
    ['2.2.6', '2.5.0a0+872d972e41.nv24.08', null, 'fail'],
    ['2.2.6', '2.8.0a0+34c6371d24.nv25.08', null, 'pass'],
    ['2.2.6', '2.2.0', null, 'fail'],
    ['2.2.6', '2.3.0', null, 'pass'],
    ['1.26.4', '2.1.0', 1, 'pass'],
  ] as const)('NumPy %s with torch %s', (version, torch, built, status) => {
    expect(numpy(version, torch, built)).toBe(status);
  });

  it('believes torch itself', () => {
    expect(numpy('2.2.6', '2.8.0', 2, true)).toBe('fail');
  });
});

describe('triton, torchao and FlashInfer', () => {
  it('an assembler that does not know the GPU is replaced by the one of the toolkit', () => {
    const ptxas = [{ file: 'triton/backends/nvidia/bin/ptxas', knowsArch: false }];
    const python = { ...others(installed('triton', '3.4.0')), contents: { ...goodPython.contents, ptxas } };
    const finding = find(onL4t('38.2.0', python, 'tegra264'), 'triton');
    expect(finding).toMatchObject({
      status: 'warn',
      fix: expect.stringContaining('TRITON_PTXAS_PATH=/usr/local/cuda'),
    });
    const known = [...ptxas, { file: 'triton/backends/nvidia/bin/ptxas-blackwell', knowsArch: true }];
    const contents = { ...goodPython.contents, ptxas: known };
    expect(find(onL4t('38.2.0', { ...python, contents }, 'tegra264'), 'triton')?.status).toBe('pass');
  });

  it('SGLang without triton is told, torch alone is not', () => {
    expect(find(onOrin(others(installed('sglang', '0.5.6'))), 'triton')?.status).toBe('warn');
    expect(find(onOrin({}), 'triton')).toBeUndefined();
  });

  it('a torchao without the names that SGLang imports', () => {
    const contents = { ...goodPython.contents, torchaoMissing: ['int4_weight_only'] };
    const finding = find(onOrin({ ...others(installed('torchao', '0.15.0')), contents }), 'torchao');
    expect(finding).toMatchObject({ status: 'warn', found: 'torchao 0.15.0 lacks int4_weight_only' });
  });

  it.each([
    [['flashinfer/data/csrc/a.cu', 'flashinfer/data/cutlass/include/cutlass/cutlass.h'], 'pass'],
    [['flashinfer/data/csrc/a.cu', 'flashinfer/data/include/b.cuh'], 'fail'],
    [['flashinfer/__init__.py'], 'pass'],
    [null, 'pass'],
  ])('FlashInfer with %j', (files, status) => {
    expect(find(onOrin(others(installed('flashinfer', '0.2.0', { files }))), 'flashinfer')?.status).toBe(status);
  });
});

describe('jetsonIndexUrl', () => {
  const [address] = indexTable().mirrors;

  it.each([
    ['39.2.1', `${address}/jp7/cu132/+simple/`],
    ['38.4.0', `${address}/sbsa/cu130/+simple/`],
    ['36.4.7', `${address}/jp6/cu126/+simple/`],
    ['36.3.0', null],
    ['35.6.1', `${address}/jp5/cu114/+simple/`],
    ['32.7.6', null],
    [null, null],
  ])('L4T %s', (l4t, url) => {
    expect(jetsonIndexUrl(l4t)).toBe(url);
  });
});
