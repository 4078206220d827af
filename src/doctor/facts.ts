/** Everything the checks decide on. */
import type { Device, Toolchain } from '../device/device.js';

/** Null: not looked at (the files of another machine are examined). */
export interface Facts {
  device: Device;
  toolchain: Toolchain | null;
  addon: AddonFacts | null;
  store: StoreFacts | null;
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
