/** XGrammar's sources, which jsg's own runtime is compiled with: at the version and hash that its build names. */
import { existsSync, mkdirSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hasSha256 } from '../files.js';
import { pipDownload } from '../registry/pip-download.js';
import type { Target } from '../registry/tags.js';
import { packageRoot } from '../version.js';
import type { BundleFile } from './manifest.js';
import type { Workshop } from './workshop.js';

interface Pinned {
  XGRAMMAR: { version: string; sha256: string };
}

/** Throws what pip's download throws. */
export async function gatherXgrammar(
  { target, python }: { target: Target; python: string },
  shop: Workshop,
): Promise<Omit<BundleFile, 'sha256' | 'sizeBytes'>> {
  const pinned = (await import(pathToFileURL(join(packageRoot, 'scripts/xgrammar/library.mjs')).href)) as Pinned;
  const { version, sha256 } = pinned.XGRAMMAR;
  const filename = `xgrammar-${version}.tar.gz`;
  const directory = join(shop.directory, 'sources');
  mkdirSync(directory, { recursive: true });
  // Left by the build of this very jsg.
  const own = join(packageRoot, 'build', 'xgrammar', filename);
  if (!(await hasSha256(join(directory, filename), sha256, shop.signal))) {
    if (existsSync(own) && (await hasSha256(own, sha256, shop.signal))) await copyFile(own, join(directory, filename));
    else {
      const requirement = `xgrammar==${version}`;
      await pipDownload({ requirement, sha256, source: true, target, directory, python, signal: shop.signal });
    }
  }
  return { path: `sources/${filename}`, kind: 'native', name: 'xgrammar', version, commit: null, submodules: [] };
}
