/** May this user open the GPU's device nodes? */
import { accessSync, constants } from 'node:fs';
import { userInfo } from 'node:os';
import type { Source } from './source.js';

export interface GpuAccess {
  /** Nodes that are there. */
  nodes: string[];
  /** Those that this user may not open for reading and writing; null: another machine's, so not tried. */
  closed: string[] | null;
  user: string;
  /** Groups that own such nodes on a Jetson and that this user is not in; null: not known. */
  missingGroups: string[] | null;
}

/** JetPack 4 and 5, then the open driver of 6 and later, then desktop and server GPUs. */
const NODES = [
  '/dev/nvhost-gpu',
  '/dev/nvhost-ctrl-gpu',
  '/dev/nvmap',
  '/dev/nvgpu/igpu0/ctrl',
  '/dev/nvidia0',
  '/dev/nvidiactl',
];
const GROUPS = ['video', 'render'];

export function probeGpuAccess({ find, read, isHere }: Source): GpuAccess {
  const nodes = NODES.filter((path) => find(path) !== null);
  return {
    nodes,
    closed: isHere ? nodes.filter((path) => !mayOpen(path)) : null,
    user: isHere ? userName() : 'you',
    missingGroups: isHere ? missingGroups(read('/etc/group') ?? '', process.getgroups?.() ?? []) : null,
  };
}

function mayOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return '$USER'; // no entry in /etc/passwd, as in many containers
  }
}

/** Groups that exist here and are not among those of this process (root needs none). */
export function missingGroups(groupFile: string, groupIds: number[]): string[] {
  if (groupIds.includes(0)) return [];
  return GROUPS.filter((name) => {
    const id = new RegExp(`^${name}:[^:]*:(\\d+):`, 'm').exec(groupFile)?.[1];
    return id !== undefined && !groupIds.includes(Number(id));
  });
}
