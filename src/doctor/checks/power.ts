/** Is the board in its fastest power mode, and will it stay there? */
import type { PowerMode } from '../../device/nvpmodel.js';
import { type CurrentMode, sameName } from '../../device/power.js';
import { boardOf } from '../../plan/board.js';
import { type Check, outcome } from '../check.js';
import type { Facts } from '../facts.js';
import { lossBetween } from '../loss.js';

export const powerMode: Check = {
  id: 'power-mode',
  group: 'performance',
  expected: 'the highest power mode of the active configuration',
  why: 'decoding is bound by the memory clock and prefill by the GPU clock; both are capped by the mode',
  look: (facts) => {
    const { power, speed } = facts;
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
    return { ...outcome('warn', `${describe(current)}${from}`, switchTo(facts, max)), expected, why };
  },
};

const describe = ({ id, name }: CurrentMode | PowerMode) => `${name ?? 'mode'}${id === null ? '' : ` (id ${id})`}`;
const list = (modes: PowerMode[]) => modes.map(({ name }) => name).join(', ');

function switchTo(facts: Facts, max: PowerMode): string {
  const reboots = asksForReboot(facts, max);
  const note = { yes: '   # asks for a reboot', no: '', unknown: '   # may ask for a reboot' }[reboots];
  return `sudo nvpmodel -m ${max.id}${note}`;
}

/**
 * A mode that powers other parts of the GPU takes a restart: by the masks of the board's own file, else by the number of
 * SMs that the table of boards has for both.
 */
function asksForReboot({ power, board, device }: Facts, max: PowerMode): 'yes' | 'no' | 'unknown' {
  const name = power?.current?.name;
  if (name == null) return 'unknown';
  const now = power?.modes.find((each) => sameName(each.name, name));
  if (now?.gating && max.gating) return now.gating === max.gating ? 'no' : 'yes';
  const modes = board === null ? [] : (boardOf({ ...board, memoryBytes: device.memory.totalBytes })?.modes ?? []);
  const numSms = (wanted: string) => modes.find((each) => sameName(each.name, wanted))?.numSms ?? null;
  const [before, after] = [numSms(name), numSms(max.name)];
  if (before === null || after === null) return 'unknown';
  return before === after ? 'no' : 'yes';
}

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
