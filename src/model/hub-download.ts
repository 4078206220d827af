/** One file of the hub into the cache's blobs: goes on where it was cut off, and is not believed until its hash is right. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { JsgError } from '../errors.js';
import { makeDirectory } from '../files.js';
import { log } from '../log.js';
import type { HubFile } from './hf-hub.js';
import { type HubClient, HubUnreachableError } from './hub-client.js';
import type { LoadModelOptions } from './load-options.js';
import { fileError, quote } from './model-error.js';

const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 500;
/** A connection that says nothing for so long is given up. */
const MAX_SILENCE_MS = 30_000;
const REPORT_MS = 100;

export interface HubSource {
  client: HubClient;
  name: string;
  commit: string;
  /** The cache's directory of blobs. */
  blobs: string;
}

type Options = Pick<LoadModelOptions, 'onProgress' | 'signal'>;

/** Path of the blob. Throws E_DOWNLOAD_FAILED, E_CHECKSUM_MISMATCH or E_IO_FAILED. */
export async function downloadBlob(source: HubSource, file: HubFile, options: Options): Promise<string> {
  const blob = join(source.blobs, blobName(file));
  if ((await sizeOf(blob)) === file.size) return blob;
  try {
    makeDirectory(source.blobs);
    const partial = await claimPartial(source.blobs, blobName(file));
    try {
      await fill(source, file, partial, options);
      await rename(partial, blob);
    } catch (error) {
      // What has come is kept for the next start, under the name that any process may take over.
      if ((await sizeOf(partial)) !== null) await rename(partial, `${blob}.incomplete`);
      throw error;
    } finally {
      // Only now: another load of this process would take over a file that nobody fills.
      active.delete(partial);
    }
    return blob;
  } catch (error) {
    throw error instanceof JsgError ? error : fileError(blob, error);
  }
}

/** sha256 for files in LFS, git's sha1 for the others: the cache names blobs by it. */
function blobName({ lfs, oid, path }: HubFile): string {
  const name = lfs?.oid ?? oid ?? '';
  if (/^[0-9a-f]{40}([0-9a-f]{24})?$/.test(name)) return name;
  throw new JsgError('E_DOWNLOAD_FAILED', `the hub names no hash for ${quote(path)}`);
}

async function sizeOf(path: string): Promise<number | null> {
  return (await stat(path).catch(() => null))?.size ?? null;
}

/** Partial files that this process is filling: those of its pid that are not here are of an earlier process. */
const active = new Set<string>();
let numClaims = 0;

/**
 * A partial file of this download alone. One that an earlier start left behind is taken over by renaming it, which only
 * one process can; those of processes that still run are let be.
 */
async function claimPartial(blobs: string, name: string): Promise<string> {
  const own = join(blobs, `${name}.incomplete-${process.pid}-${numClaims++}`);
  active.add(own);
  for (const candidate of await readdir(blobs)) {
    const path = join(blobs, candidate);
    const match = /^([0-9a-f]+)\.incomplete(?:-(\d+)-\d+)?$/.exec(candidate);
    if (match?.[1] !== name || active.has(path) || isRunning(Number(match[2] ?? process.pid))) continue;
    const isOurs = await rename(path, own).then(
      () => true,
      () => false,
    );
    if (isOurs) break;
  }
  return own;
}

/** Whether another process has this pid. */
function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Fetches what the partial file lacks, over several connections if need be, and checks the whole. */
async function fill(source: HubSource, file: HubFile, partial: string, options: Options): Promise<void> {
  const resumedFrom = (await sizeOf(partial)) ?? 0;
  if (resumedFrom > file.size) await rm(partial);
  try {
    await fetchAll(source, file, partial, options);
    await verify(file, partial, options);
  } catch (error) {
    const isDamaged = error instanceof JsgError && error.code === 'E_CHECKSUM_MISMATCH';
    if (isDamaged) await rm(partial, { force: true });
    if (!isDamaged || resumedFrom === 0) throw error;
    // What an earlier start left may be at fault: once more, from nothing.
    log.warning(`${file.path}: the part downloaded earlier was damaged; downloading it again`);
    await fetchAll(source, file, partial, options);
    await verify(file, partial, options).catch(async (again) => {
      await rm(partial, { force: true });
      throw again;
    });
  }
}

