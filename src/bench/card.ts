/** A card of a result: what somebody needs to measure the same again, and what came out. Pure. */
import { bytes, figure, fixed, lastPart, percent } from './report/format.js';
import { endOf, formatResult } from './report/text.js';
import type { Clocks, Conditions, Result } from './result.js';
import { describeLoad, fastest } from './serve.js';
import { median } from './stats.js';

export type Card = Record<string, string>;

/** What the run depends on, by name, in the order in which a person asks. */
export function cardOf(result: Result): Card {
  const { device, conditions, jsg, modelHash } = result;
  const l4t = device.l4t === null ? 'none' : `${device.l4t} (JetPack ${device.jetpack ?? 'unknown'})`;
  return {
    board: device.name,
    module: device.partNumber ?? 'not a Jetson',
    memory: device.memoryBytes === 0 ? 'unknown' : bytes(device.memoryBytes),
    L4T: l4t,
    'operating system': `${device.os ?? 'unknown'}, kernel ${device.kernel}`,
    GPU: device.gpu === null ? 'none' : [device.gpu, driverOf(result)].filter(Boolean).join(', '),
    CPU: device.numCores === 0 ? device.cpu : `${device.cpu}, ${device.numCores} cores`,
    'power mode': conditions.before.powerMode ?? 'none',
    'clocks before': clocksOf(conditions.before),
    'clocks after': conditions.after === null ? 'not read' : clocksOf(conditions.after),
    jsg: `${jsg.version}${jsg.commit === null ? '' : `, commit ${jsg.commit}`}, Node.js ${jsg.node}`,
    server: [result.server ?? 'unknown', result.runtime].filter(Boolean).join(', '),
    model: result.model,
    'model sha256': modelHash === null ? 'not hashed' : `${modelHash.sha256} (${modelHash.of})`,
    weights: `${bytes(result.weightBytes)} read a step`,
    'read bandwidth': result.readBandwidthGBs === null ? 'not measured' : `${fixed(result.readBandwidthGBs, 1)} GB/s`,
    'command line': result.commandLine,
    workload: JSON.stringify(result.workload),
    measured: `${result.startedAt}, ${figure(result.durationS)} s`,
    valid:
      result.invalid.length > 0
        ? `NO: ${result.invalid.join('; ')}`
        : result.status === 'partial'
          ? `partial: ${endOf(result)}`
          : 'yes',
  };
}

function driverOf({ device: { driver, cuda } }: Result): string {
  return [driver === null ? null : `driver ${driver}`, cuda === null ? null : `CUDA ${cuda}`]
    .filter(Boolean)
    .join(', ');
}

function clocksOf({ clocks, ceilings, isLocked, hottestCelsius, throttling }: Conditions): string {
  const locked = isLocked === null ? [] : [isLocked ? 'locked' : 'not locked'];
  const heat = hottestCelsius === null ? [] : [`${hottestCelsius.toFixed(0)} °C`];
  const held = throttling.length === 0 ? [] : [`throttled by ${throttling.join(', ')}`];
  return [...mhzOf(clocks, ceilings), ...locked, ...heat, ...held].join(', ') || 'not told';
}

function mhzOf(clocks: Clocks, ceilings: Clocks): string[] {
  const names = { cpuMhz: 'CPU', gpuMhz: 'GPU', emcMhz: 'memory' } as const;
  return (Object.keys(names) as (keyof typeof names)[]).flatMap((key) => {
    if (clocks[key] === null && ceilings[key] === null) return [];
    return [`${names[key]} ${figure(clocks[key])} of ${figure(ceilings[key])} MHz`];
  });
}

export function cardToMarkdown(result: Result): string {
  const rows = Object.entries(cardOf(result)).map(([name, value]) => `| ${name} | ${escapeCell(value)} |`);
  return `# ${headline(result)}\n\n| | |\n|---|---|\n${rows.join('\n')}\n\n    ${formatResult(result).trimEnd().replaceAll('\n', '\n    ')}\n`;
}

const escapeCell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** The figure that a person tells others. */
export function headline(result: Result): string {
  const where = `${lastPart(result.model)} on ${result.device.name}`;
  switch (result.kind) {
    case 'decode': {
      const [first] = result.decode;
      if (first === undefined) return where;
      const share = first.share === null ? '' : ` (${percent(first.share)} of the read bandwidth)`;
      return `${where}: ${figure(first.tokensPerSecond)} tokens a second at batch ${first.batch}${share}`;
    }
    case 'prefill': {
      const best = Math.max(...result.prefill.map(({ tokensPerSecond }) => tokensPerSecond));
      return `${where}: ${figure(best)} prompt tokens a second`;
    }
    case 'serve': {
      const best = fastest(result.serve);
      if (best === null) return where;
      if (best.completed === 0) return `${where}: no request went well`;
      return `${where}: ${figure(best.outputThroughput)} output tokens a second (${describeLoad(best)})`;
    }
    case 'load': {
      const cache = result.load[0]?.cache;
      const seconds = median(result.load.filter((row) => row.cache === cache).map(({ firstTokenS }) => firstTokenS));
      return `${where}: first token ${figure(seconds)} s after the start (${cache} page cache)`;
    }
  }
}
