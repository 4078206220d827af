/** The native engine: model files, memory plan, runtime, warm-up, server. */
import { loadBinding, type NativeBinding, type RuntimeSpec } from '../addon/binding.js';
import { NativeEngineRuntime, type Runtime } from '../addon/runtime.js';
import { probeMemory } from '../device/probe.js';
import { machineReader } from '../device/readings.js';
import { sourceUnder } from '../device/source.js';
import { JsgError } from '../errors.js';
import { log } from '../log.js';
import { loadModel } from '../model/load.js';
import type { LoadedModel } from '../model/model.js';
import { requireKnownQuantization } from '../model/quantization.js';
import { foreseeDownload } from '../plan/find-model.js';
import { describePlan, type MemoryPlan, type Model, mebibytes, planMemory } from '../plan/memory.js';
import { asLoaded } from '../plan/weight-format.js';
import type { FlagName, Settings } from '../profile/flags.js';
import { createApp, type ServerApp, type ServerDeps, type ServerOptions } from '../server/app.js';
import { parseOrigins } from '../server/cors.js';
import { listen } from '../server/listen.js';
import { loadPage } from '../server/page.js';
import { apiKeysOf, isForThisMachineAlone, requireFreePort, requireSafeAddress } from './address.js';
import { warnOfOpenKeyFile, watchKeyFile } from './api-key-file.js';
import { type BackendSpec, chooseBackend, requirePromptsInInt8 } from './backend.js';
import type { Engine, Progress, Running } from './engine.js';
import { requireGrammars, startGrammars } from './grammars.js';
import { unloadWhenIdle } from './idle-unload.js';
import { requireModelPath, toLoadOptions } from './model-options.js';
import { requireCacheForSession, SessionFile, sessionIdentity } from './session-file.js';
import { superviseServer } from './supervise.js';

/** Most drafts of a sequence in a step: with the token before them a bucket of recorded sizes. */
const DRAFT_TOKENS = 15;

const SPECULATION = ['speculative-num-draft-tokens', 'speculative-ngram-max-trie-depth'] as const;

/** Decode steps between two `Decode batch` lines, as SGLang. */
const DECODE_LOG_INTERVAL = 40;

export const nativeEngine: Engine = {
  async start(settings, device, progress, { force = false, given, profileName = null } = {}) {
    // What can be refused at once is refused before anything is loaded.
    const modelPath = requireModelPath(settings);
    requireSafeAddress(settings);
    requireAlgorithm(settings, given);
    parseOrigins(settings['cors-origin']);
    if (settings.quantization !== null) requireKnownQuantization(settings.quantization);
    await requireFreePort(settings.host, settings.port);
    const binding = await loadBinding();
    requireCacheForSession(settings);
    requireGrammars(settings, binding, given?.has('grammar-backend') ?? false);
    const planFor = (weights: Model, { wanted = settings, on = device } = {}) => {
      const backend = chooseBackend(wanted, weights.tensors, on, binding);
      const loaded = asLoaded(weights, wanted);
      requirePromptsInInt8(wanted, loaded.tensors);
      const placement = { ...backend.spec, integrated: backend.integrated };
      return { backend, plan: planMemory(loaded, wanted, placement, backend.availableBytes, { force }) };
    };
    // Better now than after a download of many gigabytes.
    const foreseen = force ? null : await foreseeDownload(settings);
    if (foreseen !== null) planFor(foreseen);

    const model = await phase(progress, `finding ${modelPath}`, async () => {
      const loaded = await loadModel(toLoadOptions(settings, modelPath, progress));
      return [loaded, describeModel(loaded)];
    });
    const { backend, plan } = planFor(model.weights);
    log.info(backend.description);
    log.debug(describePlan(plan, settings));
    // For loading it again: the same sizes, within all the memory that is free then.
    const sizes = { 'context-length': plan.contextLength, 'max-total-tokens': plan.maxTotalTokens };
    const requireRoom = () => {
      const wanted = { ...settings, ...sizes, 'mem-fraction-static': 1 };
      planFor(model.weights, { wanted, on: { ...device, memory: probeMemory(sourceUnder()) } });
    };
    const spec = toSpec(model, settings, plan, backend.spec);
    const loaded = await phase(progress, 'loading weights', async () => {
      const started = await NativeEngineRuntime.start(spec, (done) => progress.update(done));
      return [started, describeRuntime(started, plan)];
    });
    let runtime: Runtime = loaded;
    try {
      const session = await restoreSession(settings, spec, loaded);
      runtime = unloadWhenIdle(loaded, settings, spec, requireRoom, session);
      const readMachine = machineReader(sourceUnder(), { gpu: backend.spec.backend === 'cuda' && !backend.integrated });
      const options = { ...toServerOptions(settings, model, plan), profileName };
      const page = settings['no-ui'] ? [] : loadPage();
      return await serve(binding, { runtime, model, page, readMachine, options }, settings, session);
    } catch (error) {
      await runtime.stop();
      throw error;
    }
  },
};

/** Refuses what would have no effect. */
function requireAlgorithm(settings: Settings, given: ReadonlySet<FlagName> | undefined): void {
  if (speculates(settings)) return;
  const idle = SPECULATION.find((name) => given?.has(name));
  if (idle === undefined) return;
  throw new JsgError('E_USAGE', `--${idle} does nothing without --speculative-algorithm`, {
    hint: 'Add --speculative-algorithm NGRAM.',
  });
}

