/**
 * How far a start of SGLang is, read from its log: import, weights, KV cache, graphs, warm-up. Pure. The texts are those of
 * 0.4.2 and of 0.5.23; what a release words otherwise only makes a phase longer, readiness is asked of the server itself.
 */

export const PHASES = [
  'importing',
  'loading weights',
  'allocating KV cache',
  'capturing graphs',
  'warming up',
] as const;
export type PhaseName = (typeof PHASES)[number];

export interface PhaseEvent {
  phase: PhaseName;
  /** Share of the phase, 0..1; null: the line tells only that it began. */
  fraction: number | null;
  /** What is worth keeping of it: `16.06 GB in 28 s`. */
  detail: string | null;
}

interface Sign {
  phase: PhaseName;
  pattern: RegExp;
}

const SIGNS: Sign[] = [
  { phase: 'warming up', pattern: /The server is fired up|Uvicorn running on|max_total_num_tokens=\d+/ },
  {
    phase: 'capturing graphs',
    pattern: /Capture [\w -]{0,60}(?:begin|end)\.? |Capturing batches/i,
  },
  { phase: 'allocating KV cache', pattern: /KV Cache is allocated|Memory pool end|Load weight end/ },
  {
    phase: 'loading weights',
    pattern: /Load weight begin|Loading [\w ]{0,40}(?:checkpoint )?shards|loading (?:pt )?(?:checkpoint )?shards/i,
  },
  { phase: 'importing', pattern: /server_args=|Init torch distributed begin/ },
];

/** The bars of tqdm: `50% Completed | 1/2 [`, ` 30%|███       | 7/23 [`. */
const BAR = /(\d{1,3})%(?: Completed)?\s?\|[^|]{0,200}?\|?\s*(\d{1,9})\/(\d{1,9}) \[/;

/** What a line tells of the start; null: nothing. */
export function phaseOf(line: string): PhaseEvent | null {
  const bar = BAR.exec(line);
  const sign = SIGNS.find(({ pattern }) => pattern.test(line));
  // A bar without words is of the graphs: 0.4.2 shows it bare.
  const phase = sign?.phase ?? (bar === null ? null : 'capturing graphs');
  if (phase === null) return null;
  return { phase, fraction: bar === null ? null : Math.min(1, Number(bar[1]) / 100), detail: detailOf(line) };
}

function detailOf(line: string): string | null {
  const memory = /K size: ([\d.]+) GB, V size: ([\d.]+) GB/.exec(line);
  if (memory) return `${(Number(memory[1]) + Number(memory[2])).toFixed(2)} GB of KV cache`;
  const tokens = /max_total_num_tokens=(\d+)/.exec(line);
  if (tokens) return `KV cache of ${tokens[1]} tokens`;
  const graphs = /graph end\..{0,400}?(?:Time elapsed: |elapsed=)([\d.]+) s/i.exec(line);
  if (graphs) return `graphs in ${graphs[1]} s`;
  const available = /Load weight end\..*avail mem=([\d.]+) GB/.exec(line);
  return available ? `${available[1]} GB left` : null;
}

/** Follows a start. Phases only go forward: several ranks write into one log. */
export class PhaseTracker {
  #index = -1;
  #fraction: number | null = null;
  #detail: string | null = null;

  get phase(): PhaseName | null {
    return PHASES[this.#index] ?? null;
  }

  /** `loading weights (99 %)` */
  describe(): string {
    const phase = this.phase ?? 'starting';
    return this.#fraction === null ? phase : `${phase} (${Math.floor(this.#fraction * 100)} %)`;
  }

  /** What changed by this line; null: nothing. */
  push(line: string): { begun: PhaseName | null; ended: string | null; fraction: number | null } | null {
    const event = phaseOf(line);
    if (event === null) return null;
    const index = PHASES.indexOf(event.phase);
    if (index < this.#index) return null;
    if (index === this.#index) {
      this.#detail = event.detail ?? this.#detail;
      if (event.fraction === null) return null;
      this.#fraction = event.fraction;
      return { begun: null, ended: null, fraction: event.fraction };
    }
    const ended = this.#index < 0 ? null : (this.#detail ?? event.detail ?? 'done');
    this.#index = index;
    this.#fraction = event.fraction;
    this.#detail = null;
    return { begun: event.phase, ended, fraction: event.fraction };
  }
}
