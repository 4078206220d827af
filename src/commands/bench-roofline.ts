/** What a board's tensor cores allow a prompt, of models whose files are here: from the byte model of `jsg plan`. */
import { gpuOf, type Target } from '../bench/target.js';
import { probeMachine } from '../device/machine.js';
import type { Source } from '../device/source.js';
import { findModel } from '../plan/find-model.js';
import { machineOfThis } from '../plan/machine.js';
import { prefillPeak } from '../plan/speed.js';

/** Tokens a second at so many tokens a prompt. */
export type PeakOf = (tokens: number) => number | null;

const UNKNOWN: PeakOf = () => null;

/** Known for servers on the GPU of a board that `jsg plan` knows, at the clocks that it may rise to now. */
export async function peakOfPrefill(target: Target, source: Source): Promise<PeakOf> {
  const { modelPath } = target;
  if (modelPath === null || gpuOf(target) === null) return UNKNOWN;
  try {
    const model = await findModel({ 'model-path': modelPath, revision: null, 'load-format': 'auto', dtype: 'auto' });
    const { rates } = machineOfThis(await probeMachine(source), { bandwidthGBs: null, gpuMemory: null });
    return (tokens) => prefillPeak(model, rates, tokens);
  } catch {
    return UNKNOWN; // a share that is not known is no fault of a measurement
  }
}
