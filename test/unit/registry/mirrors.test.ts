/** Which path of the index is a machine's, and in which order its mirrors are asked. */
import { describe, expect, it } from 'vitest';
import { indexTable, indexUrl, type PathFacts, platformPath } from '../../../src/device/wheel-index.js';
import { jetsonIndexUrl } from '../../../src/doctor/checks/wheels-table.js';
import { mirrorAt, mirrorsFor } from '../../../src/registry/mirrors.js';
import { targetOfPath } from '../../../src/registry/target.js';

const jetson = (l4t: string | null, cuda: string | null = null): PathFacts => ({
  l4t,
  cuda,
  isJetson: true,
  hasGpu: true,
  machine: 'aarch64',
});

describe('platformPath', () => {
  it.each([
    ['JetPack 6.1', jetson('36.4.0', '12.6.68'), 'jp6/cu126'],
    ['JetPack 6.2.1 without a toolkit', jetson('36.4.7'), 'jp6/cu126'],
    ['a release of R36 that is newer than the table', jetson('36.5.2'), 'jp6/cu126'],
    ['JetPack 6 with a newer CUDA', jetson('36.4.3', '12.9.1'), 'jp6/cu129'],
    ['JetPack 6 with CUDA 12.8', jetson('36.4.3', '12.8'), 'jp6/cu128'],
    ['JetPack 6 with a CUDA that has no path of its own', jetson('36.4.3', '12.7'), 'jp6/cu126'],
    ['JetPack 6 with a CUDA of another major version', jetson('36.4.7', '13.0'), 'jp6/cu126'],
    ['JetPack 6.0', jetson('36.3.0', '12.2'), null],
    ['JetPack 5', jetson('35.4.1', '11.4.315'), 'jp5/cu114'],
    ['JetPack 4', jetson('32.7.1', '10.2'), null],
    ['Thor on JetPack 7.0', jetson('38.2.0', '13.0.48'), 'sbsa/cu130'],
    ['JetPack 7.2', jetson('39.2.0', '13.2.78'), 'jp7/cu132'],
    ['a Jetson that hides its release', jetson(null, '12.6'), null],
    ['an ARM server with CUDA 12.9', { ...jetson(null, '12.9'), isJetson: false }, 'sbsa/cu129'],
    ['an ARM server with CUDA 13', { ...jetson(null, '13.1'), isJetson: false }, 'sbsa/cu130'],
    ['a PC with CUDA 12.8', { ...jetson(null, '12.8'), isJetson: false, machine: 'x86_64' }, 'amd64/cu128'],
    ['a PC without a GPU', { ...jetson(null, '12.8'), isJetson: false, hasGpu: false, machine: 'x86_64' }, null],
  ])('%s', (_, facts, expected) => {
    expect(platformPath(facts)).toBe(expected);
  });

  it('one table for all who read it', () => {
    for (const { l4t } of indexTable().jetson) {
      const path = platformPath(jetson(l4t[0]));
      expect(jetsonIndexUrl(l4t[0])).toBe(path === null ? null : indexUrl(path));
      if (path !== null) expect(mirrorsFor(path, {})[0]?.simpleUrl).toBe(indexUrl(path));
    }
  });

  it('a release that is newer than the table is not taken for its newest', () => {
    expect(platformPath(jetson('40.1.0', '13.4'))).toBeNull();
  });

  it('tells the Python and the C library of the JetPack', () => {
    expect(targetOfPath('jp6/cu126')).toEqual({ python: '3.10', machine: 'aarch64', glibc: '2.35' });
    expect(targetOfPath('jp5/cu114').python).toBe('3.8');
    expect(targetOfPath('amd64/cu130')).toEqual({ python: '3.12', machine: 'x86_64', glibc: '2.39' });
  });
});

describe('mirrors', () => {
  it('are those of the table, then those of JSG_INDEX_URLS, each once', () => {
    const table = indexTable().mirrors;
    const env = { JSG_INDEX_URLS: `http://a:1, http://b/jp6/cu126/ ${table[0]}` };
    expect(mirrorsFor('jp6/cu126', env).map(({ simpleUrl }) => simpleUrl)).toEqual([
      ...table.map((url) => `${url}/jp6/cu126/+simple/`),
      'http://a:1/jp6/cu126/+simple/',
      'http://b/jp6/cu126/+simple/',
    ]);
  });

  it.each([
    ['http://a/x/+simple/', 'http://a/x/+simple/', 'http://a/x/'],
    ['http://a/simple', 'http://a/simple/', 'http://a/'],
    ['http://a/devpi/', 'http://a/devpi/jp6/cu126/+simple/', 'http://a/devpi/jp6/cu126/'],
    ['http://a/jp6/cu126/+simple/?x#y', 'http://a/jp6/cu126/+simple/', 'http://a/jp6/cu126/'],
  ])('%s', (address, simpleUrl, baseUrl) => {
    expect(mirrorAt(address, 'jp6/cu126')).toEqual({ simpleUrl, baseUrl });
  });

  it.each(['ftp://x', 'x', 'file:///etc'])('%s is refused', (address) => {
    expect(() => mirrorAt(address, 'jp6/cu126')).toThrow('is not a URL');
  });
});
