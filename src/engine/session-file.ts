/**
 * The prefix cache from one life of a server to the next: a file of one line that says whose KV it is, and then of blocks,
 * which native/runtime/session.h writes and reads.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { CONTRACT, type RuntimeSpec } from '../addon/binding.js';
import type { Runtime } from '../addon/runtime.js';
import { JsgError, toJsgError } from '../errors.js';
import { log } from '../log.js';
import { replaceFile } from '../model/replace-file.js';
import type { Settings } from '../profile/flags.js';

/** What KV must have in common. */
export interface SessionIdentity {
  weights: string;
  backend: string;
  'type of activations': string;
  'type of KV': string;
  'bytes of KV a token': number;
  'byte order': string;
  'format of the runtime': number;
}

const MAGIC = 'jsg session ';
const MAX_HEADER_BYTES = 64 * 1024;
/** How long an end waits for the runtime to have heard of the last request. */
const REST_TIMEOUT_MS = 5_000;

export class SessionFile {
  constructor(
    private readonly path: string,
    private readonly identity: SessionIdentity,
  ) {}

  /** Fills the cache, or says why not and goes on without. Throws only where the runtime has failed. */
  async restore(runtime: Pick<Runtime, 'loadCache' | 'failure'>): Promise<void> {
    const begin = performance.now();
    try {
      const offset = await this.#checkHeader();
      if (offset === null) return;
      const tokens = await runtime.loadCache({ path: this.path, offset });
      log.info(`session: ${tokens} tokens from ${this.path} in ${seconds(begin)}`);
    } catch (error) {
      if (runtime.failure) throw error;
      log.warning(`session: ${this.path} is not used, and will be replaced: ${toJsgError(error).message}`);
    }
  }

  /** Replaces the file by what is cached now; its tokens. Throws E_UNAVAILABLE while requests run, E_IO_FAILED. */
  async save(runtime: Pick<Runtime, 'saveCache'>): Promise<number> {
    const begin = performance.now();
    const header = Buffer.from(`${MAGIC}${JSON.stringify(this.identity)}\n`);
    let tokens = 0;
    try {
      await replaceFile(this.path, async (path) => {
        tokens = await runtime.saveCache({ path, header });
      });
    } catch (error) {
      if (error instanceof JsgError) throw error;
      throw new JsgError('E_IO_FAILED', `${this.path}: ${(error as Error).message}`, { cause: error });
    }
    log.info(`session: ${tokens} tokens to ${this.path} in ${seconds(begin)}`);
    return tokens;
  }

  /** For the end of a runtime, which a full disk must not keep from ending. */
  async saveAtEnd(runtime: Pick<Runtime, 'saveCache' | 'residency'>): Promise<void> {
    // It was saved when the model was unloaded.
    if (runtime.residency === 'unloaded') return;
    const end = performance.now() + REST_TIMEOUT_MS;
    for (;;) {
      try {
        await this.save(runtime);
        return;
      } catch (error) {
        const isEarly = error instanceof JsgError && error.code === 'E_UNAVAILABLE' && performance.now() < end;
        if (!isEarly) {
          log.warning(`session: not saved: ${toJsgError(error).message}`);
          return;
        }
      }
      await sleep(10);
    }
  }

  /** There is nothing to go on with. */
  async forget(): Promise<void> {
    try {
      await rm(this.path, { force: true });
    } catch (error) {
      log.warning(`session: ${this.path} could not be removed: ${(error as Error).message}`);
    }
  }

  /** Its length; null where there is no file yet. Throws E_MODEL_INVALID naming the first difference. */
  async #checkHeader(): Promise<number | null> {
    const line = await readLine(this.path);
    if (line === null) return null;
    const theirs = parseHeader(line);
    for (const [what, ours] of Object.entries(this.identity)) {
      if (theirs[what] === ours) continue;
      const detail = what === 'weights' ? '' : ` (${theirs[what]}, here ${ours})`;
      throw new JsgError('E_MODEL_INVALID', `it is of another model or setting: its ${what} differ${detail}`);
    }
    return line.length;
  }
}

/** Throws E_USAGE where a session is asked for and nothing would be in it. */
export function requireCacheForSession(settings: Pick<Settings, 'session-file' | 'disable-radix-cache'>): void {
  if (settings['session-file'] === null || !settings['disable-radix-cache']) return;
  throw new JsgError('E_USAGE', '--session-file keeps the prefix cache, which --disable-radix-cache does without');
}

async function readLine(path: string): Promise<Buffer | null> {
  let file: FileHandle;
  try {
    file = await open(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_HEADER_BYTES), 0, MAX_HEADER_BYTES, 0);
    return buffer.subarray(0, buffer.subarray(0, bytesRead).indexOf('\n') + 1);
  } finally {
    await file.close();
  }
}

function parseHeader(line: Buffer): Record<string, unknown> {
  const text = line.toString();
  try {
    if (text.startsWith(MAGIC)) return JSON.parse(text.slice(MAGIC.length));
  } catch {
    // As one that is no session file.
  }
  throw new JsgError('E_MODEL_INVALID', 'it is no session file');
}

export async function sessionIdentity(spec: RuntimeSpec, kvBytesPerToken: number): Promise<SessionIdentity> {
  return {
    weights: await fingerprintOf(spec),
    backend: spec.backend,
    'type of activations': spec.dtype,
    'type of KV': spec.kvCacheDtype,
    'bytes of KV a token': kvBytesPerToken,
    'byte order': endianness(),
    'format of the runtime': CONTRACT,
  };
}

/** Of each tensor's data: the first bytes, the last, and some in between. Training changes all of them. */
const SAMPLES = 5;
const SAMPLE_BYTES = 512;

/** Of the shape, of how weights are loaded, and of samples of every tensor: a thousandth of reading them all. */
export async function fingerprintOf(
  spec: Pick<RuntimeSpec, 'config' | 'files' | 'tensors' | 'loadFormat'>,
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([spec.config, spec.tensors, spec.loadFormat]));
  if (spec.loadFormat === 'dummy') return hash.digest('hex');
  const sample = Buffer.alloc(SAMPLE_BYTES);
  for (const [index, path] of spec.files.entries()) {
    const file = await open(path);
    try {
      for (const tensor of spec.tensors) {
        if (tensor.file !== index) continue;
        for (let i = 0; i < SAMPLES; i++) {
          const last = Math.max(0, tensor.nbytes - SAMPLE_BYTES);
          const at = tensor.offset + Math.floor((last * i) / (SAMPLES - 1));
          const { bytesRead } = await file.read(sample, 0, Math.min(SAMPLE_BYTES, tensor.nbytes), at);
          hash.update(sample.subarray(0, bytesRead));
        }
      }
    } finally {
      await file.close();
    }
  }
  return hash.digest('hex');
}

function seconds(begin: number): string {
  return `${((performance.now() - begin) / 1000).toFixed(2)} s`;
}
