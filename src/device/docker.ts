/** Docker and its NVIDIA runtime, by their files: asking the daemon would take long and a group that not all have. */
import type { Packages } from './packages.js';
import type { Source } from './source.js';

export interface Docker {
  isInstalled: boolean;
  hasToolkit: boolean;
  /** Whether /etc/docker/daemon.json knows the runtime `nvidia`. */
  hasRuntime: boolean;
  isDefaultRuntime: boolean;
}

const TOOLKITS = ['nvidia-container-toolkit', 'nvidia-container-runtime', 'nvidia-docker2'];
const DAEMONS = ['docker.io', 'docker-ce'];

export function probeDocker({ find, read }: Source, packages: Packages): Docker {
  const config = parseDaemonJson(read('/etc/docker/daemon.json') ?? '');
  return {
    isInstalled: find('/usr/bin/dockerd') !== null || DAEMONS.some((name) => packages.has(name)),
    hasToolkit: find('/usr/bin/nvidia-container-runtime') !== null || TOOLKITS.some((name) => packages.has(name)),
    ...config,
  };
}

export function parseDaemonJson(text: string): Pick<Docker, 'hasRuntime' | 'isDefaultRuntime'> {
  try {
    const config = JSON.parse(text) as { runtimes?: Record<string, unknown>; 'default-runtime'?: unknown } | null;
    return {
      hasRuntime: typeof config?.runtimes === 'object' && config.runtimes !== null && 'nvidia' in config.runtimes,
      isDefaultRuntime: config?.['default-runtime'] === 'nvidia',
    };
  } catch {
    return { hasRuntime: false, isDefaultRuntime: false };
  }
}
