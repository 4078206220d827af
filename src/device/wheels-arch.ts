/** Does code that was compiled for some GPUs run on this one? */

export interface GpuTarget {
  /** Compute capability times ten: 87 is 8.7. */
  arch: number;
  /** Jetson GPUs do not take the machine code of their discrete relatives: sm_80 is no help on sm_87. */
  isTegra: boolean;
}

/** `sass`, `ptx`: architectures such as `87`, `90a`, `110f`. Rules of the CUDA programming guide, compatibility. */
export function runsOn({ sass, ptx }: { sass: string[]; ptx: string[] }, gpu: GpuTarget): boolean {
  return sass.some((arch) => sassRunsOn(arch, gpu)) || ptx.some((arch) => ptxRunsOn(arch, gpu));
}

function sassRunsOn(text: string, gpu: GpuTarget): boolean {
  const { arch, suffix } = partsOf(text);
  if (arch === gpu.arch) return true;
  if (suffix === 'a' || gpu.isTegra) return false;
  return major(arch) === major(gpu.arch) && arch < gpu.arch;
}

function ptxRunsOn(text: string, gpu: GpuTarget): boolean {
  const { arch, suffix } = partsOf(text);
  if (suffix === 'a') return arch === gpu.arch;
  if (suffix === 'f') return major(arch) === major(gpu.arch) && arch <= gpu.arch;
  return arch <= gpu.arch;
}

const partsOf = (text: string) => ({ arch: Number.parseInt(text, 10), suffix: /[af]$/.exec(text)?.[0] ?? null });
const major = (arch: number) => Math.floor(arch / 10);

/** torch.cuda.get_arch_list(): `sm_87` is machine code, `compute_90` is PTX. */
export function codeOfArchList(list: string[]): { sass: string[]; ptx: string[] } {
  const of = (prefix: string) =>
    list.filter((entry) => entry.startsWith(prefix)).map((entry) => entry.slice(prefix.length));
  return { sass: of('sm_'), ptx: of('compute_') };
}
