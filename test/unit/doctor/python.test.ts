import { describe, expect, it } from 'vitest';
import type { Torch } from '../../../src/device/python-torch.js';
import { indexTable } from '../../../src/device/wheel-index.js';
import { examine } from '../../../src/doctor/examine.js';
import type { Facts } from '../../../src/doctor/facts.js';
import { find, goodPython, goodTorch, installed, library, onL4t, onLaptop, onOrin } from './python-facts.js';

const torchIs = (change: Partial<Torch>) => ({ torch: { ...goodTorch, launch: null, ...change } });
const asked = { cudaAvailable: null, archList: null, gpu: null };

describe('a board in order', () => {
  it('has nothing to mend in its Python', () => {
    const findings = examine(onOrin({})).filter(({ group }) => group === 'python');
    expect(findings.filter(({ status }) => status !== 'pass' && status !== 'skip')).toEqual([]);
    expect(findings.map(({ id }) => id)).toEqual(
      expect.arrayContaining(['python', 'torch', 'torch-cuda', 'torch-arch']),
    );
  });

  it('needs no torch for the native runtime', () => {
    expect(find(onOrin({ torch: null, distributions: [] }), 'torch')?.status).toBe('skip');
  });

  it('shows nothing where Python was not looked at', () => {
    const findings = examine({ ...onOrin({}), python: null });
    expect(findings.filter(({ id }) => /^(python|torch|wheel|sgl|numpy|triton)/.test(id))).toEqual([]);
  });
});

describe('torch', () => {
  const cpu = { cuda: null, hasCuda: false };

  it.each([
    ['asked', torchIs({ ...cpu, version: '2.14.0+cpu', cudaAvailable: false, archList: [] })],
    ['known by its files alone', torchIs({ ...asked, ...cpu, version: '2.9.0' })],
  ])('is replaced when it is a CPU wheel, %s', (_, python) => {
    const finding = find(onOrin({ ...python, libraries: [] }), 'torch');
    expect(finding).toMatchObject({ status: 'fail', found: expect.stringContaining('without CUDA') });
    expect(finding?.fix).toMatch(
      /^python3 -m pip uninstall -y torch torchvision && .*--index-url \S+\/jp6\/cu126\/\+simple\/$/,
    );
  });

  it('is believed to have CUDA when its library holds kernels', () => {
    expect(find(onOrin(torchIs({ ...asked, ...cpu })), 'torch')?.status).toBe('pass');
  });

  it('is accused of nothing when its files do not tell', () => {
    const python = { ...torchIs({ ...asked, cuda: null, hasCuda: null }), libraries: [] };
    expect(find(onOrin(python), 'torch')?.status).toBe('skip');
  });

  it('is right without CUDA where there is no GPU', () => {
    const python = torchIs({ ...cpu, version: '2.8.0+cpu', cudaAvailable: false, archList: [], gpu: null });
    expect(find(onLaptop(python), 'torch')?.status).toBe('pass');
  });

  it('names the groups when a right one sees no GPU', () => {
    const finding = find(onOrin(torchIs({ cudaAvailable: false, gpu: null })), 'torch');
    expect(finding).toMatchObject({ status: 'fail', fix: expect.stringContaining('usermod -aG video,render') });
  });

  it('tells why it cannot be imported', () => {
    const finding = find(onOrin(torchIs({ fault: 'OSError: libcudart.so.12: cannot open' })), 'torch');
    expect(finding).toMatchObject({ status: 'fail', found: expect.stringContaining('libcudart.so.12') });
  });
});

