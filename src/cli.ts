/**
 * The command tree. A command is loaded only when it runs, so `--help` is quick and never touches the addon. This is the
 * one place that turns errors into messages and exit codes, and the one place that exits.
 */
import { Command, CommanderError, Option } from 'commander';
import { type Action, addBench } from './cli/bench.js';
import { ERRORS, toJsgError } from './errors.js';
import { FLAG_NAMES, FLAGS, type FlagName, type FlagSpec } from './profile/flags.js';
import { LIMITS } from './server/limits.js';
import { usageError } from './usage.js';
import { version } from './version.js';

const EXIT_CODES = `
Exit codes: 0 done, 1 failed, 2 wrong flag, value or profile, 3 model not found or not usable, 4 download failed,
5 this machine cannot run it, 6 the engine failed, 7 port taken, 130 interrupted. JSG_DEBUG=1 shows stack traces.`;

const LAUNCH_NOTES = `
Without --profile and --model-path the embedded model smollm2 is served. A flag wins over the profile, the profile over
the defaults.

--engine sglang runs python -m sglang.launch_server with the flags that were chosen, and supervises it. Its other flags go
after --: jsg launch --engine sglang --profile triton -- --enable-metrics. See docs/sglang.md.

Limits on requests: body ${LIMITS.bodyBytes / 2 ** 20} MiB, headers ${LIMITS.headerBytes / 2 ** 10} KiB, ${LIMITS.messages} messages, ${LIMITS.prompts} prompts, n ${LIMITS.n}, top_logprobs
${LIMITS.topLogprobs}, ${LIMITS.stopStrings} stop strings of ${LIMITS.stopBytes} bytes, ${LIMITS.logitBias} logit_bias entries, ${LIMITS.tools} tools, schemas of ${LIMITS.schemaBytes / 2 ** 10} KiB and depth ${LIMITS.schemaDepth}, regular
expressions of ${LIMITS.regexBytes / 2 ** 10} KiB, ${LIMITS.tokenizeChars / 2 ** 10} Ki characters to /tokenize; ${LIMITS.storedResponsesBytes / 2 ** 20} MiB of responses are kept, for ${LIMITS.storedResponseMs / 3_600_000} hours. Beyond
--max-queued-requests the answer is 429 with Retry-After.`;

const PLAN_NOTES = `
Without --board the plan is for this machine. Nothing is downloaded: a model's shape comes from its files, its config.json,
or what jsg knows of it. Exit codes: 0 it fits, 1 it does not, 2 that can't be told.`;

/** What changes bytes or rates. */
const PLAN_SETTINGS: readonly FlagName[] = [
  'model-path',
  'revision',
  'load-format',
  'context-length',
  'engine',
  'device',
  'dtype',
  'attention-backend',
  'lm-head-dtype',
  'prefill-dtype',
  'disable-cuda-graph',
  'mem-fraction-static',
  'max-total-tokens',
  'max-running-requests',
  'chunked-prefill-size',
  'kv-cache-dtype',
];

const BUILD_NOTES = `
A build that failed or was ended goes on where it was when the same command is given again; finished steps are kept. jsg
build RECIPE --print shows what will be run. Git's and pip's own settings (proxies, mirrors, credentials) hold.`;

const BUNDLE_NOTES = `
Wheels come from the index of the platform, with all that they require; what it lacks, and what is no package compiled
against CUDA, by your pip. On the board: jsg build RECIPE --offline --bundle DIR. INSTALL.md in the bundle has the commands.`;

const INDEX_NOTES = `
The mirrors are those of wheels/index.yaml, then those of JSG_INDEX_URLS (with commas between them). Exit codes:
0 one of them answers, 1 none does.`;

/** Verbs that hand on what stands after `--`. */
const ENGINE_VERBS = ['launch', 'route', 'install'];

