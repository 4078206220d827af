/** The `{names}` of recipes: what the device and its versions say. */
import { indexUrl } from '../device/wheel-index.js';
import { JsgError } from '../errors.js';
import type { PlanDevice } from './plan.js';
import type { Versions } from './variants.js';

export interface Fill {
  /** Throws E_DEVICE_UNSUITABLE for a name that has no value here, E_INTERNAL for one that there is not. */
  text: (template: string) => string;
  /** Leaves out what has no value here: a build for no GPU sets no list of architectures. */
  map: (variables: Record<string, string>) => Record<string, string>;
}

/** Left for the runner. */
const LATER = new Set(['jobs', 'package']);
const NAME = /\{(\w+)\}/g;

export function filler(device: PlanDevice, versions: Versions | null): Fill {
  const values: Record<string, string | null> = {
    arch: device.sm === null ? null : archOf(device.sm),
    sm: device.sm === null ? null : String(device.sm),
    machine: device.arch === 'arm64' ? 'aarch64' : 'x86_64',
    index: device.platform === null ? null : indexUrl(device.platform),
    torch: versions?.torch ?? null,
  };
  const known = (name: string) => {
    if (name in values) return values[name] ?? null;
    throw new JsgError('E_INTERNAL', `a recipe names {${name}}, which there is not`);
  };
  const text = (template: string) =>
    template.replace(NAME, (whole, name: string) => {
      if (LATER.has(name)) return whole;
      const value = known(name);
      if (value !== null) return value;
      throw new JsgError('E_DEVICE_UNSUITABLE', `${MEANINGS[name] ?? name} is not known for ${describe(device)}`, {
        hint: 'The table is wheels/index.yaml: JetPack 6.1 and later.',
      });
    });
  const isKnown = (template: string) =>
    [...template.matchAll(NAME)].every(([, name = '']) => LATER.has(name) || known(name) !== null);
  return {
    text,
    map: (variables) =>
      Object.fromEntries(
        Object.entries(variables)
          .filter(([, template]) => isKnown(template))
          .map(([name, template]) => [name, text(template)]),
      ),
  };
}

const MEANINGS: Record<string, string> = {
  index: 'the index of wheels',
  torch: 'a torch that works',
  arch: 'the compute capability',
  sm: 'the compute capability',
};

/** 87 -> `8.7`, 110 -> `11.0`: how TORCH_CUDA_ARCH_LIST writes it. */
export const archOf = (sm: number) => `${Math.floor(sm / 10)}.${sm % 10}`;

const describe = ({ name, jetpack, l4t }: PlanDevice) =>
  [name, jetpack && `JetPack ${jetpack}`, l4t && `L4T ${l4t}`].filter(Boolean).join(', ');
