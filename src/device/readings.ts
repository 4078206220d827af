/** What the machine reads right now: memory, power, temperature. What cannot be read is null, never 0. */
import { probeMemory } from './probe.js';
import type { Source } from './source.js';
import { probeThermal, type Rail, type Sensor } from './thermal.js';

export interface Usage {
  usedBytes: number;
  totalBytes: number;
}

export interface Readings {
  /** Of the system, or of this process's cgroup where that is the narrower limit. */
  memory: Usage | null;
  /** Of a GPU that has memory of its own. */
  gpuMemory: Usage | null;
  /** `of`: the rails that were added up, or the GPU. */
  power: { watts: number; of: string } | null;
  /** Of the hottest sensor. `throttlesAt`: where the kernel slows the board down; null: not told. */
  temperature: { celsius: number; of: string; throttlesAt: number | null } | null;
}

/** Reading rails asks chips over I2C, and nvidia-smi takes a process: not for each of many watchers. */
const MIN_GAP_MS = 1000;

/** Reads at most once a second, whoever asks. `gpu`: the server computes on a GPU that has its own memory. */
export function machineReader(source: Source, { gpu = false } = {}): () => Promise<Readings> {
  let readAt = Number.NEGATIVE_INFINITY;
  let latest: Promise<Readings>;
  return () => {
    const now = performance.now();
    if (now - readAt < MIN_GAP_MS) return latest;
    readAt = now;
    latest = takeReadings(source, gpu);
    return latest;
  };
}

async function takeReadings(source: Source, gpu: boolean): Promise<Readings> {
  const { sensors, rails } = probeThermal(source, null);
  const board = { memory: memoryUsage(source), power: boardPower(rails), temperature: hottest(sensors) };
  const own = gpu ? await readGpu(source) : null;
  return {
    memory: board.memory,
    gpuMemory: own?.memory ?? null,
    power: board.power ?? own?.power ?? null,
    temperature: own?.temperature ?? board.temperature,
  };
}

function memoryUsage(source: Source): Usage | null {
  const { totalBytes, availableBytes, cgroupLimitBytes } = probeMemory(source);
  if (totalBytes === 0 || availableBytes === null) return null;
  const limit = Math.min(totalBytes, cgroupLimitBytes ?? totalBytes);
  return { usedBytes: Math.max(0, limit - availableBytes), totalBytes: limit };
}

/** Rails that measure what goes into the whole module, by the names of one board or another. */
const INPUT_RAILS = ['VDD_IN', 'VIN', 'POM_5V_IN', 'IN'];
/** AGX Orin: fed from VIN_SYS_5V0, which is measured too. */
const INNER_RAILS = ['VDDQ_VDD2_1V8AO'];

function boardPower(rails: readonly Rail[]): Readings['power'] {
  const measured = rails.filter(({ milliwatts, name }) => milliwatts !== null && !INNER_RAILS.includes(name));
  const input = measured.find(({ name }) => INPUT_RAILS.includes(name));
  const counted = input ? [input] : measured;
  if (counted.length === 0) return null;
  const milliwatts = counted.reduce((sum, rail) => sum + (rail.milliwatts ?? 0), 0);
  return { watts: milliwatts / 1000, of: counted.map(({ name }) => name).join(' + ') };
}

function hottest(sensors: readonly Sensor[]): Readings['temperature'] {
  const sensor = [...sensors].sort((a, b) => b.celsius - a.celsius)[0];
  return sensor ? { celsius: sensor.celsius, of: sensor.name, throttlesAt: sensor.throttlesAt } : null;
}

const SMI_QUERY = '--query-gpu=memory.used,memory.total,power.draw,temperature.gpu';

/** The GPU of nvidia-smi that CUDA_VISIBLE_DEVICES names first; what it writes `[N/A]` for is null. */
async function readGpu({ run }: Source): Promise<Omit<Readings, 'gpuMemory'> | null> {
  const chosen = process.env.CUDA_VISIBLE_DEVICES?.split(',')[0]?.trim();
  const only = chosen ? ['-i', chosen] : [];
  const answer = await run('nvidia-smi', [SMI_QUERY, '--format=csv,noheader,nounits', ...only]);
  if (answer?.code !== 0) return null;
  const [used, total, watts, celsius] = (answer.stdout.split('\n')[0] ?? '').split(',').map(numberOrNull);
  return {
    memory: used != null && total ? { usedBytes: used * 2 ** 20, totalBytes: total * 2 ** 20 } : null,
    power: watts != null ? { watts, of: 'GPU' } : null,
    temperature: celsius != null ? { celsius, of: 'GPU', throttlesAt: null } : null,
  };
}

const numberOrNull = (text: string): number | null => (/^\s*\d+(\.\d+)?\s*$/.test(text) ? Number(text) : null);
