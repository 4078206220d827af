/** Beside the conversation: what is served, and what it does now. */
import type { ComponentChildren } from 'preact';
import { contextLength, figures, type Reading, readings, serverInfo, status } from './live.js';
import { Sparkline } from './sparkline.js';

export function LivePanel() {
  return (
    <>
      <section aria-labelledby="served-heading">
        <h2 id="served-heading">Served</h2>
        <Served />
      </section>
      <section aria-labelledby="live-heading">
        <h2 id="live-heading">Now</h2>
        <dl class="tiles">
          <Throughput />
          <Requests />
          <Cache />
          <PrefixHits />
          <Memory />
          <Power />
          <Temperature />
        </dl>
      </section>
    </>
  );
}

function Served() {
  const info = serverInfo.value;
  const { runtime } = info ?? {};
  const threads = runtime?.numThreads
    ? `, ${runtime.numThreads} ${runtime.numThreads === 1 ? 'thread' : 'threads'}`
    : '';
  const facts: [string, string | null | undefined][] = [
    ['Model', status.value?.served_model_name],
    ['Profile', status.value && (status.value.profile ?? 'none: flags alone')],
    ['Device', info?.device && `${info.device} (${runtime?.isa ?? 'unknown'}${threads})`],
    ['Weights', runtime?.weightBytes ? `${bytes(runtime.weightBytes)} a token` : null],
    ['Quantised', info?.torchao_config],
    ['Context', contextLength.value ? `${whole(contextLength.value)} tokens` : null],
  ];
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={value ?? ''}>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

interface TileProps {
  name: string;
  /** Null: cannot be read. */
  value: string | null;
  unit?: string;
  detail?: ComponentChildren;
  of: (reading: Reading) => number | null;
  max?: number;
  min?: number;
  isWarning?: boolean;
  /** What stands for a value that is not there. */
  absent?: string;
}

function Tile({ name, value, unit, detail, of, isWarning, absent = 'not available', ...range }: TileProps) {
  return (
    <div class={isWarning ? 'tile warning' : 'tile'}>
      <dt>{name}</dt>
      <dd>
        {value === null ? (
          <span class="absent">{readings.value.length < 2 ? '…' : absent}</span>
        ) : (
          <span class="figure">
            {value}
            {unit && <small>{unit}</small>}
          </span>
        )}
        {value !== null && <Sparkline values={readings.value.map(of)} {...range} />}
        {value !== null && detail && <span class="detail">{detail}</span>}
      </dd>
    </div>
  );
}

const latest = () => readings.value.at(-1);

function Throughput() {
  const value = latest()?.tokensPerSecond ?? null;
  return (
    <Tile
      name="Throughput"
      value={value === null ? null : value.toFixed(value < 10 && value > 0 ? 1 : 0)}
      unit="tok/s"
      of={(reading) => reading.tokensPerSecond}
    />
  );
}

function Requests() {
  const now = figures.value;
  return (
    <Tile
      name="Requests"
      value={now?.running == null ? null : String(now.running)}
      unit="running"
      detail={`${now?.queued ?? 0} waiting`}
      of={(reading) => reading.requests}
    />
  );
}

function Cache() {
  const now = figures.value;
  return (
    <Tile
      name="KV cache"
      value={percent(latest()?.kvShare)}
      unit="%"
      detail={now && `${whole(now.usedTokens)} of ${whole(now.totalTokens)} tokens`}
      of={(reading) => reading.kvShare}
      max={1}
    />
  );
}

function PrefixHits() {
  const now = figures.value;
  return (
    <Tile
      name="Prefix cache hits"
      absent={now?.promptTokens === 0 ? 'no prompts yet' : undefined}
      value={percent(latest()?.cacheShare)}
      unit="%"
      detail={now && `${whole(now.cachedTokens)} of ${whole(now.promptTokens)} prompt tokens`}
      of={(reading) => reading.cacheShare}
      max={1}
    />
  );
}

function Memory() {
  const own = status.value?.gpu_memory;
  const memory = own ?? status.value?.memory ?? null;
  return (
    <Tile
      name={own ? 'GPU memory' : 'Memory'}
      value={memory && gibibytes(memory.used_bytes)}
      unit="GiB"
      detail={memory && `of ${gibibytes(memory.total_bytes)} GiB`}
      of={(reading) => reading.memoryShare}
      max={1}
    />
  );
}

function Power() {
  const power = status.value?.power ?? null;
  return (
    <Tile
      name="Power"
      value={power?.watts.toFixed(1) ?? null}
      unit="W"
      detail={power?.of}
      of={(reading) => reading.watts}
    />
  );
}

function Temperature() {
  const read = status.value?.temperature ?? null;
  const limit = read?.throttles_at ?? null;
  return (
    <Tile
      name="Temperature"
      value={read?.celsius.toFixed(0) ?? null}
      unit="°C"
      detail={read && (limit === null ? read.of : `${read.of}, slows down at ${limit} °C`)}
      of={(reading) => reading.celsius}
      min={20}
      max={limit ?? 100}
      isWarning={limit !== null && read !== null && read.celsius > limit - 5}
    />
  );
}

const whole = (value: number | null) => (value === null ? '?' : value.toLocaleString('en'));
const percent = (share: number | null | undefined) =>
  share == null ? null : (share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0);
const gibibytes = (count: number) => (count / 2 ** 30).toFixed(1);
const bytes = (count: number) =>
  count < 2 ** 30 ? `${(count / 2 ** 20).toFixed(0)} MiB` : `${(count / 2 ** 30).toFixed(1)} GiB`;
