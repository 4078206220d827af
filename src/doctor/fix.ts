/** Which findings doctor may mend itself, and how: pure. The commands are those of the findings. */
import type { Finding } from './finding.js';
import { type FixCommand, parseFix } from './fix-command.js';

export interface Mend extends FixCommand {
  /** Of the finding. */
  id: string;
  title: string;
  /** The board restarts at once. */
  reboots: boolean;
  /** What is lost or interrupted by it; null: nothing, so that --yes covers it. */
  costs: string | null;
}

interface Policy {
  title: string;
  costs?: string;
}

const PACKAGES = 'downloads and installs packages of NVIDIA, up to some GiB';

/** In the order to run them: a new power mode first, since clocks are locked at its ceilings. */
const POLICIES: Record<string, Policy> = {
  'gpu-access': { title: 'let this user open the GPU' },
  toolchain: { title: 'install build tools' },
  pip: { title: 'install pip' },
  'pip-index': { title: "correct the index's address in pip's configuration" },
  swap: { title: 'add swap on the disk' },
  'jetpack-package': { title: 'install the packages of JetPack', costs: PACKAGES },
  cuda: { title: 'install CUDA', costs: PACKAGES },
  cudnn: { title: 'install cuDNN', costs: PACKAGES },
  docker: { title: 'give docker the runtime nvidia', costs: 'restarts docker and every container' },
  zram: { title: 'end swapping into memory', costs: 'what is swapped out must fit into memory at once' },
  desktop: { title: 'end the desktop', costs: 'programs in the graphical session lose what is not saved' },
  'power-mode': { title: 'switch to the highest power mode' },
  'power-saved': { title: 'save the power mode' },
  'clocks-locked': { title: 'lock the clocks until the next boot' },
};

/** Each with the arguments it may be run with: a fix that says something else is a person's to run. */
const PROGRAMS: Record<string, RegExp> = {
  'apt-get': /^(update|install (-y )?(--reinstall )?[\w.+ -]+)$/,
  chmod: /^600 \/swapfile$/,
  fallocate: /^-l \d+G \/swapfile$/,
  jetson_clocks: /^(--fan)?$/,
  mkswap: /^\/swapfile$/,
  modprobe: /^nvgpu$/,
  'nvidia-ctk': /^runtime configure --runtime=docker$/,
  nvpmodel: /^-m \d+$/,
  sed: /^-i( -e \S+){1,2} \S*(pip\.conf|pip\/pip\.conf)$/,
  swapon: /^\/swapfile$/,
  systemctl: /^(restart docker|disable --now nvzramconfig|isolate multi-user\.target|set-default multi-user\.target)$/,
  usermod: /^-aG [\w,]+ [\w.-]+$/,
};

const mayRun = ([program = '', ...args]: string[]) =>
  Object.hasOwn(PROGRAMS, program) && PROGRAMS[program]?.test(args.join(' ')) === true;

/** Null where nothing is to be mended, or only a person should do it. */
export function mendOf({ id, status, fix }: Finding): Mend | null {
  if ((status !== 'warn' && status !== 'fail') || fix === null || !Object.hasOwn(POLICIES, id)) return null;
  const policy = POLICIES[id];
  const command = parseFix(fix);
  if (policy === undefined || command === null || !command.commands.every(mayRun)) return null;
  return {
    ...command,
    id,
    title: policy.title,
    reboots: /\breboot/.test(command.note),
    costs: policy.costs ?? null,
  };
}

/** What can be mended, in the order to do it; what reboots comes last. */
export function mendsOf(findings: Finding[]): Mend[] {
  const order = Object.keys(POLICIES);
  const mends = findings.flatMap((finding) => mendOf(finding) ?? []);
  return mends.sort((a, b) => Number(a.reboots) - Number(b.reboots) || order.indexOf(a.id) - order.indexOf(b.id));
}

export interface Change {
  id: string;
  before: Finding | null;
  after: Finding | null;
}

/** Findings that read otherwise than before. */
export function changesBetween(before: Finding[], after: Finding[]): Change[] {
  const ids = new Set([...before, ...after].map(({ id }) => id));
  return [...ids].flatMap((id) => {
    const [old = null, now = null] = [before, after].map((list) => list.find((finding) => finding.id === id));
    return old?.status === now?.status && old?.found === now?.found ? [] : [{ id, before: old, after: now }];
  });
}

/** A mend's commands as a person would type them. */
export function commandLine({ commands, needsRoot }: Pick<Mend, 'commands' | 'needsRoot'>): string {
  const quote = (word: string) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word}'`);
  return commands.map((words) => `${needsRoot ? 'sudo ' : ''}${words.map(quote).join(' ')}`).join(' && ');
}
