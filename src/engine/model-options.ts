/** Settings as the model loader takes them, and how its progress is shown. */
import { JsgError } from '../errors.js';
import type { LoadModelOptions, LoadProgress } from '../model/load.js';
import type { Settings } from '../profile/flags.js';
import type { Progress } from './engine.js';

/** Throws E_USAGE where no model is named. */
export function requireModelPath(settings: Settings): string {
  const path = settings['model-path'];
  if (path !== null) return path;
  throw new JsgError('E_USAGE', 'no model is named', { hint: 'Add --model-path, for example --model-path smollm2.' });
}

export function toLoadOptions(settings: Settings, model: string, progress: Progress): LoadModelOptions {
  return {
    model,
    loadFormat: settings['load-format'],
    dtype: settings.dtype,
    tokenizerPath: settings['tokenizer-path'] ?? undefined,
    skipTokenizerInit: settings['skip-tokenizer-init'],
    chatTemplatePath: settings['chat-template'] ?? undefined,
    quantization: settings.quantization ?? undefined,
    revision: settings.revision ?? undefined,
    contextLength: settings['context-length'] ?? undefined,
    onProgress: (event) => progress.update(fractionOf(event), `${event.stage} ${event.file}`),
  };
}

function fractionOf({ doneBytes, totalBytes }: LoadProgress): number {
  return totalBytes > 0 ? Math.min(1, doneBytes / totalBytes) : 0;
}
