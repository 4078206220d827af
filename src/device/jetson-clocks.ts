/** What `jetson_clocks --show` prints, from R28 to R39. Pure. */

export interface ShownClock {
  minHz: number;
  maxHz: number;
  /** Null: not printed. */
  currentHz: number | null;
}

export interface ShownClocks {
  /** Of the cores that are on. */
  cpus: ShownClock[];
  /** One line `GPU`, or on Thor one of each `gpu-gpc-0` and `gpu-nvd-0`. */
  gpu: ShownClock[];
  /** `isOverridden`: null where the release prints no FreqOverride (R39). */
  emc: (ShownClock & { isOverridden: boolean | null }) | null;
  /** `NV Power Mode: MAXN`, the last line. */
  modeName: string | null;
}

/** Null: not such a text (an error message, say). */
export function parseClocksShow(text: string): ShownClocks | null {
  const shown: ShownClocks = { cpus: [], gpu: [], emc: null, modeName: null };
  const onlineCores = parseCoreList(/^\s*Online CPUs:([^,\n]*(?:,\s*\d[^,\n]*)*)/im.exec(text)?.[1] ?? '');
  for (const line of text.split('\n')) {
    const mode = /^\s*NV Power Mode\s*(?:\[\d+\])?:\s*([\w.+-]{1,40})/i.exec(line)?.[1];
    if (mode !== undefined) shown.modeName = mode;
    const clock = parseClock(line);
    if (clock === null) continue;
    const core = /^\s*cpu(\d+)\b/i.exec(line)?.[1];
    if (core !== undefined) {
      if (isOn(line, Number(core), onlineCores)) shown.cpus.push(inHertz(clock));
    } else if (/^\s*gpu\b/i.test(line)) shown.gpu.push(clock);
    else if (/^\s*emc\b/i.test(line)) shown.emc = { ...clock, isOverridden: parseOverride(line) };
  }
  const hasNone = shown.cpus.length === 0 && shown.gpu.length === 0 && shown.emc === null;
  return hasNone && shown.modeName === null ? null : shown;
}

function parseClock(line: string): ShownClock | null {
  const value = (name: string) => {
    const digits = new RegExp(`\\b${name}\\s*=\\s*(\\d+)`, 'i').exec(line)?.[1];
    return digits === undefined ? null : Number(digits);
  };
  const [minHz, maxHz] = [value('MinFreq'), value('MaxFreq')];
  return minHz === null || maxHz === null ? null : { minHz, maxHz, currentHz: value('CurrentFreq') };
}

/** Cores are printed in kHz, all else in Hz. */
function inHertz({ minHz, maxHz, currentHz }: ShownClock): ShownClock {
  return { minHz: minHz * 1000, maxHz: maxHz * 1000, currentHz: currentHz === null ? null : currentHz * 1000 };
}

/** `Online=` of the line, else the list at the top, else on. */
function isOn(line: string, core: number, onlineCores: number[]): boolean {
  const told = /\bOnline=(\d)/i.exec(line)?.[1];
  if (told !== undefined) return told === '1';
  return onlineCores.length === 0 || onlineCores.includes(core);
}

function parseOverride(line: string): boolean | null {
  const told = /\bFreqOverride\s*=\s*(\d)/i.exec(line)?.[1];
  return told === undefined ? null : told === '1';
}

/** `0-3,6` -> 0, 1, 2, 3, 6 */
function parseCoreList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last] = /^\s*(\d+)(?:-(\d+))?\s*$/.exec(part) ?? [];
    if (first === undefined) return [];
    const count = Math.min(Number(last ?? first) - Number(first) + 1, 1024);
    return Array.from({ length: Math.max(0, count) }, (_, i) => Number(first) + i);
  });
}