async function fetchAll(source: HubSource, file: HubFile, partial: string, options: Options): Promise<void> {
  let failures = 0;
  for (;;) {
    const before = (await sizeOf(partial)) ?? 0;
    if (before === file.size && before > 0) return;
    try {
      await fetchRest(source, file, partial, options);
      return;
    } catch (error) {
      const after = (await sizeOf(partial)) ?? 0;
      failures = after > before ? 1 : failures + 1;
      if (!(error instanceof HubUnreachableError) || failures >= ATTEMPTS) throw error;
      log.debug(`${file.path}: ${error.message}; going on at byte ${after}`);
      await setTimeout(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { signal: options.signal }).catch((stop) => {
        throw source.client.networkError(stop);
      });
    }
  }
}

/** One connection: appends to the partial file until the body ends. */
async function fetchRest(source: HubSource, file: HubFile, partial: string, options: Options): Promise<void> {
  const { client, name, commit } = source;
  const start = (await sizeOf(partial)) ?? 0;
  const silence = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, silence.signal]) : silence.signal;
  const giveUp = () => silence.abort(new Error(`silent for ${MAX_SILENCE_MS / 1000} s`));
  const timer = globalThis.setTimeout(giveUp, MAX_SILENCE_MS);
  let handle: FileHandle | undefined;
  try {
    const response = await client.open(name, commit, file.path, start, signal);
    const resumes = response.headers.get('content-range')?.startsWith(`bytes ${start}-`) ?? false;
    if (start > 0 && !resumes) log.debug(`${file.path}: the hub doesn't resume; starting again`);
    handle = await open(partial, resumes ? 'a' : 'w');
    await append(response, handle, file, resumes ? start : 0, options, () => timer.refresh());
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === 'write' ? fileError(partial, error) : client.networkError(error);
  } finally {
    clearTimeout(timer);
    await handle?.close();
  }
}

async function append(
  response: Response,
  handle: FileHandle,
  file: HubFile,
  start: number,
  { onProgress }: Options,
  onBytes: () => void,
): Promise<void> {
  let doneBytes = start;
  let reportedAt = 0;
  const report = () => onProgress?.({ stage: 'download', file: file.path, doneBytes, totalBytes: file.size });
  for await (const chunk of response.body ?? []) {
    onBytes();
    doneBytes += chunk.length;
    if (doneBytes > file.size) {
      throw new JsgError('E_CHECKSUM_MISMATCH', `${file.path}: longer than the ${file.size} bytes that the hub lists`);
    }
    await handle.writeFile(chunk);
    if (Date.now() - reportedAt >= REPORT_MS) {
      reportedAt = Date.now();
      report();
    }
  }
  report();
  if (doneBytes < file.size) {
    throw new HubUnreachableError('E_DOWNLOAD_FAILED', `${file.path}: cut off at byte ${doneBytes} of ${file.size}`, {
      hint: 'start again: the download goes on from there',
    });
  }
}

async function verify(file: HubFile, partial: string, { onProgress, signal }: Options): Promise<void> {
  const expected = blobName(file);
  const hash = hashFor(file);
  let doneBytes = 0;
  for await (const chunk of createReadStream(partial, { highWaterMark: 1 << 20, signal })) {
    hash.update(chunk as Buffer);
    doneBytes += (chunk as Buffer).length;
    onProgress?.({ stage: 'verify', file: file.path, doneBytes, totalBytes: file.size });
  }
  const got = hash.digest('hex');
  if (got === expected) return;
  const kind = file.lfs ? 'sha256' : 'git hash';
  throw new JsgError('E_CHECKSUM_MISMATCH', `${file.path}: ${kind} is ${got}, expected ${expected}`, {
    hint: 'the file was altered on the way: check the proxy and HF_ENDPOINT, then start again',
  });
}

/** Git hashes a blob with its length before it. */
function hashFor(file: HubFile): Hash {
  return file.lfs ? createHash('sha256') : createHash('sha1').update(`blob ${file.size}\0`);
}
