/** The desktop: whether one runs, and what it holds in memory. */
import type { Source } from './source.js';

export interface Desktop {
  isRunning: boolean;
  /** Whether the board starts one at boot; null: not told. */
  startsAtBoot: boolean | null;
  /** Anonymous memory of its processes, bytes: what ending them gives back. */
  bytes: number;
}

/** Names as /proc/PID/comm has them, cut at 15 characters. */
const PROCESSES =
  /^(?:Xorg|Xwayland|gnome-shell|gdm3?|gdm-[\w-]+|lightdm|sddm|compiz|unity-\w+|nautilus.*|gnome-\w+|xfce4-\w+|lxqt-\w+|lxpanel|evolution-\w*|gsd-[\w-]+|tracker-\w+|update-\w+|snap-store)$/;
const SESSION = /^(?:Xorg|Xwayland|gnome-shell|gdm3?|lightdm|sddm|weston)$/;

export function probeDesktop(source: Pick<Source, 'read' | 'list' | 'link'>): Desktop {
  const processes = source
    .list('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => ({ pid, name: source.read(`/proc/${pid}/comm`)?.trim() ?? '' }))
    .filter(({ name }) => PROCESSES.test(name) || SESSION.test(name));
  const target = source.link('/etc/systemd/system/default.target') ?? source.link('/lib/systemd/system/default.target');
  return {
    isRunning: processes.some(({ name }) => SESSION.test(name)),
    startsAtBoot: target === null ? null : /graphical\.target$/.test(target),
    bytes: processes.reduce((sum, { pid }) => sum + anonymousBytes(source.read(`/proc/${pid}/status`) ?? ''), 0),
  };
}

function anonymousBytes(status: string): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}
