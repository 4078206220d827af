/** What `jsg doctor --json` prints. A script may rely on these fields; null: not known, or not there. */
import { isJetson } from '../device/machine.js';
import { isSuperAvailable } from './checks/super.js';
import type { Facts } from './facts.js';
import type { Finding } from './finding.js';

export function toJson(facts: Facts, findings: Finding[]) {
  const { device, board, release, libraries, power, clocks, swap, python } = facts;
  const torch = python?.torch ?? null;
  return {
    board: board && {
      name: board.name,
      part_number: board.partNumber,
      model: board.model,
      soc: board.soc,
      super: board.isSuper,
      ram_gib: board.ramGib,
    },
    l4t: release.l4t,
    jetpack: release.jetpack,
    jetpack_package: release.jetpackPackage,
    cuda: libraries.cuda,
    cudnn: libraries.cudnn,
    tensorrt: libraries.tensorrt,
    os: device.os?.name ?? device.platform,
    kernel: device.kernel,
    power_mode: power?.current ?? null,
    max_power_mode: power?.max?.name ?? null,
    is_max_performance: power?.isMax ?? null,
    jetson_clocks_locked: clocks?.isLocked ?? null,
    super_available: isJetson(facts) ? isSuperAvailable(facts) : null,
    memory: {
      total_bytes: device.memory.totalBytes || null,
      available_bytes: device.memory.availableBytes,
      cgroup_limit_bytes: device.memory.cgroupLimitBytes,
      swap_bytes: swap?.totalBytes ?? null,
      zram_bytes: swap?.zramBytes ?? null,
    },
    torch: torch && { version: torch.version, cuda_available: torch.cudaAvailable, arch_list: torch.archList },
    checks: findings.map(({ id, status, found, expected, why, fix }) => ({ id, status, found, expected, why, fix })),
    ok: findings.every(({ status }) => status !== 'fail'),
  };
}
