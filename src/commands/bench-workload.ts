/** `--dataset-name` and what belongs to it: from options to what is asked of a server. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { type Bench, vocabularyOf } from '../bench/bench.js';
import { type Conversation, parseDataset } from '../bench/dataset.js';
import { DISTRIBUTIONS, type Lengths } from '../bench/lengths.js';
import { UNCOUNTED, type Vocabulary } from '../bench/words.js';
import { type Decided, fileWorkload, randomWorkload, sharedPrefixWorkload, type Workload } from '../bench/workload.js';
import { JsgError } from '../errors.js';
import { choice, isGiven, real, whole } from './bench-options.js';
import type { Options } from './settings.js';

const DATASETS = ['random', 'generated-shared-prefix', 'sharegpt', 'custom'] as const;
const MAX_TOKENS = { max: 1_000_000 };

export interface Dataset {
  /** Its prompts are things that people say. */
  isConversation: boolean;
  /** For the result: what the figures depend on. */
  described: Record<string, string | number | boolean | null>;
  /** Null: its texts are not made of words that the server counts. */
  make(words: Vocabulary | null, by: Decided): Workload;
  needsWords: boolean;
}

export function datasetOption(options: Options): Dataset {
  const path = options.datasetPath as string | undefined;
  const name = choice(options, 'dataset-name', DATASETS) ?? (path === undefined ? 'random' : 'custom');
  const isFile = name === 'sharegpt' || name === 'custom';
  if (isFile && path === undefined) {
    throw new JsgError('E_USAGE', `--dataset-name ${name} needs --dataset-path FILE`, {
      hint: 'JSON lines, an array as ShareGPT has it, or a prompt a line.',
    });
  }
  if (!isFile && path !== undefined)
    throw new JsgError('E_USAGE', `--dataset-path does not go with --dataset-name ${name}`);
  requireOwnFlags(options, name);
  const numRounds = whole(options, 'num-rounds', 1, { max: 1000 });
  if (isFile) return fileDataset(name, String(path), numRounds, options);
  return name === 'random' ? randomDataset(numRounds, options) : sharedPrefixDataset(numRounds, options);
}

const MADE = ['random', 'generated-shared-prefix'];
const OF_FILES = ['sharegpt', 'custom'];
/** Which data sets a flag says something of. */
const FLAGS_OF: Record<string, string[]> = {
  'random-input-len': ['random'],
  'random-output-len': ['random'],
  'random-range-ratio': MADE,
  'random-distribution': MADE,
  'gsp-num-groups': ['generated-shared-prefix'],
  'gsp-system-prompt-len': ['generated-shared-prefix'],
  'gsp-question-len': ['generated-shared-prefix'],
  'gsp-output-len': ['generated-shared-prefix'],
  'output-len': OF_FILES,
  'disable-shuffle': OF_FILES,
};

/** Throws E_USAGE for what would be left unheard. */
function requireOwnFlags(options: Options, name: string): void {
  const stray = Object.keys(FLAGS_OF).find((flag) => isGiven(options, flag) && !FLAGS_OF[flag]?.includes(name));
  if (stray === undefined) return;
  throw new JsgError('E_USAGE', `--${stray} does not go with --dataset-name ${name}`, {
    hint: `It is of --dataset-name ${FLAGS_OF[stray]?.join(' or ')}.`,
  });
}

/** Learns the server's words where the data set is made of them. */
export async function makeWorkload(dataset: Dataset, run: Bench): Promise<{ workload: Workload; notes: string[] }> {
  const words = dataset.needsWords ? await vocabularyOf(run) : null;
  const notes =
    words === null || words.isExact
      ? []
      : [
          words === UNCOUNTED
            ? 'the server does not count prompts: their lengths are those of their words'
            : 'lengths of prompts are near what was asked for: words are not always as many tokens here',
        ];
  return { workload: dataset.make(words, run), notes };
}

function lengths(options: Options, flag: string, fallback: number): Lengths {
  return {
    length: whole(options, flag, fallback, MAX_TOKENS),
    rangeRatio: real(options, 'random-range-ratio', 1, { min: 0, max: 1 }),
    distribution: choice(options, 'random-distribution', DISTRIBUTIONS) ?? 'uniform',
  };
}

const described = (name: string, of: Lengths) => ({
  [`${name}Len`]: of.length,
  rangeRatio: of.rangeRatio,
  distribution: of.rangeRatio === 1 ? null : of.distribution,
});

function randomDataset(numRounds: number, options: Options): Dataset {
  const input = lengths(options, 'random-input-len', 512);
  const output = lengths(options, 'random-output-len', 128);
  return {
    isConversation: numRounds > 1,
    needsWords: true,
    described: { dataset: 'random', ...described('input', input), ...described('output', output), numRounds },
    make: (words, by) => randomWorkload({ input, output, numRounds }, known(words), by),
  };
}

function sharedPrefixDataset(numRounds: number, options: Options): Dataset {
  const numGroups = whole(options, 'gsp-num-groups', 8, { max: 100_000 });
  const prefixTokens = whole(options, 'gsp-system-prompt-len', 1024, MAX_TOKENS);
  const question = lengths(options, 'gsp-question-len', 128);
  const output = lengths(options, 'gsp-output-len', 128);
  return {
    isConversation: numRounds > 1,
    needsWords: true,
    described: {
      dataset: 'generated-shared-prefix',
      numGroups,
      prefixLen: prefixTokens,
      ...described('question', question),
      ...described('output', output),
      numRounds,
    },
    make: (words, by) =>
      sharedPrefixWorkload({ numGroups, prefixTokens, question, output, numRounds }, known(words), by),
  };
}

function fileDataset(name: string, path: string, numRounds: number, options: Options): Dataset {
  const { conversations, sha256 } = readDataset(path);
  const asked = whole(options, 'output-len', null, MAX_TOKENS);
  const isShuffled = options.disableShuffle !== true;
  const file = { outputTokens: asked ?? 256, overrides: asked !== null, numRounds, isShuffled };
  return {
    isConversation: true,
    needsWords: false,
    described: { dataset: name, file: basename(path), sha256, outputLen: asked, numRounds, isShuffled },
    make: (_, { seed }) => fileWorkload(conversations, file, seed),
  };
}

function readDataset(path: string): { conversations: Conversation[]; sha256: string } {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new JsgError('E_USAGE', `--dataset-path: ${path} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return { conversations: parseDataset(text, path), sha256: createHash('sha256').update(text).digest('hex') };
}

function known(words: Vocabulary | null): Vocabulary {
  if (words === null) throw new JsgError('E_INTERNAL', 'the words of the server were not learnt');
  return words;
}
