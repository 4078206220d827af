/** Everything the checks decide on. */
import type { Toolchain } from '../device/device.js';
import type { Machine } from '../device/machine.js';
import type { Python } from '../device/python.js';

/** Null: not looked at (the files of another machine are examined). */
export interface Facts extends Machine {
  toolchain: Toolchain | null;
  /** Interpreter, wheels and torch. */
  python: Python | null;
  addon: AddonFacts | null;
  store: StoreFacts | null;
  /** Null: the board's bandwidth is not known. */
  speed: SpeedFacts | null;
  /** The profile that readiness is asked for, then those with a documented speed. */
  profiles: ProfileFacts[];
}

/** What the byte model predicts for one stream, tokens a second. */
export interface SpeedFacts {
  /** `an 8B model in int4` */
  workload: string;
  /** In the current power mode; null: its bandwidth is not known. */
  now: number | null;
  /** In the highest mode of the active configuration. */
  atMax: number | null;
  /** In the highest mode after a Super flash; null: there is none for this module, or it is there already. */
  afterSuper: number | null;
}

export interface ProfileFacts {
  name: string;
  /** Whether it is the one that --profile names. */
  isAsked: boolean;
  /** What it takes, its load-time peak included, bytes; null: not known. */
  neededBytes: number | null;
  /** What there is for it, where its weights go, bytes; null: not known. */
  availableBytes: number | null;
  needsCuda: boolean;
  /** Why it is refused here whatever the memory; null: it is not. */
  refusal: string | null;
}

export interface AddonFacts {
  /** Why the addon does not load; null when it does. */
  fault: { message: string; hint: string | null } | null;
  /** Instruction sets it has kernels for here, best first. */
  isas: string[];
  /** Whether it was built with a CUDA backend. */
  hasCuda: boolean;
  /** `Orin (sm_87)`: the GPU that CUDA can use; null: none. */
  cudaDevice: string | null;
}

export interface StoreFacts {
  /** Where models are kept. */
  path: string;
  /** Whether the embedded default is there. */
  hasDefaultModel: boolean;
  /** Free space there; null: not known. */
  freeBytes: number | null;
}
