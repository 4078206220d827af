/** Samples power and clocks while a bench runs: the only file of src/bench/ that reads a machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { type ClockFiles, findClockFiles, liveClocks, probeLiveClocks } from '../device/clocks.js';
import { findOnPath } from '../device/path.js';
import { boardRails, findRails, type RailFiles, railWatts } from '../device/rails.js';
import { parseSmiLine, type SmiSample, smiArguments } from '../device/smi-query.js';
import type { Source } from '../device/source.js';
import { type Cooler, findCoolers } from '../device/thermal.js';
import { CLOCK } from './clock.js';
import { type ClockSample, movements, type PowerSample, powerBetween } from './power.js';
import type { Power } from './result.js';
import { movedDuring, throttledBy } from './validity.js';

const INTERVAL_MS = 100;

export class Meter {
  readonly #watts: PowerSample[] = [];
  readonly #clocks: ClockSample[] = [];
  readonly #throttling = new Set<string>();
  readonly #reasons: string[] = [];
  readonly #rails: RailFiles[];
  readonly #clockFiles: ClockFiles;
  readonly #coolers: Cooler[];
  #smi: ChildProcess | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isReading = false;
  /** What the watts are of. */
  #power: string;

  /** `tolerance`: of clocks, 0.05 is 5 %. */
  constructor(
    private readonly source: Source,
    private readonly tolerance: number,
  ) {
    this.#rails = boardRails(findRails(source));
    this.#clockFiles = findClockFiles(source);
    this.#coolers = findCoolers(source);
    this.#power = this.#rails.map(({ name }) => name).join(' + ');
  }

  start(): void {
    this.#timer = setInterval(() => void this.#sample(), INTERVAL_MS).unref();
    if (this.#rails.length === 0 && this.source.isHere) this.#startSmi();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#smi?.kill();
  }

  /** Energy of work that made so many tokens; also remembers whether clocks moved during it. Null: nothing measures power. */
  window(what: string, beginMs: number, endMs: number, tokens: number): Power | null {
    this.#reasons.push(...movedDuring(what, movements(this.#clocks, beginMs, endMs, this.tolerance)));
    return powerBetween(this.#watts, this.#power, beginMs, endMs, tokens);
  }

  /** Why the figures are not valid, as far as it was seen while measuring. */
  get reasons(): string[] {
    return [...this.#reasons, ...throttledBy([...this.#throttling])];
  }

  get notes(): string[] {
    return this.#throttling.has('power cap') ? ['the GPU ran at its power cap'] : [];
  }

  async #sample(): Promise<void> {
    // A monitor on a slow bus may take longer than the interval.
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      await Promise.all([this.#readRails(), this.#smi === null ? this.#readClocks() : null, this.#readCoolers()]);
    } finally {
      this.#isReading = false;
    }
  }

  /** Off the event loop, where streams are timed: what these files hold is asked of chips behind a bus. */
  #read(path: string): Promise<string> {
    return readFile(this.source.find(path) ?? path, 'latin1').catch(() => '');
  }

  async #readRails(): Promise<void> {
    if (this.#rails.length === 0) return;
    const watts = await Promise.all(
      this.#rails.map(async ({ volts, amps }) => railWatts(await this.#read(volts), await this.#read(amps))),
    );
    if (watts.every((value) => value !== null)) {
      this.#watts.push({ atMs: CLOCK.now(), watts: watts.reduce((sum, value) => sum + value, 0) });
    }
  }

  async #readClocks(): Promise<void> {
    const { cpu, gpu, emc } = this.#clockFiles;
    const entries = [...cpu, ...gpu, ...emc].map(async (path) => [path, await this.#read(path)] as const);
    const texts = new Map(await Promise.all(entries));
    this.#clocks.push({ atMs: CLOCK.now(), ...liveClocks(this.#clockFiles, (path) => texts.get(path) ?? '') });
  }

  async #readCoolers(): Promise<void> {
    for (const { type, state } of this.#coolers) {
      if (Number.parseInt(await this.#read(state), 10) > 0) this.#throttling.add(type);
    }
  }

  #startSmi(): void {
    const program = findOnPath('nvidia-smi', process.env.PATH ?? '');
    if (program === null) return;
    const child = spawn(program, smiArguments(INTERVAL_MS), { stdio: ['ignore', 'pipe', 'ignore'] });
    this.#smi = child;
    child.on('error', () => {});
    child.on('exit', () => {
      this.#smi = null;
    });
    child.unref();
    const seen = new Map<number, SmiSample>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      const sample = parseSmiLine(line);
      if (sample === null) return;
      seen.set(sample.index, sample);
      // A round ends with the last GPU.
      if (sample.index === Math.max(...seen.keys())) this.#takeSmi([...seen.values()]);
    });
  }

  #takeSmi(gpus: SmiSample[]): void {
    const atMs = CLOCK.now();
    const watts = gpus.flatMap((gpu) => gpu.watts ?? []);
    if (watts.length > 0) this.#watts.push({ atMs, watts: watts.reduce((sum, value) => sum + value, 0) });
    this.#power = gpus.length === 1 ? 'GPU (nvidia-smi)' : `${gpus.length} GPUs (nvidia-smi)`;
    const busiest = gpus.reduce((most, gpu) => ((gpu.watts ?? 0) > (most.watts ?? 0) ? gpu : most));
    const { cpuMhz } = probeLiveClocks(this.source);
    this.#clocks.push({ atMs, cpuMhz, gpuMhz: busiest.smMhz, emcMhz: busiest.memoryMhz });
    for (const name of busiest.throttling) this.#throttling.add(name);
  }
}
