/** A build from a bundle: everything that its steps would fetch, verified beforehand, and a pip and a git that cannot fetch. */
import { copyFileSync, linkSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { JsgError } from '../errors.js';
import { pipNeeds } from '../recipe/pip-needs.js';
import type { GitSource, PackageSource, Plan } from '../recipe/plan.js';
import { requirementOf } from '../recipe/source-steps.js';
import type { LockedPackage } from '../registry/lock.js';
import type { Target } from '../registry/tags.js';
import { gatherWheels, removeOthers } from '../registry/wheelhouse.js';
import { type BundleFile, type Manifest, openBundle, type Place, requirePlace, verifyFiles } from './manifest.js';

export class OfflineSources {
  private constructor(
    readonly directory: string,
    private readonly manifest: Manifest,
    private readonly target: Target,
  ) {}

  /**
   * Throws E_USAGE (no bundle), E_DEVICE_UNSUITABLE (of another platform), E_NOT_FOUND (it lacks what the plans need),
   * E_CHECKSUM_MISMATCH.
   */
  static async open(directory: string, plans: Plan[], place: Place, target: Target, signal?: AbortSignal) {
    const manifest = openBundle(directory);
    requirePlace(directory, manifest, place);
    const sources = new OfflineSources(directory, manifest, target);
    const packages = manifest.files.filter(({ kind }) => kind === 'wheel' || kind === 'source-package');
    const native = manifest.files.filter(({ kind }) => kind === 'native');
    await verifyFiles(directory, [...packages, ...native], signal);
    await verifyFiles(directory, await sources.requireAll(plans), signal);
    return sources;
  }

  /** Over the environment of every command. */
  get environment(): Record<string, string> {
    return {
      PIP_NO_INDEX: '1',
      // As an address, since pip splits it at blanks.
      PIP_FIND_LINKS: pathToFileURL(join(this.directory, 'wheels')).href,
      PIP_CONFIG_FILE: '/dev/null',
      PIP_INDEX_URL: '',
      PIP_EXTRA_INDEX_URL: '',
      // A name that no protocol has: nothing may be fetched.
      GIT_ALLOW_PROTOCOL: 'none',
      HF_HUB_OFFLINE: '1',
      ...this.nativeEnvironment(),
    };
  }

  /** Where scripts/xgrammar finds its archive. */
  private nativeEnvironment(): Record<string, string> {
    const found = this.manifest.files.find(({ kind, name }) => kind === 'native' && name === 'xgrammar');
    return found === undefined ? {} : { JSG_XGRAMMAR: join(this.directory, found.path) };
  }

  /** The tar of a git source, whose one folder is the clone. */
  archiveOf(source: GitSource): string {
    const found = this.sourceOf(source);
    if (found === undefined) throw this.lacks([describe(source)]);
    return join(this.directory, found.path);
  }

  /** Puts a package and what it requires into `directory`. */
  async fetch(source: PackageSource, directory: string): Promise<LockedPackage[]> {
    const found = await this.closure([requirementOf(source)]);
    mkdirSync(directory, { recursive: true });
    for (const { filename } of found) take(join(this.directory, 'wheels', filename), join(directory, filename));
    const names = found.map(({ filename }) => filename);
    await removeOthers(directory, names);
    return found;
  }

  /** The archives that the plans take. Throws E_NOT_FOUND that names all that is lacking. */
  private async requireAll(plans: Plan[]): Promise<BundleFile[]> {
    const lacking: string[] = [];
    const archives: BundleFile[] = [];
    for (const source of plans.flatMap((plan) => plan.sources)) {
      if (source.kind !== 'git') continue;
      const found = this.sourceOf(source);
      if (found === undefined) lacking.push(describe(source));
      else archives.push(found);
    }
    const needs = plans.map(pipNeeds);
    const fetched = plans.flatMap((plan) =>
      plan.sources.flatMap((each) => ('index' in each && each.index ? each : [])),
    );
    const names = [...fetched.map(requirementOf), ...needs.flatMap(({ wheels }) => wheels)];
    for (const requirement of new Set(names)) {
      await this.closure([requirement]).catch((error: unknown) => {
        if (!(error instanceof JsgError)) throw error;
        lacking.push(`the wheel of ${error.message}`);
      });
    }
    for (const requirement of new Set(needs.flatMap(({ sourcePackages }) => sourcePackages))) {
      const [name, version = null] = requirement.split('==');
      const isIt = (file: BundleFile) => file.name === name && (version === null || file.version === version);
      if (!this.manifest.files.some((file) => file.kind === 'source-package' && isIt(file))) {
        lacking.push(`the source package of ${requirement}`);
      }
    }
    if (lacking.length > 0) throw this.lacks([...new Set(lacking)]);
    return archives;
  }

  private sourceOf({ name, tag, commit, submodules }: GitSource): BundleFile | undefined {
    return this.manifest.files.find(
      (file) =>
        file.kind === 'git-source' &&
        file.name === name &&
        file.version === tag &&
        (commit === null || file.commit === commit) &&
        submodules.every(({ path }) => file.submodules.includes(path)),
    );
  }

  private closure(requirements: string[]): Promise<LockedPackage[]> {
    const { platform, python, files } = this.manifest;
    const packages = files
      .filter(({ kind }) => kind === 'wheel')
      .map(({ path, name, version, sha256 }) => ({
        name,
        version: version ?? '',
        filename: path.replace(/^wheels\//, ''),
        url: null,
        sha256,
      }));
    return gatherWheels(requirements, {
      index: null,
      python: null,
      target: this.target,
      directory: join(this.directory, 'wheels'),
      lock: { version: 1, platform: platform ?? '', python, packages },
      lockPath: this.directory,
    });
  }

  private lacks(what: string[]): JsgError {
    const { profile, variant, recipes } = this.manifest;
    return new JsgError('E_NOT_FOUND', `the bundle ${this.directory} lacks ${what.join(', ')}`, {
      hint: `It was gathered for ${recipes.join(', ') || 'no recipe'} (${variant}) of profile ${profile}; jsg bundle takes --recipe and --variant.`,
    });
  }
}

const describe = ({ name, tag, commit, submodules }: GitSource) =>
  [
    `the source of ${name} ${tag}${commit === null ? '' : ` (${commit.slice(0, 12)})`}`,
    ...(submodules.length === 0 ? [] : [`with ${submodules.map(({ path }) => path).join(' and ')}`]),
  ].join(' ');

/** A second name where the file system allows it, for a wheel of torch is large. */
function take(from: string, to: string): void {
  rmSync(to, { force: true });
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
