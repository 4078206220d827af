/** `jsg launch --print`: what would be started, and who decided each value. Works on machines that cannot run it. */
import type { Device } from '../device/device.js';
import { formatCommand, sglangCommand } from '../engine/sglang/command.js';
import { toJsgError } from '../errors.js';
import { FLAG_NAMES, FLAGS } from '../profile/flags.js';
import { requireSuitable } from '../profile/suitability.js';
import { formatTable } from '../table.js';
import { type Chosen, chosenNames } from './settings.js';

/** `extraArgs`: flags of SGLang, which the command ends with. */
export function printSettings(chosen: Chosen, device: Device, asJson: boolean, extraArgs: string[] = []): number {
  const whyNot = faultOf(chosen, device);
  const command =
    chosen.settings.engine === 'sglang' ? sglangCommand(chosen.settings, chosenNames(chosen), extraArgs) : null;
  const shown = FLAG_NAMES.map((name) => {
    const value = chosen.settings[name];
    const isSecret = 'secret' in FLAGS[name] && value !== null;
    return { name, value: isSecret ? '***' : value, origin: chosen.origins[name] };
  });
  if (asJson) {
    const settings = Object.fromEntries(shown.map(({ name, value, origin }) => [name, { value, origin }]));
    const { profile } = chosen;
    const document = {
      profile: profile?.name ?? null,
      reference: profile?.reference ?? null,
      settings,
      ...(command === null ? {} : { command: ['python', '-m', 'sglang.launch_server', ...command.args] }),
      why_not: whyNot,
    };
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  } else if (command !== null) {
    process.stdout.write(`${formatCommand(chosen.settings.python ?? 'python', command)}\n`);
  } else {
    const rows = shown.map(({ name, value, origin }) => [name, value === null ? 'auto' : String(value), origin]);
    process.stdout.write(formatTable([['SETTING', 'VALUE', 'FROM'], ...rows]));
  }
  if (whyNot !== null) process.stderr.write(`jsg: would not start here: ${whyNot}\n`);
  return 0;
}

function faultOf({ subject, settings }: Chosen, device: Device): string | null {
  try {
    requireSuitable(subject, settings, device);
    return null;
  } catch (error) {
    return toJsgError(error).message;
  }
}
