/** What to change so that it fits: every change is tried on the plan before it is told. Pure. */
import { tensorsOf } from './find-model.js';
import type { PlanRequest } from './plan.js';
import { KNOWN_MODELS } from './shapes.js';

export interface Change {
  /** Flags to add, or what to do, in a few words. */
  what: string;
}

interface Step extends Change {
  /** Null: does not apply here, or is no change. */
  apply: (request: PlanRequest) => PlanRequest | null;
}

const withSettings = (request: PlanRequest, settings: Partial<PlanRequest['settings']>): PlanRequest => ({
  ...request,
  settings: { ...request.settings, ...settings },
});

const SHORTER_CONTEXTS = [4096, 2048, 1024];
const MOST_FRACTION = 0.95;

/** From what costs nothing in quality to what costs most. */
const STEPS: Step[] = [
  {
    what: `--mem-fraction-static ${MOST_FRACTION}`,
    apply: (request) =>
      request.settings['mem-fraction-static'] < MOST_FRACTION
        ? withSettings(request, { 'mem-fraction-static': MOST_FRACTION })
        : null,
  },
  {
    what: 'without the desktop (sudo systemctl isolate multi-user.target)',
    apply: (request) => {
      const { machine } = request;
      if (machine.desktopBytes === 0) return null;
      const availableBytes = machine.availableBytes + machine.desktopBytes;
      return { ...request, machine: { ...machine, availableBytes, desktopBytes: 0 } };
    },
  },
  ...SHORTER_CONTEXTS.map((context) => ({
    what: `--context-length ${context}`,
    apply: (request: PlanRequest) =>
      (request.settings['context-length'] ?? 8192) > context
        ? withSettings(request, { 'context-length': context, 'max-total-tokens': null })
        : null,
  })),
  {
    what: '--streams 1',
    apply: (request) => (request.streams > 1 ? { ...request, streams: 1 } : null),
  },
  {
    what: '--kv-cache-dtype fp8_e4m3',
    apply: (request) =>
      request.settings.device === 'cuda' && request.settings['kv-cache-dtype'] === 'auto'
        ? withSettings(request, { 'kv-cache-dtype': 'fp8_e4m3' })
        : null,
  },
  {
    what: '--quant int4wo-128',
    apply: (request) =>
      request.settings['torchao-config'] === null ? withSettings(request, { 'torchao-config': 'int4wo-128' }) : null,
  },
  {
    what: '--lm-head-dtype int8',
    apply: (request) =>
      request.settings['lm-head-dtype'] === 'auto' ? withSettings(request, { 'lm-head-dtype': 'int8' }) : null,
  },
];

/** Single changes that are enough; else the shortest run of changes that is; and a smaller model. At most four. */
export function waysToFit(request: PlanRequest, fits: (request: PlanRequest) => boolean): Change[] {
  const single = STEPS.filter(({ apply }) => {
    const changed = apply(request);
    return changed !== null && fits(changed);
  });
  const first = single.filter(
    ({ what }, i) => !(isContext(what) && single.slice(0, i).some((way) => isContext(way.what))),
  );
  const ways: Change[] = first.length > 0 ? first.slice(0, 3) : together(request, fits);
  return [...ways, ...smallerModel(request, fits)];
}

const isContext = (what: string) => what.startsWith('--context-length');

/** Changes added one after another, those that cost most quality last, until it fits; then each that is not needed is dropped. */
function together(request: PlanRequest, fits: (request: PlanRequest) => boolean): Change[] {
  let taken: Step[] = [];
  for (const step of STEPS) {
    taken = [...taken.filter(({ what }) => !(isContext(what) && isContext(step.what))), step];
    if (fits(applyAll(request, taken))) break;
  }
  if (!fits(applyAll(request, taken))) return [];
  for (const step of taken) {
    const fewer = taken.filter((other) => other !== step);
    if (fits(applyAll(request, fewer))) taken = fewer;
  }
  const longer = STEPS.filter(({ what }) => isContext(what))
    .map((step) => taken.map((other) => (isContext(other.what) ? step : other)))
    .find((steps) => fits(applyAll(request, steps)));
  const applied = (longer ?? taken).filter(({ apply }) => apply(request) !== null);
  return applied.length > 0 ? [{ what: applied.map(({ what }) => what).join(', ') }] : [];
}

const applyAll = (request: PlanRequest, steps: readonly Step[]) =>
  steps.reduce((changed, { apply }) => apply(changed) ?? changed, request);

/** The largest known model that fits as everything else is asked for. */
function smallerModel(request: PlanRequest, fits: (request: PlanRequest) => boolean): Change[] {
  const sizeOf = (tensors: readonly { nbytes: number }[]) => tensors.reduce((sum, { nbytes }) => sum + nbytes, 0);
  const candidates = KNOWN_MODELS.filter(({ config }) => {
    return config.maxContextLength >= (request.settings['context-length'] ?? 0);
  })
    .map((known) => ({ id: known.ids.at(-1) ?? '', ...tensorsOf(known) }))
    .filter(({ tensors }) => sizeOf(tensors) < sizeOf(request.model.tensors))
    .sort((a, b) => sizeOf(b.tensors) - sizeOf(a.tensors));
  const found = candidates.find(({ config, tensors }) =>
    fits({ ...request, model: { ...request.model, config, tensors } }),
  );
  return found === undefined ? [] : [{ what: `a smaller model, for one --model-path ${found.id}` }];
}
