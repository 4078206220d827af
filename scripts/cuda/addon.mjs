// Reads what cuobjdump and readelf print of an addon. Pure functions over text.

/**
 * How many cubins or PTX texts there are for each architecture, from `cuobjdump --list-elf` or `--list-ptx`. One in the
 * order of its file: `ELF file    1: jsg.1.sm_87.cubin`.
 * @returns {Map<string, number>}
 */
export function listedArchs(text) {
  const counts = new Map();
  for (const [, arch] of text.matchAll(/\.sm_(\w+)\.(?:cubin|ptx)$/gm)) counts.set(arch, (counts.get(arch) ?? 0) + 1);
  return counts;
}

/** One line for each wanted architecture that is not there, or is in fewer kernel files than another; 90a counts as 90. */
export function missingArchs(counts, wanted) {
  const numFiles = new Map();
  for (const [arch, count] of counts) {
    const plain = arch.replace(/a$/, '');
    numFiles.set(plain, (numFiles.get(plain) ?? 0) + count);
  }
  const most = Math.max(1, ...numFiles.values());
  return wanted
    .filter((arch) => (numFiles.get(arch) ?? 0) < most)
    .map((arch) => `sm_${arch} is in ${numFiles.get(arch) ?? 0} of ${most} kernel files`);
}

/** The libraries of CUDA or its driver that `readelf -d` names as needed. */
export function cudaLibraries(text) {
  return [...text.matchAll(/\(NEEDED\).*\[(lib(?:cu|nv)[^\]]*)\]/g)].map(([, name]) => name);
}