const SERVICE_NOTES = `
The unit is ready when the model answers, is started again after a failure, and keeps to --memory-max. A key goes into a file that only
its owner reads. GPU memory of a Jetson is not counted by the kernel: what fits there is asked of \`jsg plan\`.`;

const ROUTE_SETTINGS: readonly FlagName[] = [
  'host',
  'port',
  'api-key',
  'api-key-file',
  'insecure',
  'metrics-port',
  'drain-timeout',
  'startup-timeout',
  'log-level',
  'log-dir',
  'venv',
];

const ROUTE_NOTES = `
sglang-router is installed into a virtual environment of its own the first time (146 MB); --venv names another. A worker that dies is
left out within seconds, its requests that have no answer yet go to another, and it is taken in again when it answers.`;

/** Ends the process with the command's exit code. */
export async function main(argv: string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0); // the reader has seen enough: `jsg profiles list | head -1`
  });
  process.on('uncaughtException', (error) => process.exit(report(error)));
  process.exit(await run(argv));
}

/** Runs one command line; the exit code. */
export async function run(argv: string[]): Promise<number> {
  let exitCode = 0;
  const program = commandTree((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv);
    return exitCode;
  } catch (error) {
    // --help and --version end by an error with exit code 0; no command at all shows the help as a fault.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : ERRORS.E_USAGE.exit;
    return report(error);
  }
}

/** Tells a person what went wrong; the exit code that says the same to a script. */
function report(thrown: unknown): number {
  const error = toJsgError(thrown);
  process.stderr.write(`jsg: ${error.message}\n`);
  if (error.hint) process.stderr.write(`     ${error.hint.replaceAll('\n', '\n     ')}\n`);
  if (process.env.JSG_DEBUG === '1') console.error(error);
  return ERRORS[error.code].exit;
}

