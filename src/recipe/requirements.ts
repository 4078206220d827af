/** What a device lacks, as far as a plan can tell without looking for tools: warnings, since a plan is only shown. */
import { compareVersions, isOfLine } from '../device/versions.js';
import type { PlanDevice, Requirements } from './plan.js';
import type { Versions } from './variants.js';

export function warningsFor(wanted: Requirements, device: PlanDevice, versions: Versions | null): string[] {
  const { jetpack, cuda, python, sm, isJetson } = device;
  const [oldest, newest] = wanted.python;
  const isTooOld = (found: string | null, least: string | null) =>
    found !== null && least !== null && /^\d/.test(found) && compareVersions(found, least) < 0;
  const isOutside =
    python !== null &&
    (compareVersions(python, oldest) < 0 || (compareVersions(python, newest) > 0 && !isOfLine(python, newest)));
  return [
    ...(isTooOld(jetpack, wanted.jetpack) ? [`JetPack ${jetpack} is here, ${wanted.jetpack} or later is needed`] : []),
    ...(isJetson && versions === null ? ['this JetPack is not in the table of versions that go together'] : []),
    ...(isTooOld(cuda, wanted.cuda) ? [`CUDA ${cuda} is here, ${wanted.cuda} or later is needed`] : []),
    ...(wanted.cuda !== null && cuda === null ? [`CUDA ${wanted.cuda} or later is needed, and none is found`] : []),
    ...(isOutside ? [`Python ${python} is here, ${oldest} to ${newest} is needed`] : []),
    ...(wanted.cuda !== null && sm === null ? ['no GPU is known here: kernels are built for none of it'] : []),
  ];
}
