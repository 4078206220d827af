/** Is the board in its fastest power mode, and will it stay there? */
import type { PowerMode } from '../../device/nvpmodel.js';
import { type CurrentMode, type Power, sameName } from '../../device/power.js';
import { type Check, outcome } from '../check.js';
import { lossBetween } from '../loss.js';

export const powerMode: Check = {
  id: 'power-mode',
  group: 'performance',
  expected: 'the highest power mode of the active configuration',
  why: 'decoding is bound by the memory clock and prefill by the GPU clock; both are capped by the mode',
  look: ({ power, speed }) => {
    if (power === null) return null;
    const { current, max, isMax } = power;
    if (current === null || max === null || isMax === null) {
      const known = current === null ? 'not told' : describe(current);
      return outcome('skip', `current mode: ${known}; nvpmodel and /etc/nvpmodel.conf tell no more`);
    }
    const from = power.source === 'status file' ? ', by /var/lib/nvpmodel/status' : '';
    if (isMax) return outcome('pass', `${describe(current)}, the highest of ${power.modes.length}${from}`);
    const expected = `${describe(max)}, the highest by name of ${list(power.modes)}`;
    const why = `${powerMode.why}${lossBetween(speed, speed?.now ?? null, speed?.atMax ?? null)}`;
    return { ...outcome('warn', `${describe(current)}${from}`, switchTo(power, max)), expected, why };
  },
};

const describe = ({ id, name }: CurrentMode | PowerMode) => `${name ?? 'mode'}${id === null ? '' : ` (id ${id})`}`;
const list = (modes: PowerMode[]) => modes.map(({ name }) => name).join(', ');

/** `#` notes stay with the command: what is pasted runs as it is. */
function switchTo(power: Power, max: PowerMode): string {
  const now = power.modes.find(({ name }) => power.current?.name != null && sameName(name, power.current.name));
  const reboots = now !== undefined && now.gating !== max.gating;
  const gated = reboots || asksForReboot(power.current?.name ?? '');
  return `sudo nvpmodel -m ${max.id}${gated ? '   # asks for a reboot: the GPU is gated otherwise in this mode' : ''}`;
}

/** Modes that NVIDIA ships with other gating masks than the highest has, where the file was not there to compare. */
const asksForReboot = (name: string) => /^(?:MODE_)?(?:7W(?:_\w+)?|10W|15W|70W|90W)$/.test(name);

export const powerDefault: Check = {
  id: 'power-saved',
  group: 'performance',
  expected: 'the current mode saved, so that a reboot keeps it',
  why: 'a board that falls back to its default mode after a reboot serves slower from then on',
  look: ({ power, clocks }) => {
    if (power === null || power.source !== 'nvpmodel' || power.current?.id == null) return null;
    const { current, savedId, defaultId, modes } = power;
    const other = clocks?.modeName ?? null;
    if (other !== null && current.name !== null && !sameName(other, current.name)) {
      const found = `nvpmodel says ${current.name}, jetson_clocks says ${other}`;
      return outcome('warn', found, `sudo nvpmodel -m ${current.id}   # sets it anew, then look again`);
    }
    const next = savedId ?? defaultId;
    if (next === null) return null;
    const nextName = modes.find(({ id }) => id === next)?.name ?? `id ${next}`;
    const where = savedId === null ? 'PM_CONFIG DEFAULT' : '/var/lib/nvpmodel/status';
    if (next === current.id) return outcome('pass', `${describe(current)}, also by ${where}`);
    return outcome(
      'warn',
      `${describe(current)} now, but ${where} names ${nextName}`,
      `sudo nvpmodel -m ${current.id}`,
    );
  },
};
