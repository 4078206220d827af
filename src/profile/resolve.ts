/** The only place where precedence is decided: flags over profile over defaults. Pure. */
import type { Device } from '../device/device.js';
import { FLAG_NAMES, FLAGS, type FlagName, type GivenSettings, type Settings } from './flags.js';
import type { Profile } from './profile.js';
import { BACKENDS } from './suitability.js';

export type Origin = 'flag' | 'profile' | 'device' | 'default';

export interface Resolved {
  settings: Settings;
  /** Who decided each value. */
  origins: Record<FlagName, Origin>;
}

/** Prompt rows that keep a GPU's products at full rate, and still let running streams go on a few times a second. */
const GPU_PREFILL_ROWS = 2048;

/** What the machine decides where nobody else does. */
function deviceDefaults(device: Device, asked: Settings['device'] | undefined): GivenSettings {
  const found = device.gpu !== null && BACKENDS.includes('cuda') ? 'cuda' : 'cpu';
  const rows = (asked ?? found) === 'cuda' ? { 'chunked-prefill-size': GPU_PREFILL_ROWS } : {};
  return { device: found, ...rows };
}

export function resolveSettings(profile: Profile | null, device: Device, flags: GivenSettings): Resolved {
  const layers: [Origin, GivenSettings][] = [
    ['flag', flags],
    ['profile', profile?.settings ?? {}],
    ['device', deviceDefaults(device, flags.device ?? profile?.settings.device)],
  ];
  const settings: Record<string, unknown> = {};
  const origins: Partial<Record<FlagName, Origin>> = {};
  for (const name of FLAG_NAMES) {
    const [origin, layer] = layers.find(([, values]) => values[name] !== undefined) ?? ['default' as const, null];
    settings[name] = layer === null ? FLAGS[name].default : layer[name];
    origins[name] = origin;
  }
  // A key of the command line stands over a profile's file of keys.
  if (origins['api-key'] === 'flag' && origins['api-key-file'] === 'profile') settings['api-key-file'] = null;
  return { settings: settings as Settings, origins: origins as Record<FlagName, Origin> };
}
