/** What a check of an artefact comes to, and what it may use. */
import type { CommandResult } from '../command.js';

export interface Finding {
  /** `skipped`: what it takes is not here, which `detail` names. `unknown`: it was looked at and could not be told. */
  status: 'passed' | 'failed' | 'skipped' | 'unknown';
  /** What was seen: `demo-0.2.0-py3-none-any.whl, 3.2 MB`. */
  detail: string;
}

export const passed = (detail: string): Finding => ({ status: 'passed', detail });
export const failed = (detail: string): Finding => ({ status: 'failed', detail });
export const skipped = (detail: string): Finding => ({ status: 'skipped', detail });
export const unknown = (detail: string): Finding => ({ status: 'unknown', detail });

export interface CheckContext {
  build: string;
  /** Runs code in a clean interpreter of the environment, in an empty folder: nothing of the build is imported by accident. */
  python: (code: string, ...args: string[]) => Promise<CommandResult>;
  /** Of the board; null: no GPU is known. */
  sm: number | null;
  isTegra: boolean;
}

/** The value that the code prints behind this word, whatever else its imports print. */
export const ANSWER = 'jsg-answer:';
export const answerOf = ({ tail }: CommandResult): string | null =>
  tail.findLast((line) => line.startsWith(ANSWER))?.slice(ANSWER.length) ?? null;

/** How code failed: its last line. */
export const faultOf = ({ timedOut, tail, startError }: CommandResult): string =>
  timedOut ? 'no answer in time' : (startError ?? tail.at(-1) ?? 'it ended without a word');

/** `12.3 MB` */
export const megabytes = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} KB` : `${(bytes / 1e6).toFixed(1)} MB`;
