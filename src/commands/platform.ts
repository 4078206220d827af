/** `--platform` and `--python`: for which board wheels are meant. */
import { JsgError } from '../errors.js';
import type { Options } from './settings.js';

/** Path of the index, `jp6/cu126`; null: not given. Throws E_USAGE. */
export function givenPlatform({ platform }: Options): string | null {
  if (platform === undefined) return null;
  if (/^[a-z0-9]+\/cu\d{2,3}$/.test(String(platform))) return String(platform);
  throw new JsgError('E_USAGE', `--platform: '${platform}' is not a path of the index like jp6/cu126`);
}

/** `3.10`; null: not given. Throws E_USAGE. */
export function givenPython({ python }: Options): string | null {
  if (python === undefined) return null;
  if (/^3\.\d{1,2}$/.test(String(python))) return String(python);
  throw new JsgError('E_USAGE', `--python: '${python}' is not a version like 3.10`);
}
