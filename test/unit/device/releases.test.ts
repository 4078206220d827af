import { describe, expect, it } from 'vitest';
import { identifyRelease, parseTegraRelease } from '../../../src/device/release.js';
import { findRelease, nearestRelease, stackOf } from '../../../src/device/releases.js';
import { compareVersions, isOfLine, upstreamVersion } from '../../../src/device/versions.js';

const line = (major: number, revision: string, board = 'generic') =>
  `# R${major} (release), REVISION: ${revision}, GCID: 1, BOARD: ${board}, EABI: aarch64, DATE: Thu Sep 18 22:54:44 UTC 2025\n`;
const packages = (entries: Record<string, string>) => new Map(Object.entries(entries));
const none = packages({});

describe('parseTegraRelease', () => {
  it.each([
    [line(36, '4.7'), '36.4.7'],
    [line(32, '7.1', 't210ref'), '32.7.1'],
    [line(35, '6.1', 't186ref').replaceAll('\n', '\r\n'), '35.6.1'],
    [line(32, '5'), '32.5'],
    [`${line(38, '2.0')}# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\nINSTALL_TYPE=\n`, '38.2.0'],
    ['# R36 (release), REVISION: 4.4', '36.4.4'],
  ])('%j', (text, l4t) => {
    expect(parseTegraRelease(text)).toBe(l4t);
  });

  it.each(['', '# R36 (release), REVISION: 4', '# R36 (rel', 'no such line', '\0\0\0'])('%j tells nothing', (text) => {
    expect(parseTegraRelease(text)).toBeNull();
  });
});

describe('L4T and JetPack', () => {
  it.each([
    ['39.2.1', '7.2.1'],
    ['39.2.0', '7.2'],
    ['38.4.0', '7.1'],
    ['38.2.1', '7.0'],
    ['36.5.0', '6.2.2'],
    ['36.4.7', '6.2.1'],
    ['36.4.4', '6.2.1'],
    ['36.4.3', '6.2'],
    ['36.4.0', '6.1'],
    ['36.3.0', '6.0'],
    ['35.6.4', '5.1.6'],
    ['35.6.2', '5.1.5'],
    ['35.5.0', '5.1.3'],
    ['35.4.1', '5.1.2'],
    ['35.1.0', '5.0.2'],
    ['32.7.6', '4.6.6'],
    ['32.6.1', '4.6'],
    ['32.5', '4.5'],
    ['32.3.1', '4.3'],
    ['28.4.0', '3.3.3'],
  ])('%s is %s', (l4t, jetpack) => {
    expect(findRelease(l4t)?.jetpack).toBe(jetpack);
  });

  it.each([
    ['35.6.5', '35.6.4'],
    ['36.6.0', '36.5.2'],
    ['36.4.9', '36.4.7'],
    ['40.0.0', '39.2.1'],
    ['32.7.9', '32.7.6'],
    ['21.1.0', '28.2.1'],
  ])('%s is unknown, and %s the nearest', (l4t, nearest) => {
    expect(findRelease(l4t)).toBeNull();
    expect(nearestRelease(l4t).l4t).toBe(nearest);
    expect(identifyRelease(line(Number.parseInt(l4t, 10), l4t.slice(3)), none)).toMatchObject({
      l4t,
      jetpack: 'unknown',
      nearest: { l4t: nearest },
    });
  });

  it('the metapackage decides where the L4T leaves the version open', () => {
    const release = (revision: string, jetpack: string) =>
      identifyRelease(line(36, revision), packages({ 'nvidia-jetpack': jetpack }));
    expect(release('5.2', '6.2.3+b81').jetpack).toBe('6.2.3');
    expect(release('9.0', '6.4+b1').jetpack).toBe('6.4');
    // Not one of another generation, and not where the L4T is known.
    expect(release('9.0', '5.1.2-b104').jetpack).toBe('unknown');
    expect(release('5.0', '6.2.3+b81')).toMatchObject({ jetpack: '6.2.2', jetpackPackage: '6.2.3+b81' });
    expect(identifyRelease(line(36, '5.1'), none).jetpack).toBe('6.2.x');
  });

  it('a container has only packages', () => {
    const release = identifyRelease(null, packages({ 'nvidia-l4t-core': '36.4.4-20250616085344' }));
    expect(release).toMatchObject({ l4t: '36.4.4', isFromPackage: true, jetpack: '6.2.1' });
    expect(identifyRelease('', packages({ 'nvidia-jetpack': '6.0+b106' }))).toMatchObject({
      l4t: null,
      jetpack: '6.0',
    });
    expect(identifyRelease(null, none)).toMatchObject({ l4t: null, jetpack: null, nearest: null });
  });
});

describe('stackOf', () => {
  it.each([
    ['39.2.1', '13.2', '24.04', [87, 110]],
    ['38.4.0', '13.0', '24.04', [110]],
    ['36.5.9', '12.6', '22.04', [87]],
    ['36.4.0', '12.6', '22.04', [87]],
    ['36.3.0', null, '22.04', [87]],
    ['35.6.5', '11.4', '20.04', [72, 87]],
    ['32.7.1', '10.2', '18.04', [53, 62, 72]],
    ['32.3.1', '10.0', '18.04', [53, 62, 72]],
  ])('of %s', (l4t, cuda, ubuntu, archs) => {
    expect(stackOf(l4t)).toMatchObject({ cuda, ubuntu, archs });
  });

  it('is not told of a line that is not known', () => {
    expect(stackOf('41.0.0')).toBeNull();
    expect(stackOf('21.5')).toBeNull();
  });
});

it('versions', () => {
  expect(compareVersions('36.4.10', '36.4.9')).toBeGreaterThan(0);
  expect(compareVersions('32.5', '32.5.0')).toBe(0);
  expect(isOfLine('12.6.68', '12.6')).toBe(true);
  expect(isOfLine('12.60', '12.6')).toBe(false);
  expect(upstreamVersion('1:10.3.0.30-1+cuda12.5')).toBe('10.3.0.30');
  expect(upstreamVersion('7.2-b184')).toBe('7.2');
});
