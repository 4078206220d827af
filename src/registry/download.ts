/** One file of an index into a folder: goes on where it was cut off, and keeps its name only if its sha256 is right. */
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Response } from 'undici';
import { JsgError } from '../errors.js';
import { hasSha256, sha256OfFile } from '../files.js';
import { backOff, type HttpClient, HttpFault } from './http.js';
import type { ProjectFile } from './project-page.js';

export interface DownloadProgress {
  file: string;
  doneBytes: number;
  /** Null: the server does not tell. */
  totalBytes: number | null;
}

export interface DownloadOptions {
  signal?: AbortSignal;
  onProgress?: (progress: DownloadProgress) => void;
  /** Take a file whose hash the index does not tell. */
  unhashed?: boolean;
}

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 300;
const REPORT_MS = 100;

interface Job extends DownloadOptions {
  http: HttpClient;
  file: ProjectFile;
  /** What has come so far; it carries the hash, so that a file rebuilt under the same name never goes on in it. */
  partial: string;
}

/**
 * Path of the file in `directory`. `urls`: where it can be had, in order. Two processes must not fetch the same file into
 * the same folder. Throws E_DOWNLOAD_FAILED, E_CHECKSUM_MISMATCH, E_IO_FAILED.
 */
export async function downloadFile(
  http: HttpClient,
  file: ProjectFile,
  urls: string[],
  directory: string,
  options: DownloadOptions = {},
): Promise<string> {
  const { filename, sha256 } = file;
  requireSafe(file, options);
  const path = join(directory, filename);
  try {
    await mkdir(directory, { recursive: true });
    if (sha256 !== null && (await hasSha256(path, sha256))) return path;
    const partial = join(directory, `.${filename}.${sha256?.slice(0, 16) ?? 'unhashed'}.part`);
    await fetchVerified({ http, file, partial, ...options }, urls);
    await rename(partial, path);
    await rm(validatorPath(partial), { force: true });
    return path;
  } catch (error) {
    if (options.signal?.aborted) throw stopped(filename);
    if (error instanceof JsgError) throw error;
    throw new JsgError('E_IO_FAILED', `${path}: ${(error as Error).message}`, { cause: error });
  }
}

function requireSafe({ filename, sha256 }: ProjectFile, { unhashed = false }: DownloadOptions): void {
  if (!/^[a-z0-9][\w.+!-]*$/i.test(filename)) {
    throw new JsgError('E_DOWNLOAD_FAILED', `the index names a file ${JSON.stringify(filename.slice(0, 100))}`);
  }
  if (sha256 === null && !unhashed) {
    throw new JsgError('E_CHECKSUM_MISMATCH', `${filename}: the index tells no sha256, so nothing proves what it is`);
  }
}

/** A second time from nothing where the first result is not the file: the beginning may be of an earlier start. */
async function fetchVerified(job: Job, urls: string[]): Promise<void> {
  const { file, partial } = job;
  const drop = () => Promise.all([rm(partial, { force: true }), rm(validatorPath(partial), { force: true })]);
  // An unknown hash cannot prove that two halves belong together.
  if (file.sha256 === null) await drop();
  let got: string | null = null;
  for (const order of [urls, [...urls.slice(1), ...urls.slice(0, 1)]]) {
    await fetchAll(job, order);
    got = await sha256OfFile(partial);
    if (file.sha256 === null || got === file.sha256) return;
    await drop();
  }
  throw new JsgError('E_CHECKSUM_MISMATCH', `${file.filename}: sha256 is ${got}, the index says ${file.sha256}`, {
    hint: 'The file was altered or cut short on the way, or the index is being changed: check the proxy, try again later.',
  });
}

