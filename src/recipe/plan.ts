/**
 * The plan of a build: plain JSON, the same for the same recipe, variant and device. It says all that the runner does, and
 * nothing of how far it got. Paths are relative to the build folder, whose place the runner chooses; `{package}` at the
 * start of a path stands for jsg's own folder.
 */

/** The name in `--variant`. `seed`: the versions of the documented steps. */
export type VariantName = string;

export interface GitSource {
  kind: 'git';
  name: string;
  url: string;
  /** What `git clone -b` takes. */
  tag: string;
  /** Full hash that the tag's commit must have (`git rev-parse HEAD`). Null: not known, then the runner records what it got. */
  commit: string | null;
  /** Folder of the clone. */
  directory: string;
  submodules: Submodule[];
}

/** A submodule that the build needs; those not named are not fetched. */
export interface Submodule {
  /** Relative to the clone. */
  path: string;
  /** A file that is there once it is populated, relative to the clone: a submodule that was not fetched is an empty folder. */
  holds: string;
}

export interface PackageSource {
  kind: 'package';
  name: string;
  version: string | null;
  /** The index of wheels that it is fetched from before the steps; null: a step fetches it, by pip's own configuration. */
  index: WheelSource | null;
  /** Null: not pinned, then the runner records what it got. */
  sha256: string | null;
}

/** Wheels that jsg fetches itself, with all that they require: each verified by its sha256 and kept in jsg.lock.yaml. */
export interface WheelSource {
  /** Path on the index: `jp6/cu126`. */
  platform: string;
  /** The first mirror, as pip takes it; the others are asked where it does not answer. */
  url: string;
  /** Folder of the wheels. */
  directory: string;
}

export type Source = GitSource | PackageSource;

export interface Requirements {
  /** Oldest JetPack; null: none, or no Jetson. */
  jetpack: string | null;
  /** Oldest CUDA toolkit; null: not needed. */
  cuda: string | null;
  /** Range of Python's minor versions, both included: `['3.10', '3.12']`. */
  python: [oldest: string, newest: string];
  /** Commands that must be on PATH. */
  tools: string[];
  /** Python modules that must be importable in the environment before the first step (`torch`). */
  modules: string[];
  /** RAM and swap together that one job may take. */
  memoryBytes: number;
  diskBytes: number;
}

/** How many compilers run side by side. The runner may start fewer, never more. */
export interface Jobs {
  /** From cores and total memory of the device; at least 1. */
  count: number;
  memoryBytesPerJob: number;
}

export interface Step {
  /** Unique in the plan: `flashinfer/build-wheel`. */
  id: string;
  title: string;
  /** Name of the source that this step fetches: the runner does it in its own way, which verifies what is there already. */
  source: string | null;
  /** Why a command is not the document's, for a reader; null: it is, or speaks for itself. */
  note: string | null;
  /** Folder relative to the build folder, `.` for itself; the runner makes it only if `makeCwd`. */
  cwd: string;
  makeCwd: boolean;
  /**
   * The command, of PATH with the virtual environment first; never through a shell. `{jobs}` stands for the number of jobs,
   * and an argument with `*` for the newest file in `cwd` that it matches.
   */
  argv: string[];
  /** Besides the plan's environment. Values may hold `{jobs}`. */
  env: Record<string, string>;
  /** What the result depends on, besides command, environment and source commits: globs relative to the build folder. */
  inputs: string[];
  /** Python modules of the environment that the result depends on: a kernel compiled against one torch is not another's. */
  modules: string[];
  /** What must be there afterwards: globs relative to the build folder; each must match at least one file. */
  outputs: string[];
  /** Text that the command's output must hold: `Successfully installed flashinfer-0.2.0`. Null: none. */
  expects: string | null;
  timeoutMs: number;
}

/** How an artefact is proved. Globs are relative to the build folder. */
export type Check =
  /** The wheel's tag fits this Python and machine, and its size is not that of an incomplete one. */
  | { kind: 'wheel'; file: string; minBytes: number }
  /** At least `count` files of the wheel begin with `prefix`. */
  | { kind: 'contents'; file: string; prefix: string; count: number }
  /** Some binary of the wheel or installed package holds SASS of `sm`, compute capability times ten, or PTX it can take. */
  | { kind: 'sm'; file: string; sm: number }
  /** Imports in a clean interpreter of the environment, outside the build folder. */
  | {
      kind: 'import';
      module: string;
      version: string | null;
      /** Modules without which the import proves nothing, so that it is skipped and said so. */
      needs: string[];
    }
  /** torch was built for CUDA `cuda` (null: any, but not none) and lists `sm`. */
  | { kind: 'torch'; cuda: string | null; sm: number | null }
  /** Python code that launches a kernel and raises if the result is wrong; only where a GPU is. */
  | { kind: 'kernel'; title: string; code: string };

/** What the plan was made for: only facts that it depends on. */
export interface PlanDevice {
  /** `Jetson AGX Orin 64GB`, or the CPU's architecture. */
  name: string;
  isJetson: boolean;
  /** Node's name of the architecture: `x64`, `arm64`. */
  arch: string;
  l4t: string | null;
  jetpack: string | null;
  /** Minor version of the toolkit: `12.6`. */
  cuda: string | null;
  /** Minor version of Python: `3.10`. */
  python: string | null;
  /** Compute capability times ten: 87; null: no GPU known. */
  sm: number | null;
  /** Its path on the index of wheels, `jp6/cu126`; null: pip's own configuration decides, or there is none for this board. */
  platform: string | null;
  /** 0: not known. */
  cores: number;
  /** 0: not known. */
  memoryBytes: number;
}

export interface Plan {
  recipe: string;
  variant: VariantName;
  device: PlanDevice;
  /** What the reader must know before building: a range left, an SM that binaries lack. */
  warnings: string[];
  sources: Source[];
  requirements: Requirements;
  environment: Record<string, string>;
  jobs: Jobs;
  steps: Step[];
  /** Globs of what the build leaves for others: wheels, binaries. */
  outputs: string[];
  checks: Check[];
}

/** Whether any of it needs a virtual environment. */
export const usesPython = ({ steps, checks }: Plan): boolean =>
  checks.length > 0 || steps.some(({ argv: [program = ''] }) => /^(?:python|pip)3?$/.test(program));
