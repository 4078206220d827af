/** What a caller asks of the loader, and what the loader reports while it works. */
import type { DTypeFlag } from './dummy.js';

export const LOAD_FORMATS = ['auto', 'safetensors', 'gguf', 'dummy'] as const;
export type LoadFormat = (typeof LOAD_FORMATS)[number];

export interface LoadProgress {
  stage: 'download' | 'verify' | 'unpack';
  /** The file at work, as a person knows it. */
  file: string;
  doneBytes: number;
  totalBytes: number;
}

export interface LoadModelOptions {
  /** `smollm2`, a directory, a `.gguf` file, or a hub id `org/name` (`org/name:Q4_K_M` picks one of several GGUF files). */
  model: string;
  loadFormat: LoadFormat;
  /** How dummy weights are stored; those of files stay as they are. Default `auto`. */
  dtype?: DTypeFlag;
  /** A tokenizer.json, or a directory with one, instead of the model's own. */
  tokenizerPath?: string;
  skipTokenizerInit?: boolean;
  /** A Jinja file instead of the model's own template. */
  chatTemplatePath?: string;
  /** What the checkpoint must have been quantised by, by SGLang's name. */
  quantization?: string;
  /** Branch, tag or commit of a hub id. Default `main`. */
  revision?: string;
  /** Refused where it is longer than what the model was trained for. */
  contextLength?: number;
  onProgress?: (event: LoadProgress) => void;
  signal?: AbortSignal;
}
