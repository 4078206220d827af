/** `jsg bench load`: how long a model takes from the start of the process to its first token. */
import { existsSync, statSync } from 'node:fs';
import { weightFiles } from '../bench/facts.js';
import { measureLoad } from '../bench/load.js';
import type { LoadRow } from '../bench/result.js';
import type { Target } from '../bench/target.js';
import { probeConditions } from '../device/conditions.js';
import { clientKeyOf } from '../engine/address.js';
import { JsgError } from '../errors.js';
import { findModel } from '../plan/find-model.js';
import { chooseForBench, startChosen } from './bench-engine.js';
import { choice, whole } from './bench-options.js';
import { benchProgress } from './bench-progress.js';
import { conclude, Session } from './bench-session.js';
import type { Chosen, Options } from './settings.js';
import { askedToEnd } from './signals.js';

const CACHES = ['cold', 'warm', 'both'] as const;

export async function benchLoad(options: Options): Promise<number> {
  const asked = choice(options, 'cache', CACHES) ?? 'both';
  const caches: LoadRow['cache'][] = asked === 'both' ? ['cold', 'warm'] : [asked];
  const repeats = whole(options, 'repeats', 3, { max: 100 });
  const chosen = chooseForBench(options, 1);
  const files = await filesOf(chosen);
  const progress = benchProgress();
  const { value, exitCode } = await askedToEnd(async (signal) => {
    const session = new Session(options, progress, signal);
    const before = await probeConditions(session.source);
    const targets: Target[] = [];
    const figures = await measureLoad({
      caches,
      repeats,
      files,
      bytes: files.length === 0 ? null : files.reduce((sum, file) => sum + statSync(file).size, 0),
      apiKey: clientKeyOf(chosen.settings),
      start: async () => (await startChosen(chosen, { ...progress, tell: () => {} }, signal)).server,
      source: session.source,
      onProgress: (what, fraction) => progress.update(what, fraction),
      onTarget: (target) => targets.push(target),
      signal,
    });
    progress.end();
    const after = await probeConditions(session.source);
    const [target] = targets;
    if (target === undefined) throw new JsgError('E_INTERRUPTED', 'the run was ended before anything was measured');
    const workload = { caches, repeats };
    return session.result(target, { kind: 'load', workload, ...figures }, { before, after, readBandwidthGBs: null });
  });
  return conclude(options, value, exitCode);
}

/** The files that a start reads; none of a model that is not here yet, or of random weights. */
async function filesOf({ settings }: Chosen): Promise<string[]> {
  if (settings['load-format'] === 'dummy') return [];
  const { path, source } = await findModel(settings).catch(() => ({ path: null, source: null }));
  if (path === null || source !== 'files' || !existsSync(path)) {
    throw new JsgError('E_MODEL_NOT_FOUND', `${settings['model-path']}: its files are not on this machine yet`, {
      hint: 'Launch it once, so that a download is not what is measured.',
    });
  }
  return weightFiles(path);
}
