/** Does this run in a container, and which? */
import type { Source } from './source.js';

export type Container = 'docker' | 'podman' | 'kubernetes' | 'lxc' | 'other';

/** Null: on the machine itself, as far as its files tell. */
export function probeContainer({ find, read }: Source): Container | null {
  const groups = read('/proc/self/cgroup') ?? read('/proc/1/cgroup') ?? '';
  if (/kubepods/.test(groups)) return 'kubernetes';
  if (find('/run/.containerenv') !== null) return 'podman';
  if (find('/.dockerenv') !== null || /\bdocker\b|\/docker[/-]/.test(groups)) return 'docker';
  if (/\/libpod[-_]/.test(groups)) return 'podman';
  if (/\/lxc[/.]/.test(groups)) return 'lxc';
  // Only root may read it; where it can be read it is the container's own word.
  const named = /^container=(\S+)$/m.exec(read('/proc/1/environ') ?? '')?.[1];
  if (named === undefined) return null;
  return named === 'docker' || named === 'podman' || named === 'lxc' ? named : 'other';
}
