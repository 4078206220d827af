/**
 * The Jetson index, as a build uses it:
 *
 *     const index = new JetsonIndex({ path: 'jp6/cu126', target: { python: '3.10', machine: 'aarch64', glibc: '2.35' } });
 *     const [best] = await index.find('torch>=2.4,<3');
 *     const wheel = await index.download(best, directory, { signal, onProgress });
 *     await index.close();
 */
import { indexTable } from '../device/wheel-index.js';
import { parseWheelName } from '../device/wheel-name.js';
import { JsgError } from '../errors.js';
import { type DownloadOptions, downloadFile } from './download.js';
import { checkMirrors, type MirrorHealth } from './health.js';
import { backOff, HttpClient, HttpFault, withoutCredentials } from './http.js';
import type { LockFile } from './lock.js';
import { type Mirror, mirrorsFor } from './mirrors.js';
import { type Page, PageError, type ProjectFile, parseProjectPage, parseRootPage } from './project-page.js';
import { type Candidate, parseRequirement, type SelectOptions, selectFiles } from './select.js';
import type { Target } from './tags.js';

export interface IndexOptions {
  /** `jp6/cu126`; see platformPath. */
  path: string;
  target: Target;
  /** Default: those of wheels/index.yaml, then JSG_INDEX_URLS. */
  mirrors?: Mirror[];
}

export interface FindOptions extends SelectOptions {
  signal?: AbortSignal;
  /** Take only the file whose hash it names, where it names one. */
  lock?: LockFile | null;
  /** Take a package compiled against CUDA from elsewhere too, which on a Jetson is hardly ever right. */
  elsewhere?: boolean;
}

/** Files of a project, by the mirror that has it. */
export interface Project {
  mirror: Mirror;
  files: ProjectFile[];
}

const ROUNDS = 3;
const FIRST_PAUSE_MS = 500;

export class JetsonIndex {
  readonly mirrors: Mirror[];
  readonly path: string;
  readonly target: Target;
  private readonly http = new HttpClient();
  private ordered: Promise<Mirror[]> | null = null;

  constructor({ path, target, mirrors }: IndexOptions) {
    this.path = path;
    this.target = target;
    this.mirrors = mirrors ?? mirrorsFor(path);
  }

  health(signal?: AbortSignal): Promise<MirrorHealth[]> {
    return checkMirrors(this.mirrors, signal);
  }

  /**
   * What fits the requirement and the target, best first; never empty. Throws E_USAGE (no requirement), E_NOT_FOUND
   * (nothing fits), E_DOWNLOAD_FAILED (no mirror answers), E_CHECKSUM_MISMATCH (the locked file is not there any more).
   */
  async find(requirement: string, options: FindOptions = {}): Promise<Candidate[]> {
    const wanted = parseRequirement(requirement);
    if (wanted === null) {
      throw new JsgError('E_USAGE', `'${requirement}' is no requirement`, {
        hint: "Like torch, 'torch>=2.4' or torch==2.8.0.",
      });
    }
    const pin = options.lock?.packages.find(({ name }) => name === wanted.name);
    let refused = 0;
    const candidatesOf = ({ files }: Project) => {
      const fitting = selectFiles(files, wanted, this.target, options);
      const own = options.elsewhere ? fitting : fitting.filter((file) => this.mayTake(wanted.name, file));
      refused += fitting.length - own.length;
      return pin === undefined ? own : own.filter(({ sha256 }) => sha256 === pin.sha256);
    };
    const { found, projects } = await this.ask(
      (mirror) => this.filesAt(mirror, wanted.name, options.signal),
      (project) => candidatesOf(project).length > 0,
      wanted.name,
      options.signal,
    );
    if (found !== null) return candidatesOf(found);
    if (pin !== undefined) {
      throw new JsgError(
        'E_CHECKSUM_MISMATCH',
        `${pin.filename}: no mirror has the file with the locked sha256 any more`,
        {
          hint: `It may have been rebuilt under the same name. Remove ${wanted.name} from the lock file to choose anew.`,
        },
      );
    }
    throw this.nothingFits(requirement, projects, refused);
  }

  /** Every file of a project, whether it fits or not. Throws E_NOT_FOUND, E_DOWNLOAD_FAILED. */
  async project(name: string, signal?: AbortSignal): Promise<Project> {
    const { found } = await this.ask(
      (mirror) => this.filesAt(mirror, name, signal),
      () => true,
      name,
      signal,
    );
    if (found === null) throw new JsgError('E_NOT_FOUND', `${name}: not on the index`);
    return found;
  }

  /** Names of all projects. Throws E_DOWNLOAD_FAILED. */
  async projects(signal?: AbortSignal): Promise<{ mirror: Mirror; names: string[] }> {
    const read = async (mirror: Mirror) => ({
      mirror,
      names: parseRootPage(await this.http.page(mirror.simpleUrl, signal)),
    });
    const { found } = await this.ask(read, () => true, 'the list of packages', signal);
    if (found === null) throw new JsgError('E_NOT_FOUND', 'the index has no list of packages');
    return found;
  }

