/** `--idle-unload`: what loading the same model again takes, and what speaks against it. */
import { statSync } from 'node:fs';
import type { RuntimeSpec } from '../addon/binding.js';
import { NativeEngineRuntime, type Runtime } from '../addon/runtime.js';
import { JsgError } from '../errors.js';
import type { Settings } from '../profile/flags.js';
import { IdleRuntime } from './idle-runtime.js';
import type { SessionFile } from './session-file.js';

/** `requireRoom` throws where the memory that the model had is not free any more. The session outlives the model. */
export function unloadWhenIdle(
  runtime: Runtime,
  settings: Settings,
  spec: RuntimeSpec,
  requireRoom: () => void,
  session: SessionFile | null,
): Runtime {
  const seconds = settings['idle-unload'];
  if (seconds === null) return runtime;
  const marks = spec.files.map(markOf);
  return new IdleRuntime(runtime, {
    unloadAfterMs: seconds * 1000,
    maxWaiting: settings['max-running-requests'] + settings['max-queued-requests'],
    async reload() {
      spec.files.forEach((file, i) => {
        // Where its tensors lie was read at the start.
        if (markOf(file) !== marks[i])
          throw new JsgError('E_MODEL_INVALID', `${file} is not the file it was at the start`);
      });
      requireRoom();
      const again = await NativeEngineRuntime.start(spec);
      try {
        await session?.restore(again);
      } catch (error) {
        await again.stop();
        throw error;
      }
      return again;
    },
    beforeUnload: async (idle) => session?.saveAtEnd(idle),
    forgetSaved: async () => session?.forget(),
  });
}

function markOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat) return 'gone';
  return `${stat.dev} ${stat.ino} ${stat.size} ${stat.mtimeMs}`;
}
