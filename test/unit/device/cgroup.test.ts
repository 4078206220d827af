import { describe, expect, it } from 'vitest';
import { cgroupCpuLimit, cgroupMemory } from '../../../src/device/cgroup.js';

const reader = (files: Record<string, string>) => (path: string) => files[path] ?? null;

describe('limits of a cgroup', () => {
  it('v2: a parent binds as well, and cache that can be given back counts as free', () => {
    const read = reader({
      '/proc/self/cgroup': '0::/user.slice/job\n',
      '/sys/fs/cgroup/user.slice/job/memory.max': 'max\n',
      '/sys/fs/cgroup/user.slice/memory.max': '1000000\n',
      '/sys/fs/cgroup/user.slice/memory.current': '600000\n',
      '/sys/fs/cgroup/user.slice/memory.stat': 'anon 1\ninactive_file 200000\n',
      '/sys/fs/cgroup/user.slice/job/cpu.max': '300000 100000\n',
      '/sys/fs/cgroup/user.slice/cpu.max': '150000 100000\n',
    });
    expect(cgroupMemory(read)).toEqual({ limitBytes: 1000000, availableBytes: 600000 });
    expect(cgroupCpuLimit(read)).toBe(1.5);
  });

  it('v2 in a container: the own group is the root of the mount', () => {
    const read = reader({
      '/proc/self/cgroup': '0::/../../elsewhere\n',
      '/sys/fs/cgroup/memory.max': '500\n',
      '/sys/fs/cgroup/memory.current': '100\n',
    });
    expect(cgroupMemory(read)).toEqual({ limitBytes: 500, availableBytes: 400 });
  });

  it('v1', () => {
    const read = reader({
      '/proc/self/cgroup': '4:memory:/job\n2:cpu,cpuacct:/job\n',
      '/sys/fs/cgroup/memory/job/memory.limit_in_bytes': '2000\n',
      '/sys/fs/cgroup/memory/job/memory.usage_in_bytes': '500\n',
      '/sys/fs/cgroup/memory/memory.limit_in_bytes': '9223372036854771712\n',
      '/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us': '100000\n',
      '/sys/fs/cgroup/cpu/job/cpu.cfs_period_us': '100000\n',
    });
    expect(cgroupMemory(read)).toEqual({ limitBytes: 2000, availableBytes: 1500 });
    expect(cgroupCpuLimit(read)).toBe(1);
  });

  it('none', () => {
    expect(cgroupMemory(reader({}))).toBeNull();
    expect(cgroupCpuLimit(reader({}))).toBeNull();
  });
});
