/** The commands below `jsg bench`. Names are those of SGLang's bench_serving and vLLM's bench serve where they have one. */
import { type Command, Option } from 'commander';

export type Action = (options: Record<string, unknown>, args: string[]) => Promise<number>;

export interface Tree {
  /** Adds a command whose module is loaded when it runs. */
  verb(parent: Command, usage: string, description: string, load: () => Promise<Action>, isDefault?: boolean): Command;
  /** Adds the settings of a launch. */
  addSettings(self: Command): Command;
}

const NOTES = `
Measures over HTTP, as a client sees it. Give a profile or a model to start an engine for the time of the run, or --url
for any OpenAI-compatible server that is already running. jsg bench without a command is jsg bench decode; see
jsg bench COMMAND --help for the flags of each.`;

const SERVE_NOTES = `
With --request-rate requests arrive whatever the server does (a Poisson process), and latencies count from when each was due.
With --max-concurrency alone the next request is sent when one has ended. One of the two may be a list: its members are measured
one after the other. ITL is the time between arrivals of text: text of several tokens is one arrival, and no gap is divided.
TPOT is the time of a token after the first.

Files hold JSON lines (prompt, messages or conversations; output_tokens), an array of ShareGPT's, or a prompt a line.`;

const CARD_NOTES = `
A result is what --output-file wrote.`;

export function addBench(parent: Command, { verb, addSettings }: Tree): void {
  parent.addHelpText('after', NOTES);
  const decode = verb(
    parent,
    'decode',
    'tokens a second by number of streams and by context',
    async () => (await import('../commands/bench.js')).bench,
    true,
  )
    .option('--batch <N,N>', 'numbers of parallel streams (default: 1,2,4,8)')
    .option('--context <N,N>', 'lengths of the prompts that decoding starts from (default: 24)')
    .option('--prompt-tokens <N>', 'length of the prompt of the prefill measurement; 0: none (default: 512)')
    .option('--max-tokens <N>', 'tokens each stream decodes (default: 128)')
    .option('--repeats <N>', 'measurements of each figure; the median is shown (default: 3)');
  addRun(decode);
  addSettings(decode);

  const prefill = verb(
    parent,
    'prefill',
    'prompt tokens a second by length and number of prompts',
    async () => (await import('../commands/bench-prefill.js')).benchPrefill,
  )
    .option('--prompt-tokens <N,N>', 'lengths of the prompts (default: 128,512,2048)')
    .option('--batch <N,N>', 'numbers of prompts that are sent together (default: 1)')
    .option('--repeats <N>', 'measurements of each figure; the median is shown (default: 3)');
  addRun(prefill);
  addSettings(prefill);

  const serve = verb(
    parent,
    'serve',
    'throughput and latencies under load',
    async () => (await import('../commands/bench-serve.js')).benchServe,
  );
  addLoad(serve);
  addDataset(serve);
  addRun(serve);
  addSettings(serve).addHelpText('after', SERVE_NOTES);

  const load = verb(
    parent,
    'load',
    'from the start of the process to the first token',
    async () => (await import('../commands/bench-load.js')).benchLoad,
  )
    .option('--cache <STATE>', "the model's files in the page cache: cold, warm, both (default: both)")
    .option('--repeats <N>', 'starts of each (default: 3)');
  addOutput(addMachine(load.option('--profile <NAME|FILE>', 'start this profile and measure it')));
  addSettings(load);

  verb(parent, 'compare <a> <b>', 'two results: ratios, with their noise', async () => {
    return (await import('../commands/bench-compare.js')).benchCompare;
  })
    .option('--force', 'although the workloads differ')
    .option('--json', 'as JSON');
  verb(parent, 'card <result>', 'a result as a card that others can measure by', async () => {
    return (await import('../commands/bench-card.js')).benchCard;
  })
    .option('--report <FILE>', 'write the result as a page')
    .option('--json', 'as JSON')
    .addHelpText('after', CARD_NOTES);
}