/** Goes round the addresses; each attempt goes on where the last one ended, and one that brought bytes is no failure. */
async function fetchAll(job: Job, urls: string[]): Promise<void> {
  const { file, partial, signal } = job;
  const gone = new Set<string>();
  let failures = 0;
  for (let i = 0; ; i += 1) {
    const left = urls.filter((url) => !gone.has(url));
    const url = left[i % left.length] ?? '';
    const before = await sizeOf(partial);
    try {
      return await fetchRest(job, url);
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof HttpFault)) throw error;
      if (!error.isPassing) gone.add(url);
      failures = (await sizeOf(partial)) > before ? 1 : failures + 1;
      if (gone.size >= urls.length || failures >= ATTEMPTS) {
        throw new JsgError('E_DOWNLOAD_FAILED', `${file.filename}: ${new URL(url).host}: ${error.message}`, {
          hint: 'Start again later: what has come is kept, and the download goes on from there. `jsg index status` asks the mirrors.',
          cause: error,
        });
      }
      if (error.isPassing) await backOff(failures - 1, FIRST_PAUSE_MS, signal);
    }
  }
}

/** One connection. If-Range makes a server whose file has changed send the whole of it. */
async function fetchRest(job: Job, url: string): Promise<void> {
  const { http, partial, signal } = job;
  const start = await sizeOf(partial);
  const validator = await readFile(validatorPath(partial), 'utf8').catch(() => '');
  // A validator is of one server: another mirror's ETag for the same content may differ, and the sha256 decides anyway.
  const [of = '', value = ''] = validator.split('\n');
  const condition: Record<string, string> = of === new URL(url).host && value !== '' ? { 'If-Range': value } : {};
  const range: Record<string, string> = start > 0 ? { Range: `bytes=${start}-`, ...condition } : {};
  let response: Response;
  try {
    response = await http.open(url, { 'Accept-Encoding': 'identity', ...range }, signal);
  } catch (error) {
    // Nothing lies behind what is here: it is whole, or of another file. The hash tells which.
    if (start > 0 && error instanceof HttpFault && error.status === 416) return;
    throw error;
  }
  const resumes =
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${start}-`) === true;
  if (response.status === 206 && !resumes) {
    await response.body?.cancel();
    await rm(partial, { force: true });
    throw new HttpFault('it sent another part than was asked for', null);
  }
  await rememberValidator(partial, url, response);
  const handle = await open(partial, resumes ? 'a' : 'w');
  try {
    await append(job, response, handle, resumes ? start : 0);
  } finally {
    await handle.close();
  }
}

async function append({ http, file, signal, onProgress }: Job, response: Response, handle: FileHandle, start: number) {
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const totalBytes = Number.isNaN(length) ? file.sizeBytes : start + length;
  let doneBytes = start;
  let reportedAt = 0;
  const chunks = (response.body ?? new ReadableStream<Uint8Array>())[Symbol.asyncIterator]();
  const report = () => onProgress?.({ file: file.filename, doneBytes, totalBytes });
  for (;;) {
    // Only what the network does is a fault of HTTP; a full disk is none.
    const next = await chunks.next().catch((error: unknown) => {
      throw http.faultOf(error, signal);
    });
    if (next.done) break;
    await handle.writeFile(next.value);
    doneBytes += next.value.length;
    if (Date.now() - reportedAt < REPORT_MS) continue;
    reportedAt = Date.now();
    report();
  }
  report();
  if (totalBytes !== null && doneBytes < totalBytes) {
    throw new HttpFault(`cut off at byte ${doneBytes} of ${totalBytes}`, null);
  }
}

const validatorPath = (partial: string) => `${partial}.etag`;

/** A weak ETag proves nothing about bytes. */
async function rememberValidator(partial: string, url: string, { headers }: Response): Promise<void> {
  const etag = headers.get('etag');
  const value = etag !== null && !etag.startsWith('W/') ? etag : (headers.get('last-modified') ?? '');
  await writeFile(validatorPath(partial), `${new URL(url).host}\n${value}\n`);
}

const sizeOf = async (path: string) => (await stat(path).catch(() => null))?.size ?? 0;

const stopped = (filename: string) =>
  new JsgError('E_DOWNLOAD_FAILED', `${filename}: download stopped`, { hint: 'Started again, it goes on from there.' });
