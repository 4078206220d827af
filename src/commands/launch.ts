/** `jsg launch`: serve a model until told to stop. */
import { probeDevice } from '../device/probe.js';
import { type Running, type StartOptions, selectEngine } from '../engine/engine.js';
import { sglangCommand } from '../engine/sglang/command.js';
import { JsgError } from '../errors.js';
import { log, setLogLevel } from '../log.js';
import type { Settings } from '../profile/flags.js';
import { requireSuitable } from '../profile/suitability.js';
import { hideSecrets } from './hide-secrets.js';
import { preflight } from './preflight.js';
import { printSettings } from './print-settings.js';
import { showProgress } from './progress.js';
import { tellSystemd } from './service-notify.js';
import { type Chosen, chooseSettings, chosenNames, type Options } from './settings.js';
import { untilStarted, untilStopped } from './signals.js';

/** `extraArgs`: what stood after `--`. */
export async function launch(options: Options, extraArgs: string[] = []): Promise<number> {
  if (options.json && !options.print) {
    throw new JsgError('E_USAGE', '--json goes with --print', { hint: 'jsg launch --print --json' });
  }
  hideSecrets();
  const device = probeDevice();
  const chosen = chooseSettings(options, device);
  const { settings } = chosen;
  requireNoExtra(chosen, extraArgs);
  if (options.print) return printSettings(chosen, device, options.json === true, extraArgs);

  setLogLevel(settings['log-level']);
  if (options.stopWithStdin) stopWithStdin(options.stopWithStdin);
  const force = options.force === true;
  const isSglang = settings.engine === 'sglang';
  // What the command line itself gets wrong comes before what the machine lacks.
  if (isSglang) sglangCommand(settings, chosenNames(chosen), extraArgs);
  if (isSglang) await preflight(chosen, device, { force });
  else requireSuitable(chosen.subject, settings, device);
  const engine = await selectEngine(settings.engine);
  const start = (signal?: AbortSignal) => {
    const profileName = chosen.profile?.name ?? null;
    const options: StartOptions = {
      force,
      given: chosenNames(chosen),
      profileName,
      extraArgs,
      ...(signal && { signal }),
    };
    return engine.start(settings, device, showProgress(), options);
  };
  // The native engine starts in this process, which a signal ends by itself.
  const running = isSglang ? await untilStarted(start) : await start();
  if (typeof running === 'number') return running;
  // Before anybody is told that it serves: a signal in answer to that finds it heard.
  const ended = untilStopped(running);
  if (settings['node-rank'] === 0) announce(running, settings);
  else log.info(`node ${settings['node-rank']} of ${settings.nnodes} is up; node 0 answers requests`);
  const [code] = await Promise.all([ended, tellSystemd(`serving at ${running.url}`)]);
  return code;
}

/** What was started through a connection goes with it: stdin ends, or the sign of life that it carries stays away. */
function stopWithStdin(seconds: unknown): void {
  const timeoutMs = seconds === true ? null : Number(seconds) * 1000;
  if (timeoutMs !== null && !(timeoutMs >= 1000 && timeoutMs <= 86_400_000)) {
    throw new JsgError('E_USAGE', `--stop-with-stdin: '${seconds}' is not a number of seconds`);
  }
  const stop = () => process.kill(process.pid, 'SIGTERM');
  const timer = timeoutMs === null ? null : setTimeout(stop, timeoutMs).unref();
  process.stdin.on('data', () => timer?.refresh());
  for (const event of ['end', 'error'] as const) process.stdin.once(event, stop);
}

function requireNoExtra({ settings }: Chosen, extraArgs: string[]): void {
  if (extraArgs.length === 0 || settings.engine === 'sglang') return;
  throw new JsgError('E_USAGE', `${extraArgs[0]} after -- is for SGLang, and the native engine runs`, {
    hint: 'Add --engine sglang before the --, or see jsg launch --help for its flags.',
  });
}

function announce({ url, modelName }: Running, settings: Settings): void {
  const messages = [{ role: 'user', content: 'What is the capital of France?' }];
  const body = { model: modelName, messages, temperature: 0 };
  const lines = [
    `curl ${url}/v1/chat/completions -H 'Content-Type: application/json'`,
    ...(settings['api-key'] !== null ? ["-H 'Authorization: Bearer YOUR_API_KEY'"] : []),
    `-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`,
  ];
  const page = settings.engine === 'native' && !settings['no-ui'] ? 'Open it in a browser to talk to it, or:\n' : '';
  process.stdout.write(`\n${modelName} is served at ${url}\n${page}\n  ${lines.join(' \\\n    ')}\n\n`);
}
