/** The engine that a bench starts: its settings, and the server's process. */
import { type ServerProcess, startServer } from '../bench/server-process.js';
import { probeDevice } from '../device/probe.js';
import { clientKeyOf } from '../engine/address.js';
import { FLAG_NAMES, FLAGS } from '../profile/flags.js';
import { requireSuitable } from '../profile/suitability.js';
import type { BenchProgress } from './bench-progress.js';
import { type Chosen, chooseSettings, type Options } from './settings.js';

/** The engine's settings: quiet, and with room for every stream; throws where this machine cannot run it. */
export function chooseForBench(options: Options, streams: number): Chosen {
  const device = probeDevice();
  const chosen = chooseSettings(options, device);
  requireSuitable(chosen.subject, chosen.settings, device);
  // SGLang is measured as it is documented: with its own limits and its own log.
  if (chosen.settings.engine === 'sglang') return chosen;
  const maxRunningRequests = String(Math.max(FLAGS['max-running-requests'].default, streams));
  return chooseSettings({ logLevel: 'warning', maxRunningRequests, ...options }, device);
}

export async function startChosen(
  chosen: Chosen,
  progress: BenchProgress,
  signal: AbortSignal,
): Promise<{ server: ServerProcess; apiKey: string | null }> {
  const { settings, profile } = chosen;
  const apiKey = clientKeyOf(settings);
  progress.tell(`starting ${settings.engine === 'sglang' ? 'SGLang' : 'the engine'}: ${chosen.subject}`);
  const args = [...(profile === null ? [] : ['--profile', profile.path]), ...launchArguments(chosen)];
  const server = await startServer({ args, apiKey, onLine: (line) => progress.tell(line), signal });
  return { server, apiKey };
}

/** The settings that were given beside the profile, as flags; key and port go their own way. */
export function launchArguments({ settings, origins }: Pick<Chosen, 'settings' | 'origins'>): string[] {
  return FLAG_NAMES.filter((name) => origins[name] === 'flag' && !/^(api-key|api-key-file|port)$/.test(name)).flatMap(
    (name) => {
      const value = settings[name];
      if (value === null || value === false) return [];
      return value === true ? [`--${name}`] : [`--${name}`, String(value)];
    },
  );
}
