/** Commander's faults in our words: what was wrong, and the nearest thing that exists. */
import type { Command, CommanderError } from 'commander';
import { JsgError } from './errors.js';
import { nearest } from './nearest.js';

/** SGLang's flags that people bring along and this version does not have: an answer, not a guess at another flag. */
const NOT_YET = new Set(
  `tp dp trust-remote-code
  random-seed schedule-policy schedule-conservativeness cuda-graph-max-bs enable-torch-compile
  enable-metrics lora-paths tokenizer-mode max-prefill-tokens`
    .split(/\s+/)
    .map((name) => `--${name}`),
);

function longFlags(command: Command): string[] {
  const own = command.options.map((option) => option.long).filter((long) => long !== undefined && long !== null);
  return [...own, '--help'];
}

/** The JsgError for a fault that `command` found in its arguments. */
export function usageError(command: Command, error: CommanderError): JsgError {
  const path = commandPath(command);
  const isUnknownCommand =
    error.code === 'commander.unknownCommand' ||
    (error.code === 'commander.excessArguments' && command.commands.length > 0);
  const quoted = isUnknownCommand ? (command.args[0] ?? '') : (/'([^']*)'/.exec(error.message)?.[1] ?? '');
  if (error.code === 'commander.unknownOption') {
    const name = quoted.split('=')[0] ?? '';
    if (NOT_YET.has(name)) {
      const hint =
        command.name() === 'launch'
          ? `With --engine sglang it goes after --: jsg launch ... -- ${name}`
          : `See ${path} --help.`;
      return fault(`${name} is a flag of SGLang that this version of jsg does not have`, hint);
    }
    const near = nearest(quoted, longFlags(command));
    return fault(`unknown flag ${quoted} for ${path}`, near ? `Did you mean ${near}?` : `See ${path} --help.`);
  }
  const { parent } = command;
  // The word went to the command that runs where none is named.
  if (error.code === 'commander.excessArguments' && parent?.args[0] === command.args[0] && parent?.parent) {
    return unknownCommand(parent, command.args[0] ?? '');
  }
  if (isUnknownCommand) return unknownCommand(command, quoted);
  return fault(error.message.replace(/^error: /, ''), `See ${path} --help.`);
}

function unknownCommand(command: Command, quoted: string): JsgError {
  const path = commandPath(command);
  const known = command.commands.map((sub) => sub.name());
  const near = nearest(quoted, known);
  const hint = near ? `Did you mean ${path} ${near}?` : `There are: ${known.join(', ')}.`;
  return fault(`unknown command '${quoted}' for ${path}`, hint);
}

function fault(message: string, hint: string): JsgError {
  return new JsgError('E_USAGE', message, { hint });
}

/** `jsg profiles show` */
function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}
