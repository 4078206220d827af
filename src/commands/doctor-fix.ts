/** `jsg doctor --fix`: runs the mends that are safe, each after asking, and shows what changed. */
import { createInterface } from 'node:readline/promises';
import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import { exitCodeOf } from '../doctor/examine.js';
import type { Facts } from '../doctor/facts.js';
import type { Finding } from '../doctor/finding.js';
import { type Change, changesBetween, commandLine, type Mend, mendsOf } from '../doctor/fix.js';
import { type RootAccess, rootAccess, runMend } from '../doctor/fix-run.js';
import { toJson } from '../doctor/json.js';
import { JsgError } from '../errors.js';
import type { Options } from './settings.js';

export interface Examined {
  facts: Facts;
  findings: Finding[];
}

/** What became of a mend; `reason`: why it was not run, or how it failed. */
interface Outcome {
  mend: Mend;
  status: 'done' | 'failed' | 'skipped' | 'planned';
  reason: string | null;
}

const isTerminal = () => process.stdin.isTTY === true && process.stderr.isTTY === true;

/** Throws E_USAGE for options of --fix without it. */
export function checkFixOptions(options: Options): void {
  const given = ['yes', 'dryRun', 'sudo'].filter((name) => options[name] === true);
  const names = given.map((name) => (name === 'dryRun' ? '--dry-run' : `--${name}`)).join(', ');
  if (given.length > 0 && !options.fix) throw new JsgError('E_USAGE', `${names}: only with --fix`);
  if (!options.fix) return;
  if (options.root !== undefined && !options.dryRun) {
    throw new JsgError('E_USAGE', '--fix mends this machine, and --root names another', {
      hint: 'jsg doctor --root DIR --fix --dry-run shows the mends.',
    });
  }
  if (!options.yes && !options.dryRun && !isTerminal()) {
    throw new JsgError('E_USAGE', '--fix asks before each mend, and this is no terminal', {
      hint: 'jsg doctor --fix --dry-run shows what would be run; --yes runs it without asking.',
    });
  }
}

/** Returns doctor's exit code for the machine as it is afterwards. */
export async function fix(options: Options, examineMachine: () => Promise<Examined>): Promise<number> {
  const before = await examineMachine();
  const mends = mendsOf(before.findings);
  const outcomes = options.dryRun ? mends.map(planned) : await mendAll(mends, options);
  const hasRun = outcomes.some(({ status }) => status === 'done' || status === 'failed');
  const after = hasRun ? await examineMachine() : before;
  const changes = changesBetween(before.findings, after.findings);
  if (options.json) process.stdout.write(`${JSON.stringify(json(outcomes, changes, after), null, 2)}\n`);
  else process.stdout.write(report(outcomes, changes, after.findings));
  return exitCodeOf(after.findings);
}

const planned = (mend: Mend): Outcome => ({ mend, status: 'planned', reason: warning(mend) });

/** What a person should know before agreeing; null: nothing. */
function warning({ reboots, costs }: Mend): string | null {
  return reboots ? 'reboots the board at once' : costs;
}

async function mendAll(mends: Mend[], options: Options): Promise<Outcome[]> {
  const needRoot = mends.some(({ needsRoot }) => needsRoot);
  const access = needRoot ? await rootAccess({ maySudo: options.sudo === true, isTerminal: isTerminal() }) : 'none';
  const decided: Outcome[] = [];
  for (const mend of mends) decided.push(await decide(mend, access, options));
  await runAll(decided, access);
  return decided;
}

/** `planned`: to be run. */
async function decide(mend: Mend, access: RootAccess, options: Options): Promise<Outcome> {
  const skip = (reason: string): Outcome => ({ mend, status: 'skipped', reason });
  if (mend.needsRoot && access === 'none') {
    return skip(options.sudo ? 'needs root, and sudo gives none' : 'needs root: add --sudo, or run it yourself');
  }
  const caution = warning(mend);
  if (options.yes)
    return caution === null ? planned(mend) : skip(`${caution}: --yes does not cover it; run it yourself`);
  return (await agrees(mend, caution)) ? planned(mend) : skip('not wanted');
}

async function agrees(mend: Mend, caution: string | null): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const note = caution === null ? '' : ` (${caution})`;
    const answer = await terminal.question(`${mend.title}${note}\n  $ ${commandLine(mend)}\nRun it? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    terminal.close();
  }
}

/** Sets the status of every planned outcome. */
async function runAll(outcomes: Outcome[], access: RootAccess): Promise<void> {
  const tasks = outcomes
    .filter(({ status }) => status === 'planned')
    .map((outcome) => ({
      title: outcome.mend.title,
      task: async (_: unknown, task: { output: string }) => {
        try {
          await runMend(outcome.mend, access, (line) => {
            task.output = line;
          });
          outcome.status = 'done';
          outcome.reason = null;
        } catch (error) {
          outcome.status = 'failed';
          outcome.reason = (error as Error).message;
          throw error;
        }
      },
    }));
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  const renderer = isTerminal() ? 'default' : 'simple';
  await new Listr(tasks, {
    exitOnError: false,
    renderer,
    rendererOptions: { logger },
    fallbackRendererOptions: { logger },
  }).run();
}

function report(outcomes: Outcome[], changes: Change[], findings: Finding[]): string {
  const lines = outcomes.map(({ mend, status, reason }) => {
    const head = `${status.padEnd(8)}${mend.id}: ${mend.title}${reason === null ? '' : ` (${reason})`}`;
    return status === 'done' ? head : `${head}\n        $ ${commandLine(mend)}`;
  });
  const changed = changes.map(({ id, before, after }) => {
    const tell = (finding: Finding | null) => (finding === null ? 'not there' : `${finding.status} (${finding.found})`);
    return `${id}: ${tell(before)} -> ${tell(after)}`;
  });
  const byHand = findings.filter(({ id, status }) => status === 'fail' && !outcomes.some(({ mend }) => mend.id === id));
  const blocks = [
    outcomes.length === 0 ? 'Nothing here that doctor can mend by itself.' : lines.join('\n'),
    changed.length === 0 ? '' : ['What changed:', ...changed.map((line) => `  ${line}`)].join('\n'),
    byHand.length === 0 ? '' : `By hand: ${byHand.map(({ id }) => id).join(', ')}. See jsg doctor.`,
  ];
  return `${blocks.filter(Boolean).join('\n\n')}\n`;
}

function json(outcomes: Outcome[], changes: Change[], { facts, findings }: Examined) {
  return {
    mends: outcomes.map(({ mend, status, reason }) => ({
      id: mend.id,
      command: commandLine(mend),
      needs_root: mend.needsRoot,
      reboots: mend.reboots,
      status,
      reason,
    })),
    changes: changes.map(({ id, before, after }) => ({
      id,
      before: before?.status ?? null,
      after: after?.status ?? null,
    })),
    ...toJson(facts, findings),
  };
}
