/** A launch as a systemd unit. Pure. */

export interface UnitSpec {
  /** `flashinfer-fp16` */
  title: string;
  scope: 'user' | 'system';
  /** The command, each word as it is. */
  command: string[];
  workingDirectory: string;
  /** Of a system unit: who runs it. */
  user: string | null;
  /** Groups that may use the GPU, of a system unit. */
  groups: string[];
  environment: Record<string, string>;
  /** Holds what others must not read; null: nothing is to be hidden. */
  environmentFile: string | null;
  /** `90%` or `24G`: beyond it the kernel ends the service, not the desktop or sshd. */
  memoryMax: string;
  drainTimeoutSeconds: number;
}

/** What a second start cannot mend: a wrong flag, a model that is not there, a machine that cannot run it. */
const HOPELESS_EXITS = '2 3 5';
/** On top of the time that requests have to finish. */
const STOP_MARGIN_SECONDS = 15;

export function unitText(spec: UnitSpec): string {
  const isSystem = spec.scope === 'system';
  const sections: [string, (string | null)[]][] = [
    [
      'Unit',
      [
        `Description=${oneLine(`jsg: ${spec.title}`)}`,
        ...(isSystem ? ['Wants=network-online.target', 'After=network-online.target nvpmodel.service'] : []),
        'StartLimitIntervalSec=900',
        'StartLimitBurst=5',
      ],
    ],
    [
      'Service',
      [
        'Type=notify',
        // The message comes from systemd-notify, a child.
        'NotifyAccess=all',
        `ExecStart=${spec.command.map(quote).join(' ')}`,
        `WorkingDirectory=${pathValue(spec.workingDirectory)}`,
        isSystem && spec.user !== null ? `User=${spec.user}` : null,
        isSystem && spec.groups.length > 0 ? `SupplementaryGroups=${spec.groups.join(' ')}` : null,
        ...Object.entries(spec.environment).map(([name, value]) => `Environment=${quoteValue(`${name}=${value}`)}`),
        spec.environmentFile === null ? null : `EnvironmentFile=${pathValue(spec.environmentFile)}`,
        // jsg itself ends a start that shows no progress.
        'TimeoutStartSec=infinity',
        `TimeoutStopSec=${Math.ceil(spec.drainTimeoutSeconds) + STOP_MARGIN_SECONDS}`,
        // SIGTERM to jsg, which drains; SIGKILL to all that is left.
        'KillMode=mixed',
        'Restart=on-failure',
        'RestartSec=5',
        `RestartPreventExitStatus=${HOPELESS_EXITS}`,
        `MemoryHigh=${below(spec.memoryMax)}`,
        `MemoryMax=${spec.memoryMax}`,
        'OOMPolicy=stop',
        'LimitNOFILE=65536',
        'NoNewPrivileges=true',
      ],
    ],
    ['Install', [`WantedBy=${isSystem ? 'multi-user.target' : 'default.target'}`]],
  ];
  return sections
    .map(([name, lines]) => [`[${name}]`, ...lines.filter((line) => line !== null)].join('\n'))
    .join('\n\n')
    .concat('\n');
}

/** Where the kernel begins to push back: 5 points, or a twentieth, below the limit. */
function below(memoryMax: string): string {
  const [, number = '', unit = ''] = /^(\d+)(%|[KMGT])$/.exec(memoryMax) ?? [];
  if (unit === '%') return `${Math.max(1, Number(number) - 5)}%`;
  const mebibytes = Number(number) * { K: 1 / 1024, M: 1, G: 1024, T: 1024 ** 2 }[unit as 'K' | 'M' | 'G' | 'T'];
  return `${Math.max(1, Math.floor(mebibytes * 0.95))}M`;
}

/** A word of ExecStart: specifiers and variables of systemd are taken literally. */
const quote = (word: string) => quoteValue(word.replaceAll('$', '$$$$'));

function quoteValue(text: string): string {
  const literal = oneLine(text).replaceAll('%', '%%');
  if (/^[\w@%+=:,./$-]+$/.test(literal)) return literal;
  return `"${literal.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** These are taken to the end of the line, quotes and all. */
const pathValue = (path: string) => oneLine(path).replaceAll('%', '%%');

/** A line break would begin another setting. */
const oneLine = (text: string) => text.replace(/[\r\n]+/g, ' ');

/** `NAME="value"` lines of an EnvironmentFile. */
export function environmentFileText(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}="${oneLine(value).replace(/["\\$`]/g, '\\$&')}"\n`)
    .join('');
}
