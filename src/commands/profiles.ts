/** `jsg profiles`: list, show and check profiles. */
import { readFileSync } from 'node:fs';
import { probeDevice } from '../device/probe.js';
import { ERRORS, type JsgError, toJsgError } from '../errors.js';
import { listProfiles, loadProfile, type Profile } from '../profile/profile.js';
import { resolveSettings } from '../profile/resolve.js';
import { requireSuitable } from '../profile/suitability.js';
import { formatTable } from '../table.js';
import type { Options } from './settings.js';

/** What is wrong with something a person may try; null when nothing is. */
function faultOf(attempt: () => unknown): JsgError | null {
  try {
    attempt();
    return null;
  } catch (error) {
    return toJsgError(error);
  }
}

function toJson(profile: Profile) {
  const { name, path, description, reference, settings } = profile;
  return { name, path, description, reference, settings };
}

export async function list(options: Options): Promise<number> {
  const device = probeDevice();
  const rows = listProfiles().map((path) => {
    let profile: Profile | null = null;
    const fault = faultOf(() => {
      profile = loadProfile(path);
      requireSuitable(`profile ${profile.name}`, resolveSettings(profile, device, {}).settings, device);
    });
    return { path, profile: profile as Profile | null, fault };
  });
  if (options.json) {
    const entries = rows.map(({ path, profile, fault }) => ({
      ...(profile === null ? { path } : toJson(profile)),
      runs_here: fault === null,
      why_not: fault?.message ?? null,
    }));
    print(`${JSON.stringify(entries, null, 2)}\n`);
    return 0;
  }
  const head = ['PROFILE', 'RUNS HERE', 'MODEL', 'REFERENCE'];
  const body = rows.map(({ path, profile, fault }) => [
    profile?.name ?? path,
    fault === null ? 'yes' : profile === null ? 'invalid' : 'no',
    profile?.settings['model-path'] ?? '-',
    profile?.reference ? `${profile.reference.gen_throughput} token/s` : '-',
  ]);
  print(formatTable([head, ...body]));
  return 0;
}

export async function show(options: Options, [name = '']: string[]): Promise<number> {
  const profile = loadProfile(name);
  if (options.json) print(`${JSON.stringify(toJson(profile), null, 2)}\n`);
  else print(`# ${profile.path}\n${readFileSync(profile.path, 'utf8')}`);
  return 0;
}

/** Checks each; exit code 2 when any is invalid. */
export async function validate(options: Options, names: string[]): Promise<number> {
  const results = names.map((name) => ({ profile: name, fault: faultOf(() => loadProfile(name)) }));
  if (options.json) {
    const entries = results.map(({ profile, fault }) => ({
      profile,
      valid: fault === null,
      fault: fault?.message ?? null,
    }));
    print(`${JSON.stringify(entries, null, 2)}\n`);
  } else {
    for (const { profile, fault } of results) print(fault ? `invalid  ${fault.message}\n` : `valid    ${profile}\n`);
  }
  return results.some(({ fault }) => fault !== null) ? ERRORS.E_PROFILE_INVALID.exit : 0;
}

function print(text: string): void {
  process.stdout.write(text);
}
