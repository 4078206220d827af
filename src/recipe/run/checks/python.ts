/** Whether a clean interpreter takes what was installed: by importing it, and by launching a kernel of it. */
import type { Check } from '../../plan.js';
import { ANSWER, answerOf, type CheckContext, type Finding, failed, faultOf, passed, skipped } from './finding.js';

/** Names come by argument, so that none is taken for code. Argument 1: the module; the rest: what it needs. */
const IMPORT = `
import importlib, importlib.util, sys
module, *needs = sys.argv[1:]
missing = [need for need in needs if importlib.util.find_spec(need) is None]
if missing:
    print('${ANSWER}missing ' + ' '.join(missing))
else:
    print('${ANSWER}version ' + str(getattr(importlib.import_module(module), '__version__', '')))
`;

export async function examineImport(
  { module, version, needs }: Extract<Check, { kind: 'import' }>,
  { python }: CheckContext,
): Promise<Finding> {
  const asked = await python(IMPORT, module, ...needs);
  const [kind, answer = ''] = answerOf(asked)?.split(/ (.*)/) ?? [];
  if (kind === 'missing') return skipped(`import ${module}: ${whereFrom(answer)}`);
  if (asked.exitCode !== 0 || kind !== 'version') return failed(`import ${module}: ${faultOf(asked)}`);
  // Many packages have no __version__; a local part (+cu126) is no other version.
  const isOther = version !== null && answer !== '' && answer.split('+')[0] !== version.split('+')[0];
  return isOther ? failed(`${module} is ${answer}, not ${version}`) : passed(`import ${module} ${answer}`.trim());
}

const whereFrom = (missing: string) =>
  `needs ${missing}, which is not installed here${missing === 'torch' ? ' (jsg build torch)' : ''}`;

/** The code launches a kernel and raises where its result is wrong. */
const LAUNCH = `
import importlib.util, sys
if importlib.util.find_spec('torch') is None:
    print('${ANSWER}missing torch')
    sys.exit()
import torch
if not torch.cuda.is_available():
    sys.exit('torch ' + torch.__version__ + ' finds no GPU')
exec(compile(sys.argv[1], 'kernel', 'exec'), {})
torch.cuda.synchronize()
print('${ANSWER}launched ' + torch.cuda.get_device_name())
`;

export async function examineKernel(
  { title, code }: Extract<Check, { kind: 'kernel' }>,
  { python }: CheckContext,
): Promise<Finding> {
  const asked = await python(LAUNCH, code);
  const [kind, answer = ''] = answerOf(asked)?.split(/ (.*)/) ?? [];
  if (kind === 'missing') return skipped(`${title}: ${whereFrom(answer)}`);
  return asked.exitCode === 0 && kind === 'launched'
    ? passed(`${title}, on ${answer}`)
    : failed(`${title}: ${faultOf(asked)}`);
}
