/** What nvidia-smi tells of discrete GPUs while it runs: a line a GPU, again and again. Pure. */

/** Arguments of nvidia-smi for a line every `intervalMs`. */
export const smiArguments = (intervalMs: number): string[] => [
  `--query-gpu=${FIELDS.join(',')}`,
  '--format=csv,noheader,nounits',
  `--loop-ms=${intervalMs}`,
];

const FIELDS = [
  'index',
  'power.draw',
  'clocks.sm',
  'clocks.mem',
  'temperature.gpu',
  'clocks_throttle_reasons.active',
] as const;

export interface SmiSample {
  index: number;
  /** Null: not told, as on a Jetson. */
  watts: number | null;
  smMhz: number | null;
  memoryMhz: number | null;
  celsius: number | null;
  /** Why it runs slower than asked for, heat and supply alone: `thermal`, `power brake`; and `power cap`. */
  throttling: string[];
}

/** Bits of NVML's clocks event reasons that say that a run was held down. */
const REASONS: [bit: number, name: string][] = [
  [0x04, 'power cap'],
  [0x08, 'hardware slowdown'],
  [0x20, 'software thermal slowdown'],
  [0x40, 'hardware thermal slowdown'],
  [0x80, 'power brake'],
];

/** Null: not such a line. */
export function parseSmiLine(line: string): SmiSample | null {
  const cells = line.split(',').map((cell) => cell.trim());
  const index = cells.length === FIELDS.length && /^\d+$/.test(cells[0] ?? '') ? Number(cells[0]) : null;
  if (index === null) return null;
  const number = (at: number) => {
    const value = Number.parseFloat(cells[at] ?? '');
    return Number.isNaN(value) ? null : value;
  };
  const bits = Number.parseInt(cells[5] ?? '', 16) || 0;
  return {
    index,
    watts: number(1),
    smMhz: number(2),
    memoryMhz: number(3),
    celsius: number(4),
    throttling: REASONS.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name),
  };
}
