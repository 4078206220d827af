/** `jsg service`: a launch that systemd starts, restarts and limits. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { homedir, userInfo } from 'node:os';
import { resolve } from 'node:path';
import { probeDevice } from '../device/probe.js';
import { requireSafeAddress } from '../engine/address.js';
import { sglangCommand } from '../engine/sglang/command.js';
import { JsgError } from '../errors.js';
import { FLAG_NAMES, FLAGS, type FlagName, type FlagSpec } from '../profile/flags.js';
import { findProfile } from '../profile/profile.js';
import { requireSuitable } from '../profile/suitability.js';
import {
  followJournal,
  installedNames,
  installUnit,
  placeOf,
  type Scope,
  showUnit,
  uninstallUnit,
} from '../service/systemd.js';
import { environmentFileText, unitText } from '../service/unit.js';
import { formatTable } from '../table.js';
import { packageRoot } from '../version.js';
import { hideSecrets } from './hide-secrets.js';
import { chooseSettings, chosenNames, givenFlags, type Options, withApiKey } from './settings.js';

/** What a login shell sets and a launch needs: where models and compilers are. */
const KEPT_VARIABLES =
  'PATH LD_LIBRARY_PATH CUDA_HOME HF_HOME HF_HUB_CACHE HF_ENDPOINT XDG_CACHE_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_CONFIG_HOME'.split(
    ' ',
  );
/** Never in a unit, which everybody may read. */
const SECRET_VARIABLES = ['HF_TOKEN'];
const GPU_GROUPS = ['video', 'render'];

/** `extraArgs`: what stood after `--`. */
export async function install(options: Options, extraArgs: string[]): Promise<number> {
  hideSecrets();
  const device = probeDevice();
  const chosen = chooseSettings(options, device);
  const { settings } = chosen;
  if (settings.engine === 'sglang') sglangCommand(settings, chosenNames(chosen), extraArgs);
  requireSafeAddress(settings);
  if (!options.print && !options.force) requireSuitable(chosen.subject, settings, device);
  const name = requireName(options.name ?? chosen.profile?.name ?? 'model');
  const place = placeOf(name, scopeOf(options));
  const apiKey = withApiKey(givenFlags(options))['api-key'];
  const secrets = {
    ...pick(SECRET_VARIABLES),
    ...(apiKey === undefined ? {} : { JSG_API_KEY: apiKey }),
  };
  const hasSecrets = Object.keys(secrets).length > 0;
  const text = unitText({
    title: `${chosen.subject.replace(/^profile /, '')} on port ${settings.port}`,
    scope: place.scope,
    command: [process.execPath, resolve(packageRoot, 'bin', 'jsg.js'), ...launchWords(options, extraArgs)],
    workingDirectory: place.scope === 'user' ? homedir() : '/',
    user: process.env.SUDO_USER ?? userInfo().username,
    groups: existingGroups(),
    environment: pick(KEPT_VARIABLES),
    environmentFile: hasSecrets ? place.environmentFile : null,
    memoryMax: memoryMax(options.memoryMax),
    drainTimeoutSeconds: settings['drain-timeout'],
  });
  if (options.print) {
    process.stdout.write(text);
    return 0;
  }
  if (!hasSecrets) rmSync(place.environmentFile, { force: true });
  await installUnit(place, text, hasSecrets ? environmentFileText(secrets) : null, options.start !== false);
  const linger = place.scope === 'user' ? '\nloginctl enable-linger   # lets it run while you are not logged in' : '';
  process.stdout.write(
    `${place.path}\njsg service status --name ${name}\njsg service logs --name ${name} --follow${linger}\n`,
  );
  return 0;
}

/** Exit code 0 while it runs, 1 otherwise. */
export async function status(options: Options): Promise<number> {
  const { place, name } = existing(options);
  const names = [
    'ActiveState',
    'SubState',
    'StatusText',
    'MainPID',
    'MemoryCurrent',
    'NRestarts',
    'ActiveEnterTimestamp',
    'Result',
  ];
  const found = await showUnit(place, names);
  const memory = Number(found.MemoryCurrent);
  const shown = {
    name,
    unit: place.unit,
    state: `${found.ActiveState ?? 'unknown'} (${found.SubState ?? ''})`,
    status: found.StatusText || null,
    since: found.ActiveEnterTimestamp || null,
    pid: Number(found.MainPID) || null,
    memory_bytes: Number.isFinite(memory) && memory > 0 && memory < 2 ** 60 ? memory : null,
    restarts: Number(found.NRestarts) || 0,
    result: found.Result ?? null,
  };
  if (options.json) process.stdout.write(`${JSON.stringify(shown, null, 2)}\n`);
  else
    process.stdout.write(
      formatTable(Object.entries(shown).map(([key, value]) => [key, value === null ? '-' : String(value)])),
    );
  return found.ActiveState === 'active' ? 0 : 1;
}