describe('torch-cuda', () => {
  const cu130 = torchIs({ version: '2.11.0+cu130', cuda: '13.0', cudaAvailable: false, gpu: null });

  it.each<[string, Facts, string]>([
    ['CUDA 13 on JetPack 6', onOrin(cu130), 'fail'],
    [
      'CUDA 13 on JetPack 6, by its files',
      onOrin(torchIs({ ...asked, version: '2.11.0+cu130', cuda: '13.0' })),
      'fail',
    ],
    ['CUDA 12 on JetPack 7', onL4t('38.2.0', torchIs({ ...asked, cuda: '12.6' }), 'tegra264'), 'fail'],
    ['CUDA 13.0 on JetPack 7.2', onL4t('39.2.0', torchIs({ ...asked, cuda: '13.0' })), 'pass'],
    ['CUDA 12.8 on JetPack 6.2', onOrin(torchIs({ ...asked, cuda: '12.8' })), 'warn'],
    ['CUDA 12.8 on JetPack 6.2, and a kernel runs', onOrin(torchIs({ cuda: '12.8', launch: 'ok' })), 'pass'],
    ['CUDA 12.4 on JetPack 6.2', onOrin(torchIs({ ...asked, cuda: '12.4' })), 'pass'],
    ['CUDA 11.4 on JetPack 5', onL4t('35.6.1', torchIs({ ...asked, cuda: '11.4' })), 'pass'],
  ])('%s', (_, facts, status) => {
    expect(find(facts, 'torch-cuda')?.status).toBe(status);
  });

  it('tells the reason once', () => {
    expect(find(onOrin(cu130), 'torch')).toBeUndefined();
  });

  it('does not offer wheels for CUDA 12.6 to a release before 36.4', () => {
    const finding = find(
      onL4t('36.3.0', { libraries: [], ...torchIs({ ...asked, cuda: null, hasCuda: false }) }),
      'torch',
    );
    expect(finding?.fix).toContain('JetPack 6.1');
    expect(finding?.fix).not.toContain('cu126');
  });

  it('says nothing of a machine whose CUDA is not known', () => {
    expect(find(onLaptop(cu130), 'torch-cuda')).toBeUndefined();
  });
});

describe('torch-arch', () => {
  const sbsa = ['sm_80', 'sm_90', 'sm_100', 'sm_110', 'sm_120'];

  it.each<[string, Facts, string]>([
    ['lacks the GPU', onOrin(torchIs({ archList: sbsa })), 'fail'],
    ['has machine code of a discrete relative', onOrin(torchIs({ archList: ['sm_80', 'sm_86'] })), 'fail'],
    ['has PTX that is old enough', onOrin(torchIs({ archList: ['sm_80', 'compute_80'] })), 'pass'],
    ['has PTX that is too new', onOrin(torchIs({ archList: ['sm_90', 'compute_90'] })), 'fail'],
    ['has the GPU', onL4t('38.2.0', torchIs({ archList: sbsa, gpu: null }), 'tegra264'), 'pass'],
    ['has it with a suffix', onL4t('38.2.0', torchIs({ archList: ['sm_110a'], gpu: null }), 'tegra264'), 'pass'],
    ['is for Orin, on a Xavier', onL4t('35.6.1', torchIs({ archList: ['sm_87'], gpu: null }), 'tegra194'), 'fail'],
    ['lacks the GPU, and yet a kernel runs', onOrin(torchIs({ archList: sbsa, launch: 'ok' })), 'pass'],
  ])('when the list %s', (_, facts, status) => {
    expect(find(facts, 'torch-arch')?.status).toBe(status);
  });

  it('is judged by the library where torch was not asked', () => {
    const python = { ...torchIs(asked), libraries: [library('torch', 'torch/lib/libtorch_cuda.so', ['80', '90'])] };
    expect(find(onOrin(python), 'torch-arch')).toMatchObject({
      status: 'fail',
      found: expect.stringContaining('sm_80 sm_90'),
    });
  });

  it('is not judged by a library that was read in part', () => {
    const half = library('torch', 'torch/lib/libtorch_cuda.so', ['80']);
    const gpu = half.gpu && { ...half.gpu, isComplete: false };
    expect(find(onOrin({ ...torchIs(asked), libraries: [{ ...half, gpu }] }), 'torch-arch')?.status).toBe('skip');
  });
});

describe('torch-run and torch-copies', () => {
  it('a kernel that fails is a failure', () => {
    const launch = 'RuntimeError: CUDA error: no kernel image is available for execution on the device';
    expect(find(onOrin(torchIs({ launch })), 'torch-run')).toMatchObject({ status: 'fail', found: launch });
    expect(find(onOrin(torchIs({})), 'torch-run')).toBeUndefined();
  });

  it('a hidden copy is named with the one that hides it', () => {
    const distributions = [
      installed('torch', '2.9.0+cpu', { site: '/home/me/.local/lib/python3.10/site-packages' }),
      installed('torch', '2.8.0', { site: '/usr/local/lib/python3.10/dist-packages', isShadowed: true }),
    ];
    const finding = find(onOrin({ distributions }), 'torch-copies');
    expect(finding?.status).toBe('warn');
    expect(finding?.found).toMatch(/2\.9\.0\+cpu in \/home\/me\S+ \(this one is imported\), 2\.8\.0 in \/usr\/local/);
  });
});

