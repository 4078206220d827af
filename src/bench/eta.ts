/** How far a run is, in words. Pure. */

/** `37 %, about 12 s left`; without a guess where there is nothing to guess from, or nothing left. */
export function describeProgress(fraction: number, elapsedMs: number): string {
  const percent = `${Math.floor(Math.min(1, fraction) * 100)} %`;
  if (fraction < 0.02 || fraction >= 1 || elapsedMs < 1000) return percent;
  return `${percent}, about ${describeSeconds((elapsedMs / 1000) * (1 / fraction - 1))} left`;
}

/** `12 s`, `3 min 20 s`, `2 h 5 min` */
export function describeSeconds(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  if (whole < 6000) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.round((whole % 3600) / 60)} min`;
}
