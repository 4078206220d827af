/** `jsg quantize`: a checkpoint in 4 or 8 bits that transformers, vLLM, SGLang and jsg load. */
import { Listr, ListrLogger, ProcessOutput } from 'listr2';
import { JsgError } from '../errors.js';
import { locateModel } from '../model/locate.js';
import type { MatrixError } from '../quantize/describe.js';
import {
  finish,
  makeShards,
  openWork,
  planQuantize,
  type QuantizePlan,
  type QuantizeResult,
} from '../quantize/quantize.js';
import { choose, HEADS, METHODS, SCHEMES } from '../quantize/scheme.js';
import type { Options } from './settings.js';
import { abortedBySignals } from './signals.js';

export function quantize(options: Options): Promise<number> {
  return abortedBySignals(async (signal) => {
    try {
      const result = await run(options, signal);
      process.stdout.write(options.json ? `${JSON.stringify(toJson(result), null, 2)}\n` : summary(result));
      return 0;
    } catch (error) {
      if (!signal.aborted) throw error;
      throw new JsgError('E_INTERRUPTED', 'interrupted', { hint: 'The same command goes on where it stopped.' });
    }
  });
}

interface Context {
  plan?: QuantizePlan;
  folder?: string;
  errors?: MatrixError[];
  result?: QuantizeResult;
}

async function run(options: Options, signal: AbortSignal): Promise<QuantizeResult> {
  const model = required(options.model, '--model');
  const output = required(options.output, '--output');
  const chosen = {
    scheme: choose('--scheme', options.scheme, SCHEMES),
    method: choose('--method', options.method ?? 'rtn', METHODS),
    head: choose('--lm-head', options.lmHead ?? 'auto', HEADS),
  };
  const numThreads = threadsOption(options);
  const isTerminal = process.stderr.isTTY === true && process.stderr.columns > 0;
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  const tasks = new Listr<Context>(
    [
      {
        title: `Read ${model}`,
        task: async (context, task) => {
          const source = await sourceOf(model, options, signal);
          const plan = planQuantize(model, source, output, chosen, options.force === true);
          const { folder, resumedShards } = openWork(plan);
          Object.assign(context, { plan, folder });
          const matrices = plan.targets.filter(({ format }) => format !== null).length;
          const resumed = resumedShards === 0 ? '' : `; ${resumedShards} are there from before`;
          task.title = `${model}: ${matrices} matrices to ${chosen.scheme}, ${plan.shards.length} files${resumed}`;
        },
      },
      {
        title: 'Quantise',
        task: async (context, task) => {
          const { plan, folder } = ready(context);
          let told = 0;
          context.errors = await makeShards(plan, folder, {
            numThreads,
            signal,
            onProgress: (fraction, name) => {
              const percent = Math.floor(100 * fraction);
              if (isTerminal) task.output = `${percent} %  ${name}`;
              // Where lines stay, one for every tenth.
              else if (percent >= told + 10) {
                told = percent - (percent % 10);
                task.output = `${percent} %`;
              }
            },
          });
        },
      },
      {
        title: 'Config, tokenizer and model card',
        task: (context) => {
          const { plan, folder } = ready(context);
          context.result = finish(plan, folder, context.errors ?? []);
        },
      },
    ],
    {
      renderer: 'default',
      fallbackRenderer: 'simple',
      fallbackRendererCondition: !isTerminal,
      rendererOptions: { logger, showErrorMessage: false },
      fallbackRendererOptions: { logger },
      registerSignalListeners: false,
    },
  );
  const { result } = await tasks.run({});
  if (result === undefined) throw new JsgError('E_INTERNAL', 'nothing was made');
  return result;
}

function ready({ plan, folder }: Context) {
  if (plan === undefined || folder === undefined) throw new JsgError('E_INTERNAL', 'the model was not read');
  return { plan, folder };
}

function required(value: unknown, flag: string): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new JsgError('E_USAGE', `${flag} is missing`, { hint: 'See jsg quantize --help.' });
}

function threadsOption({ numThreads }: Options): number {
  const text = String(numThreads ?? 0);
  if (/^\d{1,4}$/.test(text) && Number(text) <= 1024) return Number(text);
  throw new JsgError('E_USAGE', `--num-threads: '${text}' is not a whole number from 0 to 1024`);
}

/** The folder of a model in safetensors. */
async function sourceOf(model: string, { revision }: Options, signal: AbortSignal): Promise<string> {
  const located = await locateModel({
    model,
    loadFormat: 'auto',
    signal,
    ...(revision === undefined ? {} : { revision: String(revision) }),
  });
  if (located.kind === 'directory') return located.path;
  throw new JsgError('E_MODEL_UNSUPPORTED', `${model} is no directory of safetensors`, {
    hint: 'jsg quantize starts from the weights as they were trained: a directory with config.json and safetensors, or a hub id.',
  });
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;

function summary({ output, matrices, error, bytes }: QuantizeResult): string {
  return [
    `${output}: ${gigabytes(bytes.after)}, from ${gigabytes(bytes.before)}`,
    `${matrices} matrices quantised; ||W - W'|| / ||W|| = ${(100 * error).toFixed(2)} %`,
    `jsg launch --model-path ${output}\n`,
  ].join('\n');
}

function toJson({ output, matrices, error, bytes }: QuantizeResult): object {
  return { output, matrices, relative_error: error, bytes_before: bytes.before, bytes_after: bytes.after };
}
