/** For which GPUs the libraries in a wheel were compiled. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { withBytes } from '../../../device/elf.js';
import { type GpuCode, readGpuCode } from '../../../device/elf-fatbin.js';
import { extractEntry, readWheelEntries } from '../../../device/wheel-file.js';
import { runsOn } from '../../../device/wheels-arch.js';
import type { Check } from '../../plan.js';
import { newestMatch } from '../files.js';
import { type CheckContext, type Finding, failed, passed, unknown } from './finding.js';

const LIBRARY = /\.so(\.\d+)*$/;

interface Library {
  name: string;
  code: GpuCode;
}

/** Passes where some library runs on the GPU, and names those that do not. What cannot be told is no pass. */
export async function examineGpuCode(
  { file, sm }: Extract<Check, { kind: 'sm' }>,
  { build, isTegra }: CheckContext,
): Promise<Finding> {
  const path = newestMatch(build, file);
  if (path === null) return failed(`no file matches ${file}`);
  const libraries = await librariesOf(path);
  if (libraries === null) return failed(`${basename(path)} is no whole wheel`);
  if (libraries.length === 0) return failed(`${basename(path)} has no library with code for a GPU`);
  const fits = libraries.filter(({ code }) => runsOn(code, { arch: sm, isTegra }));
  const rest = libraries.filter((library) => !fits.includes(library));
  if (fits.length > 0) {
    const without = rest.length === 0 ? '' : `; not for it: ${rest.map(describe).join(', ')}`;
    return passed(`${fits.map(describe).join(', ')}; this GPU is sm_${sm}${without}`);
  }
  const detail = `${rest.map(describe).join(', ')}; this GPU is sm_${sm}`;
  return rest.every(({ code }) => code.isComplete)
    ? failed(`no code for it: ${detail}`)
    : unknown(`not all was read: ${detail}`);
}

const describe = ({ name, code: { sass, ptx, rare } }: Library) => {
  const archs = [...sass.map((arch) => `sm_${arch}`), ...ptx.map((arch) => `compute_${arch}`)];
  const few = rare.length > 0 ? [`in a few files ${rare.join(' ')}`] : [];
  return `${name} for ${[...archs, ...few].join(' ') || 'none'}`;
};

/** Null: no whole wheel. */
async function librariesOf(wheel: string): Promise<Library[] | null> {
  const entries = readWheelEntries(wheel);
  if (entries === null) return null;
  const folder = mkdtempSync(join(tmpdir(), 'jsg-wheel-'));
  try {
    const libraries: Library[] = [];
    for (const entry of entries.filter(({ name }) => LIBRARY.test(name))) {
      const path = join(folder, 'library.so');
      await extractEntry(wheel, entry, path);
      const code = withBytes(path, (bytes) => readGpuCode(bytes));
      if (code !== null) libraries.push({ name: basename(entry.name), code });
    }
    return libraries;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
