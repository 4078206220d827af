/** Everything that is read of a machine, part by part: what doctor decides on. Changes nothing, and needs no root. */
import type { Board } from './board.js';
import { type Clocks, identifyClocks, probeSysfsClocks } from './clocks.js';
import { type Container, probeContainer } from './container.js';
import { type Desktop, probeDesktop } from './desktop.js';
import type { Device } from './device.js';
import { type Docker, probeDocker } from './docker.js';
import { type GpuAccess, probeGpuAccess } from './gpu-access.js';
import { type Libraries, probeLibraries } from './libraries.js';
import { parsePowerQuery } from './nvpmodel.js';
import { probePackages } from './packages.js';
import { identifyPower, type Power } from './power.js';
import { deviceOf, probeBoard, probeMemory } from './probe.js';
import { identifyRelease, type Release } from './release.js';
import { type Output, oneValue, type Source } from './source.js';
import { probeStorage, type Storage } from './storage.js';
import { probeSwap, type Swap } from './swap.js';
import { parseTegrastats } from './tegrastats.js';
import { probeThermal, type Thermal } from './thermal.js';

export interface Machine {
  device: Device;
  board: Board | null;
  release: Release;
  /** Null: no power modes here. */
  power: Power | null;
  clocks: Clocks | null;
  libraries: Libraries;
  swap: Swap | null;
  storage: Storage;
  gpuAccess: GpuAccess;
  /** What nvidia-smi said instead of its table; null: it is not there, or works. */
  gpuFault: string | null;
  thermal: Thermal;
  container: Container | null;
  docker: Docker;
  desktop: Desktop;
}

/** tegrastats runs until it is ended: time for one line. */
const STATS_TIMEOUT_MS = 500;

/** A Jetson, as far as device tree, release and packages tell. */
export const isJetson = ({ board, release }: Pick<Machine, 'board' | 'release'>) =>
  board !== null || release.l4t !== null || release.jetpackPackage !== null;

export async function probeMachine(source: Source): Promise<Machine> {
  const { read, run } = source;
  const packages = probePackages(source);
  const [smi, query, show, stats, libraries] = await Promise.all([
    run('nvidia-smi', []),
    run('nvpmodel', ['-q']),
    run('jetson_clocks', ['--show']),
    run('tegrastats', ['--interval', '100'], STATS_TIMEOUT_MS),
    probeLibraries(source, packages),
  ]);
  const figures = parseTegrastats(textOf(stats));
  const memory = probeMemory(source);
  const release = identifyRelease(read('/etc/nv_tegra_release'), packages);
  const clocks = identifyClocks({ show: textOf(show), query: textOf(query), stats: figures }, probeSysfsClocks(source));
  const board = probeBoard(source, memory.totalBytes);
  const power = identifyPower(
    {
      conf: read('/etc/nvpmodel.conf'),
      status: read('/var/lib/nvpmodel/status'),
      query: parsePowerQuery(textOf(query)),
      clocksMode: clocks?.modeName ?? null,
    },
    board,
    release.l4t,
  );
  return {
    device: deviceOf(source, { memory, board, release, smi: smi?.code === 0 ? smi.stdout : '' }),
    board,
    release,
    power,
    clocks,
    libraries,
    swap: probeSwap(read),
    storage: probeStorage(source),
    gpuAccess: probeGpuAccess(source),
    gpuFault: smi === null || smi.code === 0 ? null : (oneValue(textOf(smi)) ?? 'no answer'),
    thermal: probeThermal(source, figures),
    container: probeContainer(source),
    docker: probeDocker(source, packages),
    desktop: probeDesktop(source),
  };
}

const textOf = (output: Output | null) => (output === null ? '' : `${output.stdout}\n${output.stderr}`);
