/** Which Jetson this is, from its device tree and its boot control file. */
import { type Module, moduleOfPart, moduleOfText } from './modules.js';
import { oneValue } from './source.js';

export interface Board {
  /** `Jetson AGX Orin 64GB` */
  name: string;
  /** `p3701-0005` */
  partNumber: string | null;
  /** Text of the device tree; a carrier maker may have put its own here. */
  model: string | null;
  /** `tegra234` */
  soc: string | null;
  /** Whether the device tree is the one of a Super flash: it says so in `compatible`, and at the end of `model`. */
  isSuper: boolean;
  /** Whether the boot control file names a Super flash; null: it is not there or tells nothing. */
  isSuperInBootControl: boolean | null;
  /** Memory of the module as it is sold, GiB. */
  ramGib: number | null;
}

export interface BoardTexts {
  model: string | null;
  /** Items ended by NUL, or by a newline where they went through a text tool. */
  compatible: string | null;
  /** /etc/nv_boot_control.conf */
  bootControl: string | null;
  /** MemTotal, bytes; 0: not known. */
  memoryBytes: number;
}

/** Null: nothing here says Jetson. */
export function identifyBoard({ model: modelText, compatible, bootControl, memoryBytes }: BoardTexts): Board | null {
  const model = oneValue(modelText?.replaceAll('\0', '\n') ?? null);
  const items = (compatible ?? '')
    .toLowerCase()
    .split(/[\0\s]+/)
    .filter(Boolean);
  const spec = bootControl === null ? null : parseBootControl(bootControl);
  const partNumber = modulePart(items) ?? spec?.partNumber ?? null;
  const named = model === null ? null : moduleOfText(model);
  const byPart = partNumber === null ? null : moduleOfPart(partNumber);
  const soc = items.map((item) => /^nvidia,(tegra\d+)$/.exec(item)?.[1]).find(Boolean);
  if (byPart === null && named === null && soc === undefined) return null;
  const module = choose(byPart, named);
  const ramGib = module?.ramGib ?? soldRamGib(memoryBytes);
  return {
    name: nameWithRam(module?.name ?? model ?? `board with ${soc}`, module, ramGib),
    partNumber,
    model,
    soc: soc ?? module?.soc ?? null,
    isSuper: items.some((item) => /-super$/.test(item)) || /\bSuper$/i.test(model ?? ''),
    isSuperInBootControl: spec?.isSuper ?? null,
    ramGib,
  };
}

/** The part number wins over the text, except where it stands for a family and the text is more exact, or kept an old name. */
function choose(byPart: Module | null, named: Module | null): Module | null {
  if (byPart === null) return named;
  if (named?.name === 'Jetson Xavier' && byPart.name.startsWith('Jetson AGX Xavier')) {
    return { ...byPart, name: byPart.name.replace('AGX ', '') };
  }
  if (named !== null && named.soc === byPart.soc && byPart.name === 'Jetson Orin') return named;
  return byPart;
}

function nameWithRam(name: string, module: Module | null, ramGib: number | null): string {
  const severalSizes = /Jetson (AGX Orin|Orin NX|Orin Nano|AGX Xavier|Xavier NX)$/.test(name);
  return module !== null && severalSizes && ramGib !== null ? `${name} ${ramGib}GB` : name;
}

/**
 * `nvidia,p3737-0000+p3701-0005`: carrier, then module. Modules carry revisions (`-b00`) and `-super` behind the number.
 * A number that is no module's is a carrier's.
 */
function modulePart(items: string[]): string | null {
  const numbers = items.flatMap((item) => item.match(/(?:p\d{4}|r375)-\d{4}/g)?.reverse() ?? []);
  return numbers.find((part) => moduleOfPart(part) !== null) ?? null;
}

/** TNSPEC `3767-300-0005-S.1-1-1-jetson-orin-nano-devkit-super-`, or COMPATIBLE_SPEC, which leaves fields empty. */
export function parseBootControl(text: string): { partNumber: string | null; isSuper: boolean } | null {
  const specs = [...text.matchAll(/^\s*(?:TNSPEC|COMPATIBLE_SPEC)\s+(\d{4})-(\d*)-(\d{4})-(\S*)/gm)];
  const first = specs[0];
  if (first === undefined) return null;
  return {
    partNumber: `p${first[1]}-${first[3]}`,
    isSuper: specs.some(([, , , , rest]) => /-super(-|$)/.test(rest ?? '')),
  };
}

/** Sizes in which modules are sold, GiB. The kernel and firmware carve-outs take up to a sixth of the small ones. */
const SOLD_GIB = [2, 4, 8, 16, 32, 64, 128];

function soldRamGib(memoryBytes: number): number | null {
  if (memoryBytes === 0) return null;
  return SOLD_GIB.find((size) => size * 1024 ** 3 >= memoryBytes) ?? null;
}
