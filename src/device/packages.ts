/** Debian packages that are installed: name -> version. */
import type { Source } from './source.js';

export type Packages = ReadonlyMap<string, string>;

/** Some MiB on a full JetPack. */
const MAX_STATUS_BYTES = 32 * 2 ** 20;

/** /var/lib/dpkg/status; images made of single packages keep one file for each instead. */
export function probePackages({ read, list }: Source): Packages {
  const status = read('/var/lib/dpkg/status', MAX_STATUS_BYTES);
  if (status !== null) return parseDpkgStatus(status);
  const folder = '/var/lib/dpkg/status.d';
  return parseDpkgStatus(
    list(folder)
      .map((file) => read(`${folder}/${file}`) ?? '')
      .join('\n\n'),
  );
}

export function parseDpkgStatus(text: string): Packages {
  const packages = new Map<string, string>();
  for (const stanza of text.split(/\n[ \t]*\n/)) {
    const field = (name: string) => new RegExp(`^${name}:[ \\t]*(\\S.{0,100}?)[ \\t]*$`, 'm').exec(stanza)?.[1];
    const [name, version, status] = [field('Package'), field('Version'), field('Status')];
    // Removed packages stay listed while their configuration does. Without a status line it is a status.d file.
    const isInstalled = status === undefined || (/\binstalled$/.test(status) && !/not-installed$/.test(status));
    if (name !== undefined && version !== undefined && isInstalled) packages.set(name, version);
  }
  return packages;
}