function commandTree(setExitCode: (code: number) => void): Command {
  const program = command(new Command('jsg'))
    .description('Serve LLMs on NVIDIA Jetson, and on any machine without a GPU too.')
    .version(version(), '-V, --version')
    .addHelpText('after', EXIT_CODES);

  /** Gives a command its action, whose module is imported when it runs. */
  const act = (self: Command, load: () => Promise<Action>) =>
    self.action(async () => setExitCode(await (await load())(self.optsWithGlobals(), operands(program, self))));
  const verb = (parent: Command, usage: string, description: string, load: () => Promise<Action>, isDefault = false) =>
    act(command(parent.command(usage, { isDefault })).description(description), load);

  const launch = verb(program, 'launch', 'serve a model', async () => (await import('./commands/launch.js')).launch)
    .option('--profile <NAME|FILE>', 'settings to start from; see `jsg profiles`')
    .argument('[flags...]', 'with --engine sglang, after --: flags of SGLang that are not below')
    .option('--print', "show the settings and who decided each, with --engine sglang SGLang's command; start nothing")
    .option('--json', 'with --print: as JSON')
    .option(
      '--stop-with-stdin [SECONDS]',
      'end in order when stdin ends, or brings nothing for so long: for a start from afar',
    )
    .option('--force', 'start even where `jsg plan` says that it does not fit');
  addSettings(launch).addHelpText('after', LAUNCH_NOTES);

  verb(program, 'chat [url]', 'talk to a running server', async () => (await import('./commands/chat.js')).chat)
    .option('--model <NAME>', 'the model to name in requests (default: the one served)')
    .option('--system <TEXT>', 'system message')
    .option('--temperature <T>', 'sampling temperature (default: 0.5, with top_p 0.9)')
    .option('--max-tokens <N>', "longest answer (default: the server's)")
    .option('--api-key <KEY>', 'key of the server')
    .option('--api-key-file <FILE>', 'read it from here (or from JSG_API_KEY): a command line can be seen by others');

  const bench = command(program.command('bench')).description('measure tokens a second');
  addBench(bench, { verb, addSettings });

  const plan = verb(
    program,
    'plan',
    'will it fit, and how fast will it be?',
    async () => (await import('./commands/plan.js')).plan,
  )
    .option('--profile <NAME|FILE>', 'plan for this profile')
    .option('--board <NAME>', 'a board: agx-orin-64gb, orin-nano-8gb-super, ...')
    .option('--this', 'this machine, as it is now (the default)')
    .option('--power-mode <NAME>', 'with --board: its power mode (default: the fastest)')
    .option('--no-desktop', 'with --board: no desktop runs on it')
    .option('--root <DIR>', 'with --this: the files of a copied machine')
    .option('--quant <FORMAT>', 'none, or a format of --torchao-config')
    .option('--streams <N>', 'sequences that are to have a whole context each (default: 1)')
    .option('--json', 'as JSON');
  addSettings(plan, PLAN_SETTINGS).addHelpText('after', PLAN_NOTES);

  const routeCommands = () => import('./commands/route.js');
  const routeParent = verb(program, 'route', 'one address for many workers (sglang-router)', async () => {
    return (await routeCommands()).route;
  })
    .argument('[flags...]', 'after --: flags of sglang-router that are not below')
    .option('--worker <URL...>', 'servers of either engine')
    .option('--policy <NAME>', 'cache_aware, round_robin, random, power_of_two (default: cache_aware)');
  addSettings(routeParent, ROUTE_SETTINGS).addHelpText('after', ROUTE_NOTES);
  const routeVerb = (usage: string, description: string, name: 'list' | 'add' | 'remove') =>
    addSettings(
      verb(routeParent, usage, description, async () => (await routeCommands())[name]).option(
        '--router <URL>',
        'the running router (default: http://127.0.0.1:30000)',
      ),
      ['api-key', 'api-key-file'],
    );
  routeVerb('list', 'the workers, and whether they are healthy', 'list').option('--json', 'as JSON');
  routeVerb('add <url>', 'take a worker in', 'add');
  routeVerb('remove <url>', 'send a worker no more requests', 'remove');
  verb(
    program,
    'quantize',
    'a checkpoint in 4 or 8 bits, for jsg, transformers, vLLM and SGLang',
    async () => (await import('./commands/quantize.js')).quantize,
  )
    .option('--model <PATH|ID>', 'a directory of safetensors, or a hub id')
    .option('--scheme <NAME>', 'int4wo-128 (or -32, -64, -256), int8wo, w8a8')
    .option('--output <DIR>', 'where the checkpoint goes')
    .option('--method <NAME>', 'rtn: nearest; hqq: scales and zeros of the least weighted error (default: rtn)')
    .option('--lm-head <DTYPE>', 'the head too: int8, int4 (default: as it is)')
    .option('--revision <REV>', 'branch, tag or commit of a hub id (default: main)')
    .option('--num-threads <N>', 'CPU threads; 0: one a core (default: 0)')
    .option('--force', 'replace what is at --output, once the new one is complete')
    .option('--json', 'as JSON');

  const cluster = command(program.command('cluster')).description('the same profile on several machines, over ssh');
  const clusterVerb = (name: 'up' | 'check', description: string) =>
    verb(cluster, name, description, async () => (await import('./commands/cluster.js'))[name]).option(
      '-f, --file <FILE>',
      'the machines: cluster.yaml',
    );
  addSettings(
    clusterVerb('up', 'start it on every machine, and end it there when this ends')
      .option('--print', 'show the commands, start nothing')
      .option('--force', 'start even where the doctor says that it would fail'),
    ['api-key', 'api-key-file', 'log-level'],
  );
  clusterVerb('check', 'jsg doctor on every machine');

  const serviceCommands = () => import('./commands/service.js');
  const service = command(program.command('service')).description('a launch that systemd starts, restarts and limits');
  const serviceVerb = (name: 'install' | 'status' | 'logs' | 'uninstall', description: string) =>
    verb(service, name, description, async () => (await serviceCommands())[name])
      .option('--name <NAME>', "the service (default: the profile's name, or the only one there is)")
      .option('--user', 'one of your own (the default, but for root)')
      .option('--system', 'one of the machine; needs root');
  const installVerb = serviceVerb('install', 'write the unit of a launch and start it')
    .argument('[flags...]', 'with --engine sglang, after --: flags of SGLang that are not below')
    .option('--profile <NAME|FILE>', 'settings to start from')
    .option('--memory-max <SIZE>', 'share or size (90%, 24G) beyond which the kernel ends it', '90%')
    .option('--no-start', 'enable it for the next boot only')
    .option('--force', 'install what does not fit or suit this machine')
    .option('--print', 'show the unit, write nothing');
  addSettings(installVerb).addHelpText('after', SERVICE_NOTES);
  serviceVerb('status', 'is it running?').option('--json', 'as JSON');
  serviceVerb('logs', 'its journal')
    .option('--lines <N>', 'the last so many', '100')
    .option('--follow', 'and what comes');
  serviceVerb('uninstall', 'stop it and remove its unit');

  const buildCommands = () => import('./commands/build.js');
  const buildOptions = (self: Command) =>
    self
      .option('--variant <NAME>', 'seed: the documented versions; latest: current ones (default: seed)')
      .option('--print', 'show the commands as a person would type them')
      .option('--dry-run', 'show what would be done, do nothing')
      .option('--status', 'what is built, from which commit, for which board, verified how')
      .option('--json', 'the report as JSON; with --dry-run the plan')
      .option('--venv <DIR>', 'a virtual environment of yours, or `system` (default: one of the build)')
      .option('--build-dir <DIR>', 'where builds are kept (default: ~/.local/share/jsg/build)')
      .option('--platform <PATH>', 'path of the index that torch comes from: jp6/cu126 (default: that of this board)')
      .option('--lock <FILE>', 'the wheels to take, and to keep (default: jsg.lock.yaml beside the build)')
      .option('--offline', 'without a network, from a bundle')
      .option('--bundle <DIR>', 'with --offline: what `jsg bundle` has gathered')
      .option('--root <DIR>', 'with --print or --dry-run: for the files of a copied machine')
      .addHelpText('after', BUILD_NOTES);
  buildOptions(
    verb(
      program,
      'build [recipe]',
      'build torch, flashinfer, sglang, sgl-kernel, xgrammar, native or all',
      async () => (await buildCommands()).build,
    ),
  );
  buildOptions(
    verb(program, 'build-flashinfer', 'build flashinfer', async () => (await buildCommands()).buildFlashinfer),
  );
  buildOptions(verb(program, 'build-kernel', 'build sgl-kernel', async () => (await buildCommands()).buildKernel));

  addPlatform(
    verb(
      program,
      'bundle',
      'gather all that a board needs, for an installation without a network',
      async () => (await import('./commands/bundle.js')).bundle,
    ),
  )
    .option('--profile <NAME|FILE>', 'what the board is to run')
    .option('--output <DIR|FILE.tar>', 'where to; what is there of an earlier run is gone on with')
    .option('--recipe <NAME,NAME>', 'the builds to gather for, or none (default: those that the profile needs)')
    .option('--variant <NAME>', 'seed or latest (default: seed)')
    .option('--python <VERSION>', "of the board: 3.10 (default: its JetPack's)")
    .option('--no-model', 'without the files of the model')
    .option('--json', 'the manifest')
    .addHelpText('after', BUNDLE_NOTES);

  const profileCommands = () => import('./commands/profiles.js');
  const list = async () => (await profileCommands()).list;
  const profiles = verb(program, 'profiles', 'list, show and check profiles', list).option('--json', 'as JSON');
  verb(profiles, 'list', 'every profile, and whether it runs here', list).option('--json', 'as JSON');
  verb(profiles, 'show <profile>', 'one profile as written', async () => (await profileCommands()).show).option(
    '--json',
    'as JSON',
  );
  verb(
    profiles,
    'validate <profile...>',
    'check profiles by name or path',
    async () => (await profileCommands()).validate,
  ).option('--json', 'as JSON');

  const indexCommands = () => import('./commands/index.js');
  const indexLs = async () => (await indexCommands()).ls;
  const index = command(program.command('index')).description('the Jetson index of Python wheels');
  addPlatform(verb(index, 'ls [package]', 'its packages, or the files of one', indexLs))
    .option('--python <VERSION>', 'for this Python: 3.10 (default: the one here)')
    .option('--all', 'files that do not fit too')
    .option('--json', 'as JSON');
  addPlatform(
    verb(index, 'status', 'which of its mirrors answer, and how fast', async () => (await indexCommands()).status),
  )
    .option('--json', 'as JSON')
    .addHelpText('after', INDEX_NOTES);

  verb(program, 'doctor', 'is this machine ready?', async () => (await import('./commands/doctor.js')).doctor)
    .option('--json', 'as JSON')
    .option('--profile <NAME|FILE>', 'judge whether this profile can run')
    .option('--root <DIR>', 'examine the files of a copied machine instead of this one')
    .option('--log <FILE>', "explain a failed build's or launch's log instead; - is stdin")
    .option('--fix', 'run the mends that are safe, each after asking')
    .option('-y, --yes', 'with --fix: without asking')
    .option('--dry-run', 'with --fix: only show them')
    .option('--sudo', 'with --fix: use sudo for those that need root')
    .option('--no-torch', "read torch's files only: importing it takes seconds")
    .option('--offline', 'on a Jetson, do not ask whether the index of wheels answers');
  return program;
}