  /** Path of the verified file in `directory`. Mirrors stand in for one another. Throws what downloadFile throws. */
  download(candidate: ProjectFile, directory: string, options: DownloadOptions = {}): Promise<string> {
    return downloadFile(this.http, candidate, this.urlsOf(candidate.url), directory, options);
  }

  close(): Promise<void> {
    return this.http.close();
  }

  /** devpi names a file's folder by its content, so that every mirror has it at the same path below its base. */
  private urlsOf(url: string): string[] {
    const base = this.mirrors.find(({ baseUrl }) => url.startsWith(`${baseUrl}+f/`))?.baseUrl;
    if (base === undefined) return [url];
    const others = this.mirrors.filter(({ baseUrl }) => baseUrl !== base && baseUrl.endsWith(`/${this.path}/`));
    return [url, ...others.map(({ baseUrl }) => baseUrl + url.slice(base.length))];
  }

  /** Built for this platform: it lies below the platform's path, or is a wheel that no public index takes. */
  isOwn({ url, filename }: ProjectFile): boolean {
    if (new URL(url).pathname.includes(`/${this.path}/`)) return true;
    return parseWheelName(filename)?.tags.every((tag) => /-linux_\w+$/.test(tag)) ?? false;
  }

  /** A package compiled against CUDA must be of this platform; others may come from wherever the index has them. */
  mayTake(name: string, file: ProjectFile): boolean {
    return this.isOwn(file) || !indexTable().cuda_packages.includes(name);
  }

  private async filesAt(mirror: Mirror, name: string, signal?: AbortSignal): Promise<Project> {
    const page: Page = await this.http.page(`${mirror.simpleUrl}${encodeURIComponent(name)}/`, signal);
    return { mirror, files: parseProjectPage(page) };
  }

  /** Those that answer first, each group in the order given; asked once. */
  private inOrder(signal?: AbortSignal): Promise<Mirror[]> {
    if (this.mirrors.length === 1) return Promise.resolve(this.mirrors);
    this.ordered ??= this.health(signal).then(
      (found) => [...found.filter(({ isUp }) => isUp), ...found.filter(({ isUp }) => !isUp)],
      (error) => {
        this.ordered = null;
        throw error;
      },
    );
    return this.ordered;
  }

  /**
   * Asks one mirror after the other until one's answer will do. "Not there" is an answer; while there is none at all, all
   * are asked again, after a pause.
   */
  private async ask<T>(
    read: (mirror: Mirror) => Promise<T>,
    willDo: (answer: T) => boolean,
    what: string,
    signal?: AbortSignal,
  ): Promise<{ found: T | null; projects: T[] }> {
    let faults: string[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      if (round > 0) await this.stoppable(backOff(round - 1, FIRST_PAUSE_MS, signal), signal);
      const projects: T[] = [];
      let isAbsent = false;
      let mayPass = false;
      faults = [];
      for (const mirror of await this.stoppable(this.inOrder(signal), signal)) {
        try {
          const answer = await read(mirror);
          if (willDo(answer)) return { found: answer, projects };
          projects.push(answer);
        } catch (error) {
          if (signal?.aborted) throw stopped();
          if (!(error instanceof HttpFault || error instanceof PageError)) throw error;
          if (error instanceof HttpFault && error.status === 404) isAbsent = true;
          else mayPass ||= error instanceof HttpFault && error.isPassing;
          faults.push(`${withoutCredentials(mirror.simpleUrl)}: ${error.message}`);
        }
      }
      if (projects.length > 0) return { found: null, projects };
      if (isAbsent) throw this.notFound(what, faults);
      if (!mayPass) break;
    }
    throw new JsgError(
      'E_DOWNLOAD_FAILED',
      `the Jetson index does not answer (${what}):\n     ${faults.join('\n     ')}`,
      {
        hint: 'It is down now and then: try again later, or name another mirror in JSG_INDEX_URLS. The public index has no wheels for this GPU.',
      },
    );
  }

  private async stoppable<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw signal?.aborted ? stopped() : error;
    }
  }

  private notFound(what: string, faults: string[]): JsgError {
    return new JsgError(
      'E_NOT_FOUND',
      `${what}: not on the Jetson index for ${this.path}\n     ${faults.join('\n     ')}`,
      {
        hint: '`jsg index ls` lists what is there.',
      },
    );
  }

  private nothingFits(requirement: string, projects: Project[], refused: number): JsgError {
    const { python, machine } = this.target;
    if (refused > 0) {
      return new JsgError('E_NOT_FOUND', `${requirement}: only files that were not built for ${this.path}`, {
        hint: 'They come from the public index, where this package has no CUDA or none for this GPU. `jsg build` makes one.',
      });
    }
    const names = projects.flatMap(({ files }) => files.map(({ filename }) => filename));
    const some = names.slice(-5).join(', ') + (names.length > 5 ? `, and ${names.length - 5} more` : '');
    return new JsgError('E_NOT_FOUND', `${requirement}: nothing on ${this.path} fits Python ${python} on ${machine}`, {
      hint: names.length === 0 ? 'The index lists no file of it.' : `There are: ${some}.`,
    });
  }
}

const stopped = () => new JsgError('E_DOWNLOAD_FAILED', 'stopped while asking the Jetson index');
