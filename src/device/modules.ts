/** Jetson modules by part number, and by the names that device trees give. Data, and looking it up. */

export interface Module {
  name: string;
  soc: Soc;
  /** Null: sold in several sizes under this part number. */
  ramGib: number | null;
}

export type Soc = 'tegra264' | 'tegra234' | 'tegra194' | 'tegra186' | 'tegra210' | 'tegra124';

/** Compute capability times ten. */
const SM: Record<Soc, number> = { tegra264: 110, tegra234: 87, tegra194: 72, tegra186: 62, tegra210: 53, tegra124: 32 };

export function smOf(soc: string): number | null {
  return (
    (SM as Record<string, number | undefined>)[
      soc.replace(/^tegra23\d$/, 'tegra234').replace(/^tegra26\d$/, 'tegra264')
    ] ?? null
  );
}

const MODULES: Record<string, Module> = {
  'p3834-0008': { name: 'Jetson AGX Thor', soc: 'tegra264', ramGib: 128 },
  'p3834-0000': { name: 'Jetson T4000', soc: 'tegra264', ramGib: 64 },
  'p3767-0005': { name: 'Jetson Orin Nano 8GB', soc: 'tegra234', ramGib: 8 },
  'p3767-0004': { name: 'Jetson Orin Nano 4GB', soc: 'tegra234', ramGib: 4 },
  'p3767-0003': { name: 'Jetson Orin Nano 8GB', soc: 'tegra234', ramGib: 8 },
  'p3767-0001': { name: 'Jetson Orin NX 8GB', soc: 'tegra234', ramGib: 8 },
  'p3767-0000': { name: 'Jetson Orin NX 16GB', soc: 'tegra234', ramGib: 16 },
  'p3701-0008': { name: 'Jetson AGX Orin Industrial', soc: 'tegra234', ramGib: 64 },
  'p3701-0005': { name: 'Jetson AGX Orin 64GB', soc: 'tegra234', ramGib: 64 },
  'p3701-0004': { name: 'Jetson AGX Orin 32GB', soc: 'tegra234', ramGib: 32 },
  'p3701-0002': { name: 'IGX Orin', soc: 'tegra234', ramGib: 64 },
  'p3701-0001': { name: 'Jetson AGX Orin', soc: 'tegra234', ramGib: null },
  'p3701-0000': { name: 'Jetson AGX Orin', soc: 'tegra234', ramGib: null },
  'p3668-0003': { name: 'Jetson Xavier NX 16GB', soc: 'tegra194', ramGib: 16 },
  'p3668-0001': { name: 'Jetson Xavier NX 8GB', soc: 'tegra194', ramGib: 8 },
  'p3668-0000': { name: 'Jetson Xavier NX 8GB', soc: 'tegra194', ramGib: 8 },
  'p2888-0008': { name: 'Jetson AGX Xavier Industrial', soc: 'tegra194', ramGib: 32 },
  'p2888-0006': { name: 'Jetson AGX Xavier 8GB', soc: 'tegra194', ramGib: 8 },
  'p2888-0005': { name: 'Jetson AGX Xavier 64GB', soc: 'tegra194', ramGib: 64 },
  'p2888-0004': { name: 'Jetson AGX Xavier 32GB', soc: 'tegra194', ramGib: 32 },
  'p2888-0003': { name: 'Jetson AGX Xavier 32GB', soc: 'tegra194', ramGib: 32 },
  'p2888-0001': { name: 'Jetson AGX Xavier 16GB', soc: 'tegra194', ramGib: 16 },
  'p3448-0003': { name: 'Jetson Nano 2GB', soc: 'tegra210', ramGib: 2 },
  'p3448-0002': { name: 'Jetson Nano 4GB', soc: 'tegra210', ramGib: 4 },
  'p3448-0000': { name: 'Jetson Nano 4GB', soc: 'tegra210', ramGib: 4 },
  'p3636-0001': { name: 'Jetson TX2 NX', soc: 'tegra186', ramGib: 4 },
  'p3489-0888': { name: 'Jetson TX2 4GB', soc: 'tegra186', ramGib: 4 },
  'p3489-0000': { name: 'Jetson TX2i', soc: 'tegra186', ramGib: 8 },
  'p3310-1000': { name: 'Jetson TX2', soc: 'tegra186', ramGib: 8 },
  'p2180-1000': { name: 'Jetson TX1', soc: 'tegra210', ramGib: 4 },
  'r375-0001': { name: 'Jetson TK1', soc: 'tegra124', ramGib: 2 },
  'p3904-0000': { name: 'Clara AGX', soc: 'tegra194', ramGib: 32 },
};

