/** From the options of a command line to the settings of a launch; shared by `launch` and `bench`. */
import type { Device } from '../device/device.js';
import { clientKeyOf } from '../engine/address.js';
import { readKeyFile } from '../engine/api-key-file.js';
import { JsgError } from '../errors.js';
import { FLAG_NAMES, type FlagName, type GivenSettings } from '../profile/flags.js';
import { loadProfile, type Profile } from '../profile/profile.js';
import { type Resolved, resolveSettings } from '../profile/resolve.js';
import { parseFlag } from '../profile/schema.js';

export type Options = Record<string, unknown>;

/** What serves when neither a profile nor a model is named. */
const DEFAULT_PROFILE = 'smollm2';

const camelCase = (name: string) => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The flags that were given, checked; throws E_USAGE naming the flag. */
export function givenFlags(options: Options): GivenSettings {
  const given: Partial<Record<FlagName, unknown>> = {};
  for (const name of FLAG_NAMES) {
    const value = options[camelCase(name)];
    if (value !== undefined) given[name] = parseFlag(name, value as string | boolean);
  }
  return given as GivenSettings;
}

/** The keys of --api-key-file or JSG_API_KEY where --api-key is not given. Throws E_USAGE for a file that holds none. */
export function withApiKey(given: GivenSettings, env: NodeJS.ProcessEnv = process.env): GivenSettings {
  const { 'api-key': key, 'api-key-file': file } = given;
  if (key !== undefined && file !== undefined) {
    throw new JsgError('E_USAGE', '--api-key and --api-key-file are given: one of them holds the key');
  }
  if (file !== undefined) return { ...given, 'api-key': readKeyFile(file).join(',') };
  return key === undefined && env.JSG_API_KEY ? { ...given, 'api-key': parseFlag('api-key', env.JSG_API_KEY) } : given;
}

/** The one key that a client sends, wherever it was given; of several the first. Null: none. */
export function keyToSend(options: Options): string | null {
  const { 'api-key': keys = null } = withApiKey(givenFlags(options));
  return clientKeyOf({ 'api-key': keys });
}

export interface Chosen extends Resolved {
  /** What the user named, for messages: `profile triton` or `these settings`. */
  subject: string;
  profile: Profile | null;
}

/** The settings that somebody chose. */
export function chosenNames({ origins }: Resolved): Set<FlagName> {
  return new Set(FLAG_NAMES.filter((name) => origins[name] === 'flag' || origins[name] === 'profile'));
}

export function chooseSettings(options: Options, device: Device): Chosen {
  const flags = givenFlags(options);
  const isBare = options.profile === undefined && flags['model-path'] === undefined;
  const name = isBare ? DEFAULT_PROFILE : (options.profile as string | undefined);
  const profile = name === undefined ? null : loadProfile(name);
  const subject = profile === null ? 'these settings' : `profile ${profile.name}`;
  const keyFile = profile?.settings['api-key-file'];
  const named = flags['api-key'] === undefined && keyFile !== undefined ? { 'api-key-file': keyFile, ...flags } : flags;
  return { ...resolveSettings(profile, device, withApiKey(named)), subject, profile };
}
