/** A cluster file and a profile as what each machine is to run. Pure. */
import { JsgError } from '../errors.js';
import type { ClusterFile } from './cluster-file.js';

/** Where nodes meet unless told otherwise; SGLang's examples take it too. */
const DIST_INIT_PORT = 20000;

export type Flags = Record<string, string | number | boolean>;

export interface Node {
  /** What ssh takes. */
  ssh: string;
  /** How other machines reach it. */
  address: string;
  /** The command there, a shell's words. */
  jsg: string;
  rank: number;
  /** Flags of `jsg launch` there. */
  flags: Flags;
}

/** `profile`: the settings of the profile. Throws E_USAGE where the file and the profile contradict each other. */
export function nodesOf(file: ClusterFile, profile: Flags): Node[] {
  const shared: Flags = { ...profile, ...file.settings };
  const numNodes = Number(shared.nnodes ?? 1);
  const isOneModel = numNodes > 1;
  if (isOneModel && numNodes !== file.hosts.length) {
    throw new JsgError('E_USAGE', `${file.profile} runs on ${numNodes} machines, and ${file.hosts.length} are listed`, {
      hint: `List ${numNodes} hosts, or set nnodes and tp-size under settings.`,
    });
  }
  const addresses = file.hosts.map(({ ssh, address }) => address ?? hostOf(ssh));
  const twice = file.hosts.find(({ ssh }, index) => file.hosts.findIndex((other) => other.ssh === ssh) !== index);
  if (twice !== undefined) throw new JsgError('E_USAGE', `${twice.ssh} is listed twice`);
  const meetingPoint = `${bracketed(addresses[0] ?? '')}:${file['dist-init-port'] ?? DIST_INIT_PORT}`;
  return file.hosts.map(({ ssh, jsg, settings }, rank) => ({
    ssh,
    address: addresses[rank] as string,
    jsg: jsg ?? 'jsg',
    rank: isOneModel ? rank : 0,
    flags: {
      ...shared,
      ...(isOneModel ? { 'node-rank': rank, 'dist-init-addr': meetingPoint } : {}),
      ...settings,
    },
  }));
}

const hostOf = (ssh: string) => ssh.replace(/^.*@/, '');
const bracketed = (address: string) => (address.includes(':') && !address.startsWith('[') ? `[${address}]` : address);

/** Words of a command line; a switch that is off is left out. */
export function flagWords(flags: Flags): string[] {
  return Object.entries(flags).flatMap(([name, value]) => {
    if (value === false) return [];
    return value === true ? [`--${name}`] : [`--${name}`, String(value)];
  });
}
