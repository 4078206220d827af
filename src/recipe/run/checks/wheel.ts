/** Whether a wheel is whole, is for this Python and machine, and holds what it must. */
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { readWheelEntries } from '../../../device/wheel-file.js';
import { parseWheelName } from '../../../device/wheel-name.js';
import type { Check } from '../../plan.js';
import { newestMatch } from '../files.js';
import { ANSWER, answerOf, type CheckContext, type Finding, failed, faultOf, megabytes, passed } from './finding.js';

/** Which of the tags given this Python takes; pip holds the rules of PEP 425. */
const TAGS = `
import sys
from pip._vendor.packaging.tags import sys_tags
supported = {str(tag) for tag in sys_tags()}
print('${ANSWER}' + ' '.join(tag for tag in sys.argv[1:] if tag in supported))
`;

export async function examineWheel(
  { file, minBytes }: Extract<Check, { kind: 'wheel' }>,
  { build, python }: CheckContext,
): Promise<Finding> {
  const path = newestMatch(build, file);
  if (path === null) return failed(`no file matches ${file}`);
  const name = basename(path);
  const parsed = parseWheelName(name);
  if (parsed === null || readWheelEntries(path) === null) return failed(`${name} is no whole wheel`);
  const bytes = statSync(path).size;
  if (bytes < minBytes) {
    return failed(`${name} has ${megabytes(bytes)}, at least ${megabytes(minBytes)} are expected: it is not complete`);
  }
  const asked = await python(TAGS, ...parsed.tags);
  const taken = answerOf(asked);
  if (asked.exitCode !== 0 || taken === null)
    return failed(`its Python does not tell what it takes: ${faultOf(asked)}`);
  if (taken === '')
    return failed(`${name} is for ${parsed.tags.join(', ')}, which this Python or machine does not take`);
  return passed(`${name}, ${megabytes(bytes)}`);
}

export function examineContents(
  { file, prefix, count }: Extract<Check, { kind: 'contents' }>,
  { build }: CheckContext,
): Finding {
  const path = newestMatch(build, file);
  if (path === null) return failed(`no file matches ${file}`);
  const entries = readWheelEntries(path);
  if (entries === null) return failed(`${basename(path)} is no whole wheel`);
  const found = entries.filter(({ name }) => name.startsWith(prefix) && !name.endsWith('/')).length;
  const detail = `${found} files under ${prefix}`;
  return found >= count ? passed(detail) : failed(`${detail} in ${basename(path)}, at least ${count} are expected`);
}