/** What is measured, and as what it is asked. */
function addRun(self: Command): Command {
  self
    .option('--profile <NAME|FILE>', 'start this profile and measure it')
    .option('--url <URL>', 'measure a running OpenAI-compatible server')
    .addOption(new Option('--base-url <URL>', 'as --url').hideHelp())
    .option('--model <NAME>', 'with --url: the model to name in requests (default: the first one served)')
    .option('--endpoint <NAME>', 'completions or chat (default: completions where there are, for conversations chat)')
    .addOption(
      new Option(
        '--backend <NAME>',
        "SGLang's and vLLM's names for --endpoint: vllm, openai-chat, sglang-oai-chat, ...",
      ).hideHelp(),
    )
    .option('--ignore-eos', 'ask for answers of full length, though the server does not say that it understands it')
    .option('--disable-ignore-eos', 'let the model end its answers')
    .option('--extra-request-body <JSON>', 'fields to add to every request')
    .option('--timeout <SECONDS>', 'a request that takes longer has failed (default: none)');
  return addOutput(addMachine(self));
}

function addMachine(self: Command): Command {
  return self
    .option('--clock-tolerance <PERCENT>', 'how far clocks may move before the run is called invalid (default: 5)')
    .option('--no-model-hash', 'do not hash the model')
    .option(
      '--root <DIR>',
      'read clocks, rails and the power mode below this folder: a container that has the host there',
    );
}

function addOutput(self: Command): Command {
  return self
    .option('--json', 'as JSON')
    .option('--output-file <FILE>', 'write the result as JSON, for jsg bench compare and card')
    .option('--report <FILE>', 'write the result as one page of HTML');
}

function addLoad(self: Command): Command {
  return self
    .option(
      '--num-prompts <N>',
      'requests of each level, or conversations (default: 100; with --duration as many as come)',
    )
    .option('--duration <SECONDS>', 'no request begins after so long')
    .option('--request-rate <R,R>', 'requests a second, inf for all at once (default: inf)')
    .option('--burstiness <B>', 'of the arrivals: 1 is Poisson, more is more even (default: 1)')
    .option('--max-concurrency <N,N>', 'requests at the same time at most (default: any number)')
    .option('--seed <N>', 'decides lengths, order and arrivals (default: 0)')
    .option('--warmup-requests <N>', 'requests before the measurement (default: 1)')
    .option('--goodput <KEY:MS...>', 'count requests that keep to ttft, itl (99 % of the gaps), tpot, e2el');
}

function addDataset(self: Command): Command {
  return self
    .option(
      '--dataset-name <NAME>',
      'random, generated-shared-prefix, sharegpt, custom (default: random; with a file custom)',
    )
    .option('--dataset-path <FILE>', 'prompts of sharegpt and custom')
    .option('--random-input-len <N>', 'tokens of a prompt, by the count of the server (default: 512)')
    .option('--random-output-len <N>', 'tokens of an answer (default: 128)')
    .option('--random-range-ratio <R>', 'lengths vary: from R times the length up to it; 1: they do not (default: 1)')
    .option('--random-distribution <NAME>', 'how they vary: uniform, normal, lognormal (default: uniform)')
    .option('--gsp-num-groups <N>', 'shared prefixes (default: 8)')
    .option('--gsp-system-prompt-len <N>', 'tokens of a shared prefix (default: 1024)')
    .option('--gsp-question-len <N>', 'tokens that follow it (default: 128)')
    .option('--gsp-output-len <N>', 'tokens of an answer to it (default: 128)')
    .option('--output-len <N>', "tokens of an answer to a file's prompt (default: what the file says, else 256)")
    .option('--num-rounds <N>', 'turns of a conversation, each with what was said before (default: 1)')
    .option('--disable-shuffle', "take a file's prompts in their order");
}
