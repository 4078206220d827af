/** An engine starts something that answers at a URL. */
import type { Device } from '../device/device.js';
import type { FlagName, Settings } from '../profile/flags.js';

export interface Running {
  /** `http://127.0.0.1:30000` */
  url: string;
  /** The name that answers carry. */
  modelName: string;
  /** Resolves when serving has ended after `stop`; rejects with E_RUNTIME_FAILED when the runtime died. */
  done: Promise<void>;
  /** Takes no more requests, lets running ones finish within the drain time, frees everything. Idempotent. */
  stop(): Promise<void>;
}

/** Told what is going on while an engine starts. */
export interface Progress {
  /** A phase begins: `loading weights`. */
  begin(phase: string): void;
  /** How far it is, 0..1, and what is at work where a phase has several parts. */
  update(fraction: number, part?: string): void;
  /** It ended, with what is worth knowing: `98.1 MB in 0.2 s`. */
  end(outcome: string): void;
  /** It failed; the error follows. */
  fail(): void;
}

export const SILENT: Progress = { begin() {}, update() {}, end() {}, fail() {} };

export interface StartOptions {
  /** What the plan says does not fit is tried all the same. */
  force?: boolean;
  /** The settings that the user or the profile chose: what they left open SGLang decides itself. */
  given?: ReadonlySet<FlagName>;
  /** For the page of the native server. */
  profileName?: string | null;
  /** Flags of SGLang that jsg does not know. */
  extraArgs?: string[];
  /** Ends a start of SGLang, which takes minutes. */
  signal?: AbortSignal;
}

export interface Engine {
  /** Resolves when the URL answers. Throws the table's errors; leaves nothing running then. */
  start(settings: Settings, device: Device, progress: Progress, options?: StartOptions): Promise<Running>;
}

/** The engine a launch asks for. Engines are loaded when chosen: the native one brings the addon. */
export async function selectEngine(name: Settings['engine']): Promise<Engine> {
  return name === 'native' ? (await import('./native.js')).nativeEngine : (await import('./sglang.js')).sglangEngine;
}
