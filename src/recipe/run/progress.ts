/** How far a build is, read from its output: ninja, CMake's makefiles, git. Pure. */

const GIT = /^(?:remote: )?(?:Receiving objects|Resolving deltas|Updating files):\s+(\d{1,3})%/;

/** Share done, 0 to 1; null where a line tells nothing. */
export function shareOf(line: string): number | null {
  const ninja = /^\s*\[(\d{1,9})\/(\d{1,9})\]/.exec(line);
  if (ninja) return ratio(Number(ninja[1]), Number(ninja[2]));
  const percent = /^\s*\[\s*(\d{1,3})%\]/.exec(line) ?? GIT.exec(line);
  return percent ? ratio(Number(percent[1]), 100) : null;
}

const ratio = (done: number, all: number) => (all > 0 && done <= all ? done / all : null);

/** Seconds left at the pace so far; null before there is a pace to go by. */
export function etaSeconds(share: number | null, elapsedMs: number): number | null {
  if (share === null || share <= 0.02 || elapsedMs < 1000) return null;
  return Math.round((elapsedMs * (1 - share)) / share / 1000);
}

/** `42 % · 1m 05s · 1m 30s left` */
export function progressText(share: number | null, elapsedMs: number): string {
  const eta = etaSeconds(share, elapsedMs);
  return [
    ...(share === null ? [] : [`${Math.floor(share * 100)} %`]),
    durationText(elapsedMs / 1000),
    ...(eta === null ? [] : [`${durationText(eta)} left`]),
  ].join(' · ');
}

/** `45s`, `1m 05s`, `2h 03m` */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}