/** Our manner of failing: nothing printed by commander itself, faults thrown as JsgError with the nearest known name. */
function command(self: Command): Command {
  return self
    .configureOutput({ outputError: () => {} })
    .helpOption('-h, --help', 'show this help')
    .exitOverride((error) => {
      if (error.exitCode === 0 || error.code === 'commander.help') throw error;
      throw usageError(self, error);
    });
}

/** A launch takes operands only after `--`: before it they are a slip of the keyboard. */
function operands(program: Command, self: Command): string[] {
  const { rawArgs } = program as Command & { rawArgs: string[] };
  const end = rawArgs.indexOf('--');
  const numAfter = end < 0 ? 0 : rawArgs.length - end - 1;
  if (ENGINE_VERBS.includes(self.name()) && self.args.length > numAfter) {
    throw usageError(self, new CommanderError(1, 'commander.excessArguments', `too many arguments: '${self.args[0]}'`));
  }
  return self.args;
}

function addPlatform(self: Command): Command {
  return self.option('--platform <PATH>', 'path of the index: jp6/cu126 (default: the one of this board)');
}

/** Settings of the table as options, under their group's heading. */
function addSettings(self: Command, names: readonly FlagName[] = FLAG_NAMES): Command {
  for (const name of names) {
    self.addOption(settingOption(name));
  }
  return self;
}

function settingOption(name: FlagName): Option {
  const spec: FlagSpec = FLAGS[name];
  const metavar =
    spec.kind === 'choice' ? name.split('-').at(-1)?.toUpperCase() : spec.kind !== 'toggle' && spec.metavar;
  const notes = [
    ...(spec.kind === 'choice' ? [spec.choices.join(', ')] : []),
    ...(spec.default !== null && spec.default !== false ? [`default: ${spec.default}`] : []),
  ];
  const help = notes.length > 0 ? `${spec.help} (${notes.join('; ')})` : spec.help;
  const option = new Option(`--${name}${metavar ? ` <${metavar}>` : ''}`, help).helpGroup(`${spec.group}:`);
  // --no-ui is a toggle under that name, not the opposite of another.
  option.negate = false;
  return option;
}
