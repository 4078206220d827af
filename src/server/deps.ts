/** What the server is given. It never sees a profile: the engine hands it resolved values. */
import type { Grammars } from '../addon/grammars.js';
import type { Runtime } from '../addon/runtime.js';
import type { LoadedModel } from '../model/model.js';
import type { PageFile } from './page.js';
import type { ReasoningParserName } from './tools/reasoning.js';
import type { ToolFormatName } from './tools/tool-formats.js';

/** The text side of a model, and the one number of its shape that requests are checked against. A LoadedModel is one. */
export type ServerModel = Pick<
  LoadedModel,
  'name' | 'tokenizer' | 'chatTemplate' | 'bosTokenId' | 'eosTokenIds' | 'generationDefaults'
> & { weights: { config: { vocabSize: number } } };

export interface ServerOptions {
  /** The id that `/v1/models` lists and that answers carry. */
  servedModelName: string;
  /** As `/get_model_info` reports it. */
  modelPath: string;
  /** Longest prompt + answer of one sequence, tokens. */
  contextLength: number;
  maxRunningRequests: number;
  maxQueuedRequests: number;
  /** Prompt tokens that may wait; null: any number. */
  maxQueuedTokens?: number | null;
  /** Which values of `priority` go first; by default the field is not heard. */
  priorityOrder?: 'high-first' | 'low-first' | null;
  /** Those at the start; empty: no key is asked for. */
  apiKeys: readonly string[];
  /** Only requests to this machine's names and addresses are answered. */
  ownHostOnly?: boolean;
  /** Of web pages that may ask; none by default. */
  corsOrigins?: readonly string[];
  /** A request that names another model gets a 404. */
  strictModelName: boolean;
  /** How long SIGTERM lets running streams finish. */
  drainTimeoutMs: number;
  /** Decode steps between two `Decode batch` lines. */
  decodeLogInterval: number;
  /** Drafts are checked: logs, metrics and `meta_info` tell how many were right. */
  speculates?: boolean;
  /** What to do about it, where there are no `grammars`. */
  grammarsOffReason?: string;
  /** How the model writes calls of tools; by default as its chat template says. */
  toolCallParser?: ToolFormatName | null;
  /** How the model writes down its thoughts; by default it has none. */
  reasoningParser?: ReasoningParserName | null;
  /** What the user named the settings by, for the page. */
  profileName?: string | null;
  /** Resolved settings, as `/get_server_info` reports them; never holds a key. */
  serverInfo: Record<string, unknown>;
}

interface Usage {
  usedBytes: number;
  totalBytes: number;
}

/** What the machine reads now; null: cannot be read. */
export interface MachineReadings {
  memory: Usage | null;
  gpuMemory: Usage | null;
  power: { watts: number; of: string } | null;
  temperature: { celsius: number; of: string; throttlesAt: number | null } | null;
}

export interface ServerDeps {
  runtime: Runtime;
  /** Without: requests that ask for a form of the answer are refused. */
  grammars?: Grammars | null;
  model: ServerModel;
  /** The files of the page at /; none: there is no page. */
  page?: readonly PageFile[];
  /** Writes the prefix cache to the session file; its tokens. Throws E_UNAVAILABLE, E_IO_FAILED. Without: there is none. */
  saveSession?: () => Promise<number>;
  /** Without: nothing of the machine is told. */
  readMachine?: () => Promise<MachineReadings>;
  options: ServerOptions;
}
