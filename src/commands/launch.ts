/** `jsg launch`: serve a model until told to stop. */
import { probeDevice } from '../device/probe.js';
import { type Running, selectEngine } from '../engine/engine.js';
import { JsgError } from '../errors.js';
import { log, setLogLevel } from '../log.js';
import { requireSuitable } from '../profile/suitability.js';
import { printSettings } from './print-settings.js';
import { showProgress } from './progress.js';
import { chooseSettings, type Options } from './settings.js';

export async function launch(options: Options): Promise<number> {
  if (options.json && !options.print) {
    throw new JsgError('E_USAGE', '--json goes with --print', { hint: 'jsg launch --print --json' });
  }
  const device = probeDevice();
  const chosen = chooseSettings(options, device);
  if (options.print) return printSettings(chosen, device, options.json === true);

  const { settings } = chosen;
  setLogLevel(settings['log-level']);
  requireSuitable(chosen.subject, settings, device);
  const engine = await selectEngine(settings.engine);
  const running = await engine.start(settings, device, showProgress(), { force: options.force === true });
  announce(running, settings['api-key'] !== null);
  return untilStopped(running);
}

function announce({ url, modelName }: Running, asksForKey: boolean): void {
  const messages = [{ role: 'user', content: 'What is the capital of France?' }];
  const body = { model: modelName, messages, temperature: 0 };
  const lines = [
    `curl ${url}/v1/chat/completions -H 'Content-Type: application/json'`,
    ...(asksForKey ? ["-H 'Authorization: Bearer YOUR_API_KEY'"] : []),
    `-d '${JSON.stringify(body).replaceAll("'", "'\\''")}'`,
  ];
  process.stdout.write(`\n${modelName} is served at ${url}\n\n  ${lines.join(' \\\n    ')}\n\n`);
}

/** Shell convention: 128 + the signal's number. */
const SIGNAL_EXIT = { SIGTERM: 143, SIGINT: 130 } as const;

/** The exit code: 0 once drained, the signal's when a second one came. Rejects when the runtime fails. */
function untilStopped(running: Running): Promise<number> {
  return new Promise((resolve, reject) => {
    let isDraining = false;
    const onSignal = (signal: 'SIGTERM' | 'SIGINT') => {
      if (isDraining) return resolve(SIGNAL_EXIT[signal]);
      isDraining = true;
      log.info(`${signal}: no more requests are taken, running ones may finish; a second signal ends at once`);
      running.stop().catch(reject);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
    running.done.then(() => resolve(0), reject);
  });
}
