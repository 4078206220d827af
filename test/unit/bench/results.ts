/** Results for tests: complete, plausible, and not measured anywhere. */
import { RESULT_VERSION, type ResultOf } from '../../../src/bench/result.js';
import { serveFigures } from '../../../src/bench/serve-figures.js';
import { trace } from './traces.js';

const clocks = { cpuMhz: 2201, gpuMhz: 1300, emcMhz: 3199 };
const conditions = {
  powerMode: 'MAXN',
  isLocked: true,
  ceilings: clocks,
  clocks,
  hottestCelsius: 51.5,
  throttling: [],
  numOverCurrent: 0,
};

const common = {
  version: RESULT_VERSION as 1,
  startedAt: '2026-11-29T10:00:00.000Z',
  durationS: 60,
  status: 'complete' as const,
  failure: null,
  invalid: [],
  commandLine: 'jsg bench --profile smollm2',
  jsg: { version: '0.1.0', commit: 'abc123', node: 'v22.0.0' },
  model: 'org/model',
  modelHash: { sha256: 'f'.repeat(64), of: 'model.gguf' },
  url: 'http://127.0.0.1:30000',
  server: 'jsg',
  endpoint: '/v1/completions',
  runtime: 'sm_87, 12 threads',
  weightBytes: 1e9,
  kvBytesPerToken: 1000,
  readBandwidthGBs: 170,
  device: {
    name: 'Jetson AGX Orin 64GB',
    partNumber: 'p3701-0005',
    l4t: '36.4.4',
    jetpack: '6.2.1',
    os: 'Ubuntu 22.04.5 LTS',
    kernel: '5.15.148-tegra',
    cpu: 'Cortex-A78AE',
    numCores: 12,
    memoryBytes: 64e9,
    gpu: 'Orin (nvgpu)',
    driver: '540.4.0',
    cuda: '12.6',
  },
  conditions: { before: conditions, after: conditions },
  reference: null,
  notes: [],
};

const power = {
  source: 'VDD_GPU_SOC + VDD_CPU_CV',
  samples: 50,
  meanWatts: 40,
  maxWatts: 45,
  joules: 200,
  tokensPerJoule: 2.5,
};

export const decodeRow = (batch: number, tokensPerSecond: number, noise = 0.01) => ({
  batch,
  promptTokens: 24,
  tokensPerSecond,
  spread: [tokensPerSecond * (1 - noise), tokensPerSecond * (1 + noise)] as [number, number],
  repeats: noise === 0 ? [tokensPerSecond] : [-1, 0, 1].map((by) => tokensPerSecond * (1 + by * noise)),
  ttftMs: 12.34,
  bytesPerToken: 1e9 / batch,
  bandwidthGBs: (tokensPerSecond * 1e9) / batch / 1e9,
  share: tokensPerSecond / batch / 170,
  power,
});

export const decodeResult = (what: Partial<ResultOf<'decode'>> = {}): ResultOf<'decode'> => ({
  ...common,
  kind: 'decode',
  workload: { batches: [1, 8], maxTokens: 128 },
  decode: [decodeRow(1, 150), decodeRow(8, 1100)],
  prefill: {
    batch: 1,
    promptTokens: 512,
    tokensPerSecond: 4000,
    spread: [3900, 4100],
    repeats: [3900, 4000, 4100],
    ttftMs: 128,
    peakShare: 0.5,
    power: null,
  },
  ...what,
});

/** A level of ten requests at `stepMs` a token. */
export function serveLevel(maxConcurrency: number, stepMs: number): ResultOf<'serve'>['serve'][number] {
  const traces = Array.from({ length: 10 }, (_, i) => {
    const pieceMs = Array.from({ length: 20 }, (_, k) => i * 500 + 100 + i + k * stepMs);
    return trace({ startMs: i * 500, pieceMs, promptTokens: 64, completionTokens: 20 });
  });
  const figures = serveFigures(traces, 0, { ttft: 105 });
  return { requestRate: null, maxConcurrency, inputTokensAsked: null, ...figures, clientLoad: 0.05, power: null };
}

export const serveResult = (what: Partial<ResultOf<'serve'>> = {}): ResultOf<'serve'> => ({
  ...common,
  kind: 'serve',
  workload: { dataset: 'random', inputLen: 64 },
  serve: [serveLevel(1, 10), serveLevel(4, 15), serveLevel(16, 40)],
  ...what,
});

export const prefillResult = (): ResultOf<'prefill'> => ({
  ...common,
  kind: 'prefill',
  workload: { promptTokens: [128, 512] },
  prefill: [128, 512].flatMap((promptTokens) =>
    [1, 4].map((batch) => ({
      batch,
      promptTokens,
      tokensPerSecond: 4000,
      spread: null,
      repeats: [],
      ttftMs: promptTokens / 4,
      peakShare: null,
      power,
    })),
  ),
});

const start = { bytes: 1e9, readyS: 3, loadS: 0.5, bytesPerSecond: 2e9 };
export const loadResult = (): ResultOf<'load'> => ({
  ...common,
  kind: 'load',
  workload: { caches: ['cold', 'warm'] },
  load: [
    { ...start, cache: 'cold', cachedShare: 0, firstTokenS: 4 },
    { ...start, cache: 'warm', cachedShare: 1, firstTokenS: 3.2 },
  ],
});
