/** Units of jsg on this machine: written, started, asked, removed, by systemctl. */
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { JsgError } from '../errors.js';
import { writeAtomically } from '../files.js';

export type Scope = 'user' | 'system';

export interface UnitPlace {
  scope: Scope;
  /** `jsg-triton.service` */
  unit: string;
  path: string;
  /** For what the unit must not show. */
  environmentFile: string;
}

export function placeOf(name: string, scope: Scope, env: NodeJS.ProcessEnv = process.env): UnitPlace {
  const config = env.XDG_CONFIG_HOME || join(homedir(), '.config');
  const unit = `jsg-${name}.service`;
  const folder = unitFolder(scope, env);
  const secrets = scope === 'system' ? '/etc/jsg' : join(config, 'jsg', 'services');
  return { scope, unit, path: join(folder, unit), environmentFile: join(secrets, `${name}.env`) };
}

function unitFolder(scope: Scope, env: NodeJS.ProcessEnv): string {
  const config = env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return scope === 'system' ? '/etc/systemd/system' : join(config, 'systemd', 'user');
}

/** Names of the services that were installed. */
export function installedNames(scope: Scope, env: NodeJS.ProcessEnv = process.env): string[] {
  const folder = unitFolder(scope, env);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((file) => /^jsg-(.+)\.service$/.exec(file)?.[1] ?? [])
    .sort();
}

/** Writes the unit and what it reads, and starts it. Where systemd refuses, nothing of it is left. */
export async function installUnit(
  place: UnitPlace,
  text: string,
  secrets: string | null,
  start: boolean,
): Promise<void> {
  try {
    if (secrets !== null) {
      mkdirSync(dirname(place.environmentFile), { recursive: true, mode: 0o700 });
      writeFileSync(place.environmentFile, secrets, { mode: 0o600 });
    }
    writeAtomically(place.path, text);
    await systemctl(place.scope, ['daemon-reload']);
    await systemctl(place.scope, ['enable', place.unit]);
    // Its start takes minutes: `status` and `logs` follow it.
    if (start) await systemctl(place.scope, ['restart', '--no-block', place.unit]);
  } catch (error) {
    for (const path of [place.path, place.environmentFile]) rmSync(path, { force: true });
    await systemctl(place.scope, ['daemon-reload']).catch(() => {});
    throw asJsgError(error, place);
  }
}

export async function uninstallUnit(place: UnitPlace): Promise<void> {
  try {
    await systemctl(place.scope, ['disable', '--now', place.unit]);
    for (const path of [place.path, place.environmentFile]) rmSync(path, { force: true });
    await systemctl(place.scope, ['daemon-reload']);
  } catch (error) {
    throw asJsgError(error, place);
  }
}

/** Properties of a unit, by name. */
export async function showUnit(place: UnitPlace, properties: string[]): Promise<Record<string, string>> {
  const text = await systemctl(place.scope, ['show', place.unit, `--property=${properties.join(',')}`]);
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}

/** Its journal, straight to the terminal; the exit code of journalctl. */
export async function followJournal(
  place: UnitPlace,
  { lines, follow }: { lines: number; follow: boolean },
): Promise<number> {
  const scope = place.scope === 'user' ? ['--user', '--user-unit'] : ['--unit'];
  const args = [...scope, place.unit, '--lines', String(lines), '--no-pager', ...(follow ? ['--follow'] : [])];
  const result = await execa('journalctl', args, { stdio: 'inherit', reject: false });
  if (result.exitCode === undefined && !result.signal) throw noSystemd('journalctl', result.shortMessage ?? '');
  // Ctrl-C is how one stops following.
  return result.signal === 'SIGINT' ? 0 : (result.exitCode ?? 1);
}

async function systemctl(scope: Scope, args: string[]): Promise<string> {
  const words = [...(scope === 'user' ? ['--user'] : []), ...args];
  const result = await execa('systemctl', words, {
    reject: false,
    stdin: 'ignore',
    env: { SYSTEMD_PAGER: '', LC_ALL: 'C' },
  });
  if (!result.failed) return result.stdout;
  if (result.exitCode === undefined) throw noSystemd('systemctl', result.shortMessage ?? '');
  const said = (result.stderr || result.stdout).trim().split('\n')[0] ?? '';
  if (/not been booted with systemd|Failed to connect to (?:user scope )?bus/i.test(said))
    throw noSystemd('systemctl', said);
  throw new JsgError('E_IO_FAILED', `systemctl ${words.join(' ')} failed: ${said}`);
}

function noSystemd(program: string, said: string): JsgError {
  return new JsgError('E_DEVICE_UNSUITABLE', `${program} cannot be used here: ${said.split('\n')[0]}`, {
    hint: 'A service needs systemd (and for --user a login session). `jsg service install --print` shows the unit; in a container let its runtime start `jsg launch` again.',
  });
}

function asJsgError(error: unknown, place: UnitPlace): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS') return error;
  return new JsgError('E_IO_FAILED', `${place.path} cannot be written (${code})`, {
    hint:
      place.scope === 'system'
        ? 'A system unit needs root: sudo, or --user for one of your own.'
        : 'Check who owns the folder.',
  });
}