describe('interpreter', () => {
  const interpreter = {
    version: '3.11.9',
    path: '/opt/conda/bin/python3',
    kind: 'conda',
    isExternallyManaged: false,
  } as const;

  it.each<[string, Facts, string]>([
    ['3.11 on JetPack 6', onOrin({ interpreter }), 'warn'],
    ['3.12 on JetPack 7', onL4t('38.2.0', { interpreter: { ...interpreter, version: '3.12.3' } }), 'pass'],
    ['3.10 of copied files', onOrin({ interpreter: { ...interpreter, version: '3.10' } }), 'pass'],
    ['any elsewhere', onLaptop({ interpreter }), 'pass'],
    ['none told', onOrin({ interpreter: null }), 'skip'],
  ])('%s', (_, facts, status) => {
    expect(find(facts, 'python')?.status).toBe(status);
  });

  it('that apt manages wants an environment, on a board', () => {
    const managed = { interpreter: { ...interpreter, version: '3.12.3', isExternallyManaged: true } };
    expect(find(onL4t('38.2.0', managed), 'python-env')).toMatchObject({
      status: 'warn',
      fix: expect.stringContaining('-m venv'),
    });
    expect(find(onLaptop(managed), 'python-env')).toBeUndefined();
  });
});

describe('pip-index', () => {
  const { gone } = indexTable();
  const [address] = indexTable().mirrors;
  const right = `${address}/jp6/cu126/+simple/`;
  const index = (
    url: string,
    from = '/home/me/.config/pip/pip.conf',
    option: 'index-url' | 'extra-index-url' = 'index-url',
  ) => find(onOrin({ indexes: [{ url, option, from }] }), 'pip-index');

  it.each([
    [`https://index.${gone[0]}/jp6/cu126`, /gone/],
    [`http://${gone[1]}/jp6/cu122`, /gone/],
    [`${address}/jp6/cu126`, /\+simple/],
  ])('%s', (url, found) => {
    const finding = index(url);
    expect(finding?.status).toBe('warn');
    expect(finding?.found).toMatch(found);
    expect(finding?.fix).toBe(`sed -i -e 's#${url}#${right}#' /home/me/.config/pip/pip.conf`);
  });

  it('beside the public index loses to it', () => {
    const finding = index(right, 'PIP_EXTRA_INDEX_URL', 'extra-index-url');
    expect(finding?.fix).toBe(`unset PIP_EXTRA_INDEX_URL; export PIP_INDEX_URL=${right}`);
    expect(index(`${address}/jp6/cu126`, '/etc/pip.conf', 'extra-index-url')?.fix).toMatch(/^sudo sed -i/);
  });

  it.each([right, 'https://mirror.example/simple', `http://not-${gone[0]}/`, `http://${gone[0]}.example/`])(
    '%s is as good as any',
    (url) => {
      expect(index(url)?.status).toBe('pass');
    },
  );

  it.each(["https://x';reboot;'.", 'https://x/#e;.', 'https://x&y.'])('%s is quoted in no command', (url) => {
    const finding = index(`${url}${gone[0]}/jp6/cu126`);
    expect(finding?.fix ?? '').not.toMatch(/sed|reboot/);
  });

  it('keeps the path on a board whose release is not told', () => {
    const facts = onOrin({
      indexes: [{ url: `https://${gone[0]}/jp6/cu128`, option: 'index-url', from: 'PIP_INDEX_URL' }],
    });
    const untold = { ...facts, release: { ...facts.release, l4t: null } };
    expect(find(untold, 'pip-index')?.fix).toBe(`export PIP_INDEX_URL=${address}/jp6/cu128/+simple/`);
  });

  it.each([
    [{ status: 200, fault: null }, 'pass'],
    [{ status: 503, fault: null }, 'warn'],
    [{ status: 404, fault: null }, 'warn'],
    [{ status: null, fault: 'ENOTFOUND' }, 'warn'],
  ])('answers: %j', (answer, status) => {
    expect(find(onOrin({ index: { url: 'https://index.example/', ...answer } }), 'index')?.status).toBe(status);
  });
});

it('every finding that needs work says how, in commands of one line', () => {
  const sick = onOrin({
    ...torchIs({ version: '2.11.0+cu130', cuda: '13.0', cudaAvailable: false, archList: ['sm_80'], launch: 'no' }),
    interpreter: goodPython.interpreter && { ...goodPython.interpreter, version: '3.9', isExternallyManaged: true },
  });
  const work = examine(sick).filter(
    ({ status, group }) => group === 'python' && (status === 'fail' || status === 'warn'),
  );
  expect(work.length).toBeGreaterThan(3);
  for (const { fix } of work) expect(fix).toMatch(/^[^\n]+$/);
});