/** Shows a phase while it runs. `work` gives its result and what to say of it. */
async function phase<T>(progress: Progress, name: string, work: () => Promise<[T, string]>): Promise<T> {
  progress.begin(name);
  try {
    const [result, outcome] = await work();
    progress.end(outcome);
    return result;
  } catch (error) {
    progress.fail();
    throw error;
  }
}

async function serve(
  binding: NativeBinding,
  deps: ServerDeps & { model: LoadedModel },
  settings: Settings,
  session: SessionFile | null,
): Promise<Running> {
  const { runtime, model, options } = deps;
  const { grammars, offReason } = startGrammars(settings, binding, model);
  const app = createApp({
    ...deps,
    grammars,
    ...(session && { saveSession: () => session.save(runtime) }),
    options: { ...options, grammarsOffReason: offReason },
  });
  const server = await listen(app, { host: settings.host, port: settings.port });
  try {
    await app.lifecycle.warmUp();
  } catch (error) {
    await server.close();
    throw error;
  }
  followKeyFile(settings, app);
  const { done, stop } = superviseServer(server, runtime, options.drainTimeoutMs, async () =>
    session?.saveAtEnd(runtime),
  );
  return { url: server.url, modelName: options.servedModelName, done, stop };
}

/** Null: the prefix cache ends with the server. */
async function restoreSession(settings: Settings, spec: RuntimeSpec, runtime: Runtime): Promise<SessionFile | null> {
  const path = settings['session-file'];
  if (path === null) return null;
  const session = new SessionFile(path, await sessionIdentity(spec, runtime.info.kvBytesPerToken));
  await session.restore(runtime);
  return session;
}

/** The keys of a file can be changed while the server runs, and have been while the model was loaded. */
function followKeyFile(settings: Settings, { apiKeys }: ServerApp): void {
  const { 'api-key-file': file } = settings;
  if (file === null) return;
  warnOfOpenKeyFile(file);
  watchKeyFile(file, apiKeysOf(settings), (changed) => apiKeys.replace(changed));
}

function toSpec({ weights }: LoadedModel, settings: Settings, plan: MemoryPlan, backend: BackendSpec): RuntimeSpec {
  return {
    ...backend,
    ...asLoaded(weights, settings),
    files: weights.files,
    loadFormat: settings['load-format'] === 'dummy' ? 'dummy' : 'mmap',
    contextLength: plan.contextLength,
    maxTotalTokens: plan.maxTotalTokens,
    maxRunningRequests: settings['max-running-requests'],
    maxQueuedRequests: settings['max-queued-requests'],
    maxQueuedTokens: settings['max-queued-tokens'] ?? Number.MAX_SAFE_INTEGER,
    chunkedPrefillSize: settings['chunked-prefill-size'],
    sharesPrefixes: !settings['disable-radix-cache'],
    speculation: {
      maxDraftTokens: speculates(settings) ? (settings['speculative-num-draft-tokens'] ?? DRAFT_TOKENS) : 0,
      maxMatchTokens: settings['speculative-ngram-max-trie-depth'],
    },
    numThreads: settings['num-threads'],
  };
}

function priorityOrder(settings: Settings): 'high-first' | 'low-first' | null {
  if (!settings['enable-priority-scheduling']) return null;
  return settings['schedule-low-priority-values-first'] ? 'low-first' : 'high-first';
}

const speculates = (settings: Settings) => settings['speculative-algorithm'] !== null;

function toServerOptions(settings: Settings, model: LoadedModel, plan: MemoryPlan): ServerOptions {
  const { 'api-key': _, ...shown } = settings;
  return {
    servedModelName: settings['served-model-name'] ?? model.name,
    modelPath: model.name,
    contextLength: plan.contextLength,
    maxRunningRequests: settings['max-running-requests'],
    maxQueuedRequests: settings['max-queued-requests'],
    maxQueuedTokens: settings['max-queued-tokens'],
    priorityOrder: priorityOrder(settings),
    apiKeys: apiKeysOf(settings),
    ownHostOnly: isForThisMachineAlone(settings),
    corsOrigins: parseOrigins(settings['cors-origin']),
    strictModelName: settings['strict-model-name'],
    toolCallParser: settings['tool-call-parser'],
    reasoningParser: settings['reasoning-parser'],
    drainTimeoutMs: settings['drain-timeout'] * 1000,
    decodeLogInterval: DECODE_LOG_INTERVAL,
    speculates: speculates(settings),
    serverInfo: toServerInfo(shown),
  };
}

/** SGLang spells its server info with underscores. */
function toServerInfo(settings: Omit<Settings, 'api-key'>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name.replaceAll('-', '_'), value]));
}

function describeModel({ weights }: LoadedModel): string {
  const bytes = weights.tensors.reduce((sum, { nbytes }) => sum + nbytes, 0);
  return `${weights.config.architecture}, ${weights.config.numLayers} layers, ${mebibytes(bytes)}`;
}

function describeRuntime({ info }: Runtime, plan: MemoryPlan): string {
  const kv = `KV cache of ${info.totalTokens} tokens (${mebibytes(plan.kv)})`;
  const graphs = info.numGraphs > 0 ? `; ${info.numGraphs} CUDA graphs in ${seconds(info.warmUpMs)}` : '';
  return `${seconds(info.loadMs)}; ${info.isa}, ${info.numThreads} threads, ${kv}${graphs}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
