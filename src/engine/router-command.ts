/** Settings of `jsg route` as the command line of sglang-router. Pure. */
import { JsgError } from '../errors.js';

export const POLICIES = ['cache_aware', 'round_robin', 'random', 'power_of_two'] as const;
export type Policy = (typeof POLICIES)[number];

export interface RouterSettings {
  workers: string[];
  host: string;
  port: number;
  metricsPort: number;
  policy: Policy;
  drainTimeoutSeconds: number;
  logLevel: string;
  /** Further flags of sglang-router, passed on as they are. */
  extraArgs: string[];
}

/**
 * What a few boards want otherwise than a data centre: a dead worker is noticed and tried again within seconds, not minutes,
 * and a prefix does not keep a worker busy that has eight requests more than its neighbour.
 */
const TUNING: Record<string, string> = {
  '--health-check-interval-secs': '2',
  '--health-check-timeout-secs': '5',
  '--health-failure-threshold': '2',
  '--health-success-threshold': '1',
  '--cb-failure-threshold': '2',
  '--cb-success-threshold': '1',
  '--cb-timeout-duration-secs': '5',
  '--retry-max-retries': '8',
  '--retry-max-backoff-ms': '2000',
  '--worker-startup-check-interval': '1',
  '--balance-abs-threshold': '8',
};

const OWN = ['--host', '--port', '--worker-urls', '--policy', '--prometheus-port', '--prometheus-host', '--api-key'];

export function routerArguments(settings: RouterSettings): string[] {
  const { extraArgs } = settings;
  const given = extraArgs.map((argument) => argument.split('=')[0] ?? '');
  const own = given.find((flag) => OWN.includes(flag));
  if (own !== undefined) {
    throw new JsgError('E_USAGE', `${own} belongs before the --`, {
      hint: 'See jsg route --help for the flags of jsg.',
    });
  }
  return [
    ...['--host', settings.host, '--port', String(settings.port)],
    ...['--worker-urls', ...settings.workers],
    ...['--policy', settings.policy],
    ...['--prometheus-host', '127.0.0.1', '--prometheus-port', String(settings.metricsPort)],
    ...['--shutdown-grace-period-secs', String(Math.ceil(settings.drainTimeoutSeconds))],
    ...['--log-level', settings.logLevel],
    ...Object.entries(TUNING)
      .filter(([flag]) => !given.includes(flag))
      .flat(),
    ...extraArgs,
  ];
}
