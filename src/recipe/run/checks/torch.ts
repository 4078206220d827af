/** Whether the installed torch was built for CUDA, and for this GPU: no GPU has to be here for that. */
import { codeOfArchList, runsOn } from '../../../device/wheels-arch.js';
import type { Check } from '../../plan.js';
import { ANSWER, answerOf, type CheckContext, type Finding, failed, faultOf, passed, unknown } from './finding.js';

/** get_arch_list() is empty where no GPU can be used; the flags that it was compiled with are there all the same. */
const ASK = `
import json, torch
archs = torch.cuda.get_arch_list()
if not archs and hasattr(torch._C, '_cuda_getArchFlags'):
    archs = (torch._C._cuda_getArchFlags() or '').split()
print('${ANSWER}' + json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda, 'archs': archs}))
`;

interface Told {
  version: string;
  cuda: string | null;
  archs: string[];
}

export async function examineTorch(
  { cuda, sm }: Extract<Check, { kind: 'torch' }>,
  { python, isTegra }: CheckContext,
): Promise<Finding> {
  const asked = await python(ASK);
  const answer = answerOf(asked);
  if (asked.exitCode !== 0 || answer === null) return failed(`import torch: ${faultOf(asked)}`);
  const told = JSON.parse(answer) as Told;
  const what = `torch ${told.version}`;
  if (told.cuda === null) return failed(`${what} was built without CUDA: it runs on the CPU alone`);
  if (cuda !== null && told.cuda !== cuda && !told.cuda.startsWith(`${cuda}.`)) {
    return failed(`${what} was built for CUDA ${told.cuda}, and this is for CUDA ${cuda}`);
  }
  const archs = told.archs.join(' ');
  if (sm === null) return passed(`${what}, CUDA ${told.cuda}${archs === '' ? '' : `, for ${archs}`}`);
  if (archs === '') return unknown(`${what} does not tell for which GPUs it was built`);
  return runsOn(codeOfArchList(told.archs), { arch: sm, isTegra })
    ? passed(`${what}, CUDA ${told.cuda}, for ${archs}; this GPU is sm_${sm}`)
    : failed(`${what} holds no code for this GPU (sm_${sm}): it is for ${archs}`);
}
