/** Texts of nvpmodel: its configuration, its status file, its answer. Pure. */
import type { CurrentMode } from './power.js';

export interface PowerMode {
  id: number;
  name: string;
  /** Ceilings that the mode sets; Infinity: "no limit"; null: not told. */
  gpuMaxHz: number | null;
  emcMaxHz: number | null;
  /** Cores that stay on; null: not told. */
  numCpus: number | null;
  /** Power-gating masks of the mode, as one text: another text means that changing over asks for a reboot. */
  gating: string;
}

export interface ModesConf {
  modes: PowerMode[];
  /** `< PM_CONFIG DEFAULT=2 >` */
  defaultId: number | null;
}

/** What "no limit" is written as: -1, or the largest 32-bit number. */
const hertz = (text: string) =>
  Number(text) < 0 || Number(text) >= 2147483647 ? Number.POSITIVE_INFINITY : Number(text);

/** /etc/nvpmodel.conf: a head of each mode, then its parameters, one `GROUP NAME VALUE` a line. */
export function parseModesConf(text: string): ModesConf {
  const modes: PowerMode[] = [];
  let defaultId: number | null = null;
  for (const line of text.split('\n').map((raw) => raw.replace(/#.*/, '').trim())) {
    const head = /<\s*POWER_MODEL\s+(?=.*\bID\s*=\s*(\d+))(?=.*\bNAME\s*=\s*"?([\w.+-]{1,40})\b)[^>]*>/i.exec(line);
    const standard = /<\s*PM_CONFIG\s+.*?DEFAULT\s*=\s*(\d+)/i.exec(line);
    if (standard !== null) defaultId = Number(standard[1]);
    else if (head?.[2] !== undefined) modes.push({ ...emptyMode, id: Number(head[1]), name: head[2] });
    else addParameter(modes.at(-1), line);
  }
  return { modes, defaultId };
}

const emptyMode = { gpuMaxHz: null, emcMaxHz: null, numCpus: null, gating: '' };

function addParameter(mode: PowerMode | undefined, line: string): void {
  const [group = '', name = '', value] = line.split(/\s+/);
  if (mode === undefined || value === undefined || line.startsWith('<')) return;
  if (/^GPU$/i.test(group) && name === 'MAX_FREQ') mode.gpuMaxHz = hertz(value);
  else if (/^EMC$/i.test(group) && name === 'MAX_FREQ') mode.emcMaxHz = hertz(value) || Number.POSITIVE_INFINITY;
  else if (/^CPU_ONLINE$/i.test(group)) mode.numCpus = (mode.numCpus ?? 0) + Number(value === '1');
  else if (/_POWER_GATING$/i.test(group)) mode.gating += `${group} ${name} ${value};`;
}

/** `pmode:0002 fmode:fan_mode_quiet`, or only `pmode:0000`. */
export function parsePowerStatus(text: string): number | null {
  const id = /\bpmode:\s*(\d+)/i.exec(text)?.[1];
  return id === undefined ? null : Number(id);
}

/** `NV Power Mode: MAXN`, then the id on a line of its own; around it lines about the fan, warnings and parameters. */
export function parsePowerQuery(text: string): CurrentMode | null {
  const match = /NV Power Mode\s*(?:\[(\d{1,3})\])?\s*:\s*([\w.+-]{1,40})/i.exec(text);
  if (match?.[2] === undefined) return null;
  const below = text
    .slice(match.index + match[0].length)
    .split('\n')
    .slice(1);
  const id = match[1] ?? below.find((line) => /^\s*\d{1,3}\s*$/.test(line))?.trim();
  return { id: id === undefined ? null : Number(id), name: match[2] };
}

/** Live ceilings that the parameter lines of `nvpmodel -q --verbose` tell, Hz. */
export function parseLiveCeilings(text: string): { gpuHz: number | null; emcHz: number | null } {
  const of = (group: string) => {
    const value = new RegExp(`PARAM ${group}: ARG MAX_FREQ:.*?REAL_VAL:\\s*(\\d+)`, 'i').exec(text)?.[1];
    return value === undefined || Number(value) === 0 ? null : Number(value);
  };
  return { gpuHz: of('GPU'), emcHz: of('EMC') };
}
