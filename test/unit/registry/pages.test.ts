/** Pages of an index, and what is chosen of them. */
import { describe, expect, it } from 'vitest';
import { parseWheelName } from '../../../src/device/wheel-name.js';
import { PageError, parseProjectPage, parseRootPage } from '../../../src/registry/project-page.js';
import { parseRequirement, type Requirement, selectFiles } from '../../../src/registry/select.js';

const url = 'http://a/jp6/cu126/+simple/torch/';
const html = (text: string) => ({ contentType: 'text/html', text, url });
const json = (document: unknown) => ({
  contentType: 'application/vnd.pypi.simple.v1+json',
  text: JSON.stringify(document),
  url,
});
const sha256 = 'AB'.repeat(32);

describe('HTML (PEP 503)', () => {
  it('reads links, hashes, Pythons and withdrawals', () => {
    const files = parseProjectPage(
      html(`<!-- <a href="old-1-py3-none-any.whl">x</a> --><A class=x HREF='../../+f/a/torch-2.8.0%2Bcu126-cp310-cp310-linux_aarch64.whl#sha256=${sha256}'
        data-requires-python="&gt;=3.8,&#60;4" data-yanked>torch</A><a href="readme.txt">r</a><a href="javascript:x.whl">j</a>
        <a href="b-1-py3-none-any.whl#md5=1" data-yanked="bad &amp; old">b</a>`),
    );
    expect(files).toEqual([
      {
        filename: 'torch-2.8.0+cu126-cp310-cp310-linux_aarch64.whl',
        url: 'http://a/jp6/cu126/+f/a/torch-2.8.0%2Bcu126-cp310-cp310-linux_aarch64.whl',
        sha256: sha256.toLowerCase(),
        requiresPython: '>=3.8,<4',
        yanked: '',
        sizeBytes: null,
      },
      expect.objectContaining({ filename: 'b-1-py3-none-any.whl', sha256: null, yanked: 'bad & old' }),
    ]);
  });

  it('starts relative links at <base>', () => {
    const [file] = parseProjectPage(html('<base href="http://b/x/"><a href="y-1-py3-none-any.whl">y</a>'));
    expect(file?.url).toBe('http://b/x/y-1-py3-none-any.whl');
  });

  it('tells a web page that is no index from an index without files', () => {
    expect(() => parseProjectPage(html('<h1>Sign in to the hotel</h1>'))).toThrow(PageError);
    expect(parseProjectPage(html('<h1>Links for torch</h1>'))).toEqual([]);
  });

  it('lists projects', () => {
    expect(parseRootPage(html('<a href="../">..</a><a href="torch/">torch</a><a href="b/">Sgl_Kernel/</a>'))).toEqual([
      'torch',
      'Sgl_Kernel',
    ]);
  });

  it('is not read for ever', () => {
    const started = performance.now();
    parseProjectPage(html(`links for ${'<a '.repeat(50_000)}`));
    parseProjectPage(html(`links for ${'<!--'.repeat(20_000)}`));
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('JSON (PEP 691)', () => {
  it.each([
    ['not JSON', { ...json({}), text: '{' }],
    ['another version', json({ meta: { 'api-version': '2.0' }, files: [] })],
    ['no files', json({ meta: { 'api-version': '1.0' } })],
  ])('%s is a fault', (_, page) => expect(() => parseProjectPage(page)).toThrow(PageError));

  it('lists projects', () => {
    const page = json({ meta: { 'api-version': '1.1' }, projects: [{ name: 'torch' }] });
    expect(parseRootPage(page)).toEqual(['torch']);
  });
});

describe('requirements', () => {
  it.each([
    ['Torch', 'torch', 0],
    ['sglang[srt,all] >= 0.4, <1 ; python_version > "3"', 'sglang', 2],
    ['sgl_kernel (==0.0.2.post14)', 'sgl-kernel', 1],
  ])('%s', (text, name, count) => {
    const found = parseRequirement(text);
    expect([found?.name, found?.specifiers.length]).toEqual([name, count]);
  });

  it.each(['', '-e .', 'torch==', 'torch 2.8', 'https://a/b.whl', 'torch @ http://a/b.whl', '../x'])(
    '%j is none',
    (text) => expect(parseRequirement(text)).toBeNull(),
  );
});

describe('selectFiles', () => {
  const target = { python: '3.10', machine: 'aarch64', glibc: '2.35' };
  const file = (filename: string, more = {}) => ({
    filename,
    url: `http://a/${filename}`,
    sha256: 'a'.repeat(64),
    requiresPython: null,
    yanked: null,
    sizeBytes: null,
    ...more,
  });
  const choose = (names: string[], text: string, options = {}) =>
    selectFiles(
      names.map((name) => file(name)),
      parseRequirement(text) as Requirement,
      target,
      options,
    ).map(({ filename }) => filename);

  it('puts the better tag and the higher build first within a version', () => {
    const names = [
      'x-1.0-py3-none-any.whl',
      'x-1.0-2-cp310-cp310-linux_aarch64.whl',
      'x-1.0-10-cp310-cp310-linux_aarch64.whl',
      'x-1.0-cp39-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl',
    ];
    expect(choose(names, 'x')).toEqual([names[2], names[1], names[3], names[0]]);
  });

  it('takes a local version for its public one, and prefers it', () => {
    const names = ['x-2.8.0-py3-none-any.whl', 'x-2.8.0+cu126-py3-none-any.whl'];
    expect(choose(names, 'x==2.8.0')).toEqual([names[1], names[0]]);
  });

  it('takes pre-releases where there is nothing else', () => {
    expect(choose(['x-1.0rc1-py3-none-any.whl'], 'x')).toHaveLength(1);
    expect(choose(['x-1.0rc1-py3-none-any.whl', 'x-0.9-py3-none-any.whl'], 'x')).toEqual(['x-0.9-py3-none-any.whl']);
  });

  it('takes source packages only when asked, behind the wheels', () => {
    const names = [
      'flashinfer_python-0.2.5.tar.gz',
      'flashinfer-python-0.2.5.zip',
      'flashinfer_python-0.2.5-py3-none-any.whl',
    ];
    expect(choose(names, 'flashinfer-python')).toEqual([names[2]]);
    expect(choose(names, 'flashinfer-python', { sources: true })).toEqual([names[2], names[0], names[1]]);
  });

  it.each([
    'x-1-cp310-cp310-musllinux_1_2_aarch64.whl',
    'x-1-cp310-cp310-manylinux_2_39_aarch64.whl',
    'x-1-cp310-cp310-win_arm64.whl',
    'y-1-py3-none-any.whl',
    'x-french-py3-none-any.whl',
    'x.whl',
  ])('%s does not fit', (name) => expect(choose([name], 'x')).toEqual([]));

  it('reads a name with compressed tags and a build', () => {
    expect(parseWheelName('Sgl_Kernel-1.0-3a-cp39.cp310-abi3-a_x.b_x.whl')).toEqual({
      name: 'sgl-kernel',
      version: '1.0',
      build: '3a',
      tags: ['cp39-abi3-a_x', 'cp39-abi3-b_x', 'cp310-abi3-a_x', 'cp310-abi3-b_x'],
    });
    expect(parseWheelName('sgl_kernel-0.0.2.post14-1-cp39.cp310-abi3-linux_aarch64.whl')).toEqual({
      name: 'sgl-kernel',
      version: '0.0.2.post14',
      build: '1',
      tags: ['cp39-abi3-linux_aarch64', 'cp310-abi3-linux_aarch64'],
    });
    expect(parseWheelName('demo-0.2.0.tar.gz')).toBeNull();
  });
});
