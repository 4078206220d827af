import { describe, expect, it } from 'vitest';
import { type RouterSettings, routerArguments } from '../../../src/engine/router-command.js';

const settings: RouterSettings = {
  workers: ['http://a:1', 'http://b:2'],
  host: '127.0.0.1',
  port: 30000,
  metricsPort: 30001,
  policy: 'cache_aware',
  drainTimeoutSeconds: 0.5,
  logLevel: 'info',
  extraArgs: [],
};

describe('the command line of the router', () => {
  it('has the workers, the policy, and metrics for this machine only', () => {
    const line = routerArguments(settings).join(' ');
    expect(line).toContain('--worker-urls http://a:1 http://b:2 --policy cache_aware');
    expect(line).toContain('--prometheus-host 127.0.0.1 --prometheus-port 30001');
    expect(line).toContain('--shutdown-grace-period-secs 1 ');
  });

  it('leaves what is given after -- to the user', () => {
    const args = routerArguments({ ...settings, extraArgs: ['--health-check-interval-secs=9', '--dp-aware'] });
    expect(args.filter((argument) => argument.startsWith('--health-check-interval-secs'))).toHaveLength(1);
    expect(args.slice(-2)).toEqual(['--health-check-interval-secs=9', '--dp-aware']);
  });

  it('refuses what belongs before --', () => {
    expect(() => routerArguments({ ...settings, extraArgs: ['--port', '1'] })).toThrow('--port belongs before the --');
  });
});
