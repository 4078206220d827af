/** Why a server that jsg supervises is gone, as the error a person is told. Pure. */
import type { Explanation } from '../doctor/failures.js';
import { type ErrorCode, JsgError } from '../errors.js';

export interface Ended {
  exitCode: number | null;
  signal: string | null;
  /** It was ended because it showed no progress for so long. */
  hungForMs: number | null;
}

/** By id of the known failure; what is not here ends as E_ENGINE_FAILED. */
const CODES: Record<string, ErrorCode> = {
  'port-in-use': 'E_PORT_IN_USE',
  'memory-killed': 'E_OUT_OF_MEMORY',
  'host-memory': 'E_OUT_OF_MEMORY',
  'cuda-oom': 'E_OUT_OF_MEMORY',
  'nvmap-alloc': 'E_OUT_OF_MEMORY',
  'kv-cache-too-small': 'E_OUT_OF_MEMORY',
  'no-kernel-image': 'E_DEVICE_UNSUITABLE',
  'cuda-unavailable': 'E_DEVICE_UNSUITABLE',
  'torch-cpu-wheel': 'E_DEVICE_UNSUITABLE',
  'sgl-kernel-arch-missing': 'E_DEVICE_UNSUITABLE',
  'torch-arch-missing': 'E_DEVICE_UNSUITABLE',
  'attention-backend': 'E_DEVICE_UNSUITABLE',
  'hf-access': 'E_DOWNLOAD_FAILED',
  'hub-unreachable': 'E_DOWNLOAD_FAILED',
  'model-not-found': 'E_MODEL_NOT_FOUND',
  'tokenizer-missing': 'E_MODEL_NOT_FOUND',
  'weights-corrupt': 'E_MODEL_INVALID',
  'flag-unknown': 'E_USAGE',
};

/** The next attempt would end in the same way. */
const FOR_GOOD: readonly ErrorCode[] = ['E_USAGE', 'E_DEVICE_UNSUITABLE', 'E_MODEL_NOT_FOUND', 'E_MODEL_INVALID'];

export interface Outcome {
  error: JsgError;
  /** Whether starting it again may help. */
  mayRecover: boolean;
}

/**
 * `during`: `loading weights (99 %)` or `serving`. `known`: what the log tells, the cause first. `logPath`: where all of it
 * is. `lastLines`: shown where nothing is known.
 */
export function outcomeOf(
  { exitCode, signal, hungForMs }: Ended,
  name: string,
  during: string,
  known: Explanation[],
  log: { path: string; lastLines: string[] },
): Outcome {
  const [cause] = known;
  const killed = signal === 'SIGKILL' || exitCode === 137;
  const how =
    hungForMs !== null
      ? `${name} showed no progress for ${Math.round(hungForMs / 1000)} s while ${during} and was ended`
      : `${name} ended while ${during} (${signal ?? `exit code ${exitCode ?? 'unknown'}`})`;
  const code = codeOf(cause, killed && hungForMs === null);
  if (cause !== undefined) {
    const message = `${how}: ${cause.line}\n     why: ${cause.why}`;
    const hint = `fix: ${cause.fix.replaceAll('\n', '\n          ')}\n     The whole log: ${log.path}`;
    return { error: new JsgError(code, message, { hint }), mayRecover: !FOR_GOOD.includes(code) };
  }
  const hint = [killed && hungForMs === null ? KILLED : '', `The whole log: ${log.path}`]
    .filter(Boolean)
    .join('\n     ');
  const last = log.lastLines.map((line) => `\n     | ${line}`).join('');
  return { error: new JsgError(code, `${how}${last}`, { hint }), mayRecover: true };
}

const KILLED =
  'Nobody but the kernel sends SIGKILL unasked: memory ran out, most likely (sudo dmesg -T | grep -i "killed process"; jsg plan --this).';

function codeOf(cause: Explanation | undefined, killed: boolean): ErrorCode {
  if (cause !== undefined) return CODES[cause.finding] ?? 'E_ENGINE_FAILED';
  return killed ? 'E_OUT_OF_MEMORY' : 'E_ENGINE_FAILED';
}