/** Modules whose exact part number is not in the table, by its first half. */
const FAMILIES: Record<string, Module> = {
  p3834: { name: 'Jetson AGX Thor', soc: 'tegra264', ramGib: null },
  p3767: { name: 'Jetson Orin', soc: 'tegra234', ramGib: null },
  p3701: { name: 'Jetson AGX Orin', soc: 'tegra234', ramGib: null },
  p3668: { name: 'Jetson Xavier NX', soc: 'tegra194', ramGib: null },
  p2888: { name: 'Jetson AGX Xavier', soc: 'tegra194', ramGib: null },
  // The developer kit as a whole: how device trees before R35 name it.
  p2972: { name: 'Jetson AGX Xavier', soc: 'tegra194', ramGib: null },
  p3448: { name: 'Jetson Nano', soc: 'tegra210', ramGib: null },
  p3636: { name: 'Jetson TX2 NX', soc: 'tegra186', ramGib: 4 },
  p3489: { name: 'Jetson TX2', soc: 'tegra186', ramGib: null },
  p3310: { name: 'Jetson TX2', soc: 'tegra186', ramGib: 8 },
  p2180: { name: 'Jetson TX1', soc: 'tegra210', ramGib: 4 },
  r375: { name: 'Jetson TK1', soc: 'tegra124', ramGib: 2 },
  p3904: { name: 'Clara AGX', soc: 'tegra194', ramGib: null },
};

/** Null: not a module's part number (a carrier board's, say). */
export function moduleOfPart(part: string): Module | null {
  return MODULES[part] ?? FAMILIES[part.split('-')[0] ?? ''] ?? null;
}

/** What model texts call the modules, the more exact name first. */
const NAMES: readonly [pattern: RegExp, name: string, soc: Soc][] = [
  [/\bIGX\b.*\bOrin\b/i, 'IGX Orin', 'tegra234'],
  [/\bClara\s*AGX\b/i, 'Clara AGX', 'tegra194'],
  [/\bT4000\b/i, 'Jetson T4000', 'tegra264'],
  [/\bThor\b/i, 'Jetson AGX Thor', 'tegra264'],
  [/\bAGX[\s-]*Orin\b/i, 'Jetson AGX Orin', 'tegra234'],
  [/\bOrin[\s-]*NX\b/i, 'Jetson Orin NX', 'tegra234'],
  [/\bOrin[\s-]*Nano\b/i, 'Jetson Orin Nano', 'tegra234'],
  [/\bXavier[\s-]*NX\b/i, 'Jetson Xavier NX', 'tegra194'],
  [/\bAGX[\s-]*Xavier\b|\bJetson-AGX\b/i, 'Jetson AGX Xavier', 'tegra194'],
  // The module's name of 2018, before there was an NX.
  [/\bJetson[\s-]*Xavier\b/i, 'Jetson Xavier', 'tegra194'],
  [/\bTX2[\s-]*NX\b/i, 'Jetson TX2 NX', 'tegra186'],
  [/\bTX2\b|\bquill\b/i, 'Jetson TX2', 'tegra186'],
  [/\bTX1\b|\bjetson_tx1\b/i, 'Jetson TX1', 'tegra210'],
  [/\bTK1\b/i, 'Jetson TK1', 'tegra124'],
  [/\bJetson[\s-]*Nano\b/i, 'Jetson Nano', 'tegra210'],
];

/** The module that a device tree's model text names; a carrier maker's own text often names none. */
export function moduleOfText(text: string): Module | null {
  const found = NAMES.find(([pattern]) => pattern.test(text));
  if (found === undefined) return null;
  const told = /\b(\d{1,3})\s*GB\b/i.exec(text)?.[1];
  return { name: found[1], soc: found[2], ramGib: told === undefined ? null : Number(told) };
}