export async function logs(options: Options): Promise<number> {
  const lines = /^\d{1,6}$/.test(String(options.lines ?? '100')) ? Number(options.lines ?? 100) : null;
  if (lines === null) throw new JsgError('E_USAGE', `--lines: '${options.lines}' is not a whole number`);
  return followJournal(existing(options).place, { lines, follow: options.follow === true });
}

export async function uninstall(options: Options): Promise<number> {
  const { place } = existing(options);
  await uninstallUnit(place);
  process.stdout.write(`${place.unit} is gone\n`);
  return 0;
}

/** The service that is meant: the one named, or the only one there is. */
function existing(options: Options) {
  const scope = scopeOf(options);
  const names = installedNames(scope);
  const known = names.length > 0 ? `There are: ${names.join(', ')}.` : 'jsg service install --profile smollm2';
  const name = options.name === undefined ? (names.length === 1 ? names[0] : undefined) : requireName(options.name);
  if (name === undefined) {
    const message =
      names.length === 0 ? `no ${scope} service of jsg is installed` : 'there are several services: name one';
    throw new JsgError('E_USAGE', message, {
      hint: names.length === 0 ? known : `--name ${names.join(' or --name ')}`,
    });
  }
  if (!names.includes(name))
    throw new JsgError('E_NOT_FOUND', `no ${scope} service '${name}' is installed`, { hint: known });
  return { name, place: placeOf(name, scope) };
}

function scopeOf({ system, user }: Options): Scope {
  if (system && user) throw new JsgError('E_USAGE', '--system and --user are given: one of them');
  if (system) return 'system';
  if (user) return 'user';
  return process.getuid?.() === 0 ? 'system' : 'user';
}

function requireName(name: unknown): string {
  if (typeof name === 'string' && /^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) return name;
  throw new JsgError('E_USAGE', `--name: '${name}' is not letters, digits, dots and dashes`);
}

function memoryMax(given: unknown): string {
  const text = String(given ?? '90%');
  if (/^([1-9]\d?|100)%$|^[1-9]\d{0,8}[KMGT]$/.test(text)) return text;
  throw new JsgError('E_USAGE', `--memory-max: '${text}' is neither a share nor a size`, {
    hint: 'For example 90% or 24G.',
  });
}

/** Settings whose values are paths: a unit starts in another folder. */
const PATHS: readonly FlagName[] = ['tokenizer-path', 'chat-template', 'api-key-file', 'python', 'venv', 'log-dir'];

/** The words of the launch that was asked for; a key stays out. */
function launchWords(options: Options, extraArgs: string[]): string[] {
  const flags = givenFlags(options);
  const profile = options.profile === undefined ? [] : ['--profile', profileWord(String(options.profile))];
  const words = FLAG_NAMES.filter((name) => name !== 'api-key' && flags[name] !== undefined).flatMap((name) => {
    const spec: FlagSpec = FLAGS[name];
    if (spec.kind === 'toggle') return flags[name] ? [`--${name}`] : [];
    return [`--${name}`, pathWord(name, String(flags[name]))];
  });
  const force = options.force ? ['--force'] : [];
  return ['launch', ...profile, ...words, ...force, ...(extraArgs.length > 0 ? ['--', ...extraArgs] : [])];
}

const profileWord = (text: string) => (text.includes('/') || /\.ya?ml$/.test(text) ? findProfile(text) : text);

function pathWord(name: FlagName, value: string): string {
  // A model may be a path or the id of one on the hub.
  const isPath =
    (PATHS.includes(name) && (name !== 'python' || value.includes('/'))) ||
    (name === 'model-path' && existsSync(value));
  return isPath ? resolve(value) : value;
}

const pick = (names: string[]) =>
  Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name] as string]] : [])));

function existingGroups(): string[] {
  try {
    const groups = readFileSync('/etc/group', 'utf8');
    return GPU_GROUPS.filter((name) => new RegExp(`^${name}:`, 'm').test(groups));
  } catch {
    return [];
  }
}
