/** What a run tells while it works: enough for a display, for plain lines and for a test. */
export type RunEvent =
  | { kind: 'begin'; id: string; title: string; logPath: string | null }
  | { kind: 'progress'; id: string; line: string; share: number | null; elapsedMs: number }
  /** `isCached`: it was done before, nothing was run. */
  | { kind: 'end'; id: string; isCached: boolean; elapsedMs: number }
  | { kind: 'note'; text: string };

export type OnEvent = (event: RunEvent) => void;
