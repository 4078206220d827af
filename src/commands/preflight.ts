/** Before SGLang loads for minutes: does the doctor know why it would fail, and does it fit? */
import type { Device } from '../device/device.js';
import { JsgError, toJsgError } from '../errors.js';
import { log } from '../log.js';
import { requireSuitable } from '../profile/suitability.js';
import { quoteWord } from '../shell.js';
import { examineFor } from './doctor.js';
import type { Chosen } from './settings.js';

/** Of the doctor's findings those about the native runtime, and about a Python that is not the one that runs SGLang. */
const NOT_OURS = { groups: ['python'], ids: ['addon', 'model-store', 'pip', 'toolchain'] };

/** Throws E_DEVICE_UNSUITABLE naming each finding and its fix; with `force` they are warnings. */
export async function preflight(chosen: Chosen, device: Device, { force }: { force: boolean }): Promise<void> {
  const refuse = (error: JsgError) => {
    if (!force) throw error;
    log.warning(`${error.message} (started all the same: --force)`);
  };
  try {
    requireSuitable(chosen.subject, chosen.settings, device);
  } catch (error) {
    return refuse(toJsgError(error));
  }
  const findings = (await examineFor(nameOf(chosen), chosen.settings)).filter(
    ({ id, group }) => !NOT_OURS.groups.includes(group) && !NOT_OURS.ids.includes(id),
  );
  const failed = findings.filter(({ status }) => status === 'fail');
  const numWarnings = findings.filter(({ status }) => status === 'warn').length;
  if (numWarnings > 0) log.info(`doctor: ${numWarnings} warnings (\`jsg doctor\` shows them with their fixes)`);
  if (failed.length === 0) return;
  const told = failed.map(({ id, found, fix }) => {
    const mend = id === 'profile' ? planOf(chosen) : fix;
    return `${id}: ${found}${mend === null ? '' : `\n       fix: ${mend}`}`;
  });
  const message = `${chosen.subject} would fail here:\n     ${told.join('\n     ')}`;
  refuse(new JsgError('E_DEVICE_UNSUITABLE', message, { hint: '--force starts it all the same.' }));
}

const nameOf = ({ profile, settings }: Chosen) => profile?.name ?? settings['model-path'] ?? 'the model';

/** What says which smaller settings would fit. */
function planOf({ profile, settings }: Chosen): string {
  const what =
    profile === null ? `--model-path ${quoteWord(settings['model-path'] ?? '')}` : `--profile ${profile.name}`;
  return `jsg plan --this --engine sglang ${what}   # says what would fit`;
}
