/** All that a board needs, in one folder: sources, wheels, model, jsg itself, and the manifest, which is written last. */
import { renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { JsgError } from '../errors.js';
import { sha256OfFile, writeAtomically } from '../files.js';
import type { GitSource, Plan } from '../recipe/plan.js';
import type { OnEvent } from '../recipe/run/events.js';
import type { Task } from '../recipe/run/tasks.js';
import type { JetsonIndex } from '../registry/jetson-index.js';
import type { Target } from '../registry/tags.js';
import { version } from '../version.js';
import { gatherModel } from './gather-model.js';
import { gatherNpm } from './gather-npm.js';
import { type GatheredSource, gatherSource, gitSources, removeOtherSources } from './gather-sources.js';
import { gatherPackages } from './gather-wheels.js';
import { gatherXgrammar } from './gather-xgrammar.js';
import { installText } from './install-text.js';
import { type BundleFile, type Manifest, type Place, readManifest, writeManifest } from './manifest.js';
import { interrupted, WORK, Workshop } from './workshop.js';

export interface BundleRequest {
  /** A folder, or a file that ends in `.tar`. */
  output: string;
  profile: string;
  /** What `--model-path` would be given; null: none is gathered. */
  model: string | null;
  variant: string;
  recipes: string[];
  plans: Plan[];
  platform: string | null;
  target: Target;
  index: JetsonIndex | null;
  /** The interpreter whose pip is asked. */
  python: string;
  signal: AbortSignal;
  onEvent: OnEvent;
}

type Gathered = Omit<BundleFile, 'sha256' | 'sizeBytes'>;

const sourceTitle = ({ name, tag }: GitSource) => `source of ${name} ${tag}`;
const WHEELS = 'wheels';
const NATIVE = 'sources of the native runtime';
const MODEL = 'model';
const NPM = 'jsg and its npm packages';
const SUMS = 'sha256 of every file';
const TAR = 'tar';

/** What gatherBundle does, in order, for a display. */
export function bundleTasks({ plans, model, output }: Pick<BundleRequest, 'plans' | 'model' | 'output'>): Task[] {
  const titles = [
    ...gitSources(plans).map(sourceTitle),
    ...(plans.length > 0 ? [WHEELS] : []),
    NATIVE,
    ...(model === null ? [] : [MODEL]),
    NPM,
    SUMS,
    ...(isTar(output) ? [TAR] : []),
  ];
  return titles.map((title) => ({ id: title, title }));
}

/** Goes on where an earlier run was ended. Throws what gathering throws; what was gathered until then is kept. */
export async function gatherBundle(request: BundleRequest): Promise<Manifest> {
  const { output, signal, onEvent } = request;
  const directory = isTar(output) ? stagingOf(output) : output;
  const shop = await openWorkshop(directory, signal, onEvent);
  let isFinished = false;
  try {
    const manifest = await fill(request, shop);
    if (isTar(output)) await shop.task(TAR, () => pack(output, directory, shop));
    isFinished = true;
    return manifest;
  } catch (error) {
    if (signal.aborted) throw interrupted();
    throw error;
  } finally {
    shop.close(isFinished);
    if (isFinished && isTar(output)) rmSync(dirname(directory), { recursive: true, force: true });
  }
}

export const isTar = (output: string) => output.endsWith('.tar');

/** Beside the file, so that what is half-gathered is found again, under the folder's name in the tar. */
const stagingOf = (output: string) => join(dirname(output), `.${basename(output)}.part`, basename(output, '.tar'));

async function openWorkshop(directory: string, signal: AbortSignal, onEvent: OnEvent): Promise<Workshop> {
  try {
    return await Workshop.open(directory, signal, onEvent);
  } catch (error) {
    if (error instanceof JsgError) throw error;
    throw new JsgError('E_IO_FAILED', `${directory}: ${(error as Error).message}`, {
      hint: 'Give another --output.',
      cause: error,
    });
  }
}

async function fill(request: BundleRequest, shop: Workshop): Promise<Manifest> {
  const { plans, model, platform, target, profile, variant, recipes } = request;
  const { python, machine } = target;
  const had = readManifest(shop.directory);
  requireSame(shop.directory, had, { platform, python, machine });
  const sources = await gatherSources(plans, had?.files ?? [], shop);
  const clones = new Map(sources.map(({ file, clone }) => [file.name, clone]));
  const files = sources.map(({ file }) => file);
  if (plans.length > 0) {
    files.push(...(await shop.task(WHEELS, (tell) => gatherPackages({ ...request, clones }, shop, tell))));
  }
  const missing: Manifest['missing'] = [];
  const native = async () => [await gatherXgrammar(request, shop)];
  files.push(
    ...(await shop.task(NATIVE, () => native().catch(orMissing('XGrammar (structured output)', missing, shop)))),
  );
  removeOtherSources(
    shop.directory,
    files.map(({ path }) => path),
  );
  if (model !== null) {
    const what = `model ${model}`;
    const found = await shop.task(MODEL, (tell) =>
      gatherModel(model, shop, tell).catch(orMissing(what, missing, shop)),
    );
    files.push(...found);
  }
  files.push(await shop.task(NPM, () => gatherNpm(machine, shop)));
  const summed = await shop.task(SUMS, () => sum(files, shop));
  const what = { jsg: version(), platform, python, machine, profile, variant, recipes };
  const manifest: Manifest = { version: 1, ...what, files: summed, missing };
  writeAtomically(join(shop.directory, 'INSTALL.md'), installText(manifest));
  writeManifest(shop.directory, manifest);
  return manifest;
}

function requireSame(directory: string, had: Manifest | null, place: Place): void {
  if (had === null || (['platform', 'python', 'machine'] as const).every((key) => had[key] === place[key])) return;
  const [was, is] = [had, place].map((of) =>
    [of.platform, `Python ${of.python}`, of.machine].filter(Boolean).join(', '),
  );
  throw new JsgError('E_USAGE', `${directory} is a bundle for ${was}, and one for ${is} is wanted`, {
    hint: 'Give another --output.',
  });
}

async function gatherSources(plans: Plan[], had: BundleFile[], shop: Workshop): Promise<GatheredSource[]> {
  const gathered: GatheredSource[] = [];
  for (const source of gitSources(plans)) {
    gathered.push(await shop.task(sourceTitle(source), () => gatherSource(source, had, shop)));
  }
  return gathered;
}

/** A model may want a licence to be accepted, or a login: the rest is of use without it. */
const orMissing = (what: string, missing: Manifest['missing'], shop: Workshop) => (error: unknown) => {
  if (shop.signal.aborted || !(error instanceof JsgError)) throw error;
  missing.push({ what, why: error.message });
  return [];
};

async function sum(files: Gathered[], { directory, signal }: Workshop): Promise<BundleFile[]> {
  const summed: BundleFile[] = [];
  for (const file of files) {
    const path = join(directory, file.path);
    summed.push({ ...file, sha256: await sha256OfFile(path, signal), sizeBytes: statSync(path).size });
  }
  return summed;
}

async function pack(output: string, directory: string, shop: Workshop): Promise<void> {
  const partial = join(dirname(directory), basename(output));
  const leaveOut = `--exclude=${basename(directory)}/${WORK}`;
  await shop.must(['tar', '-cf', partial, leaveOut, '-C', dirname(directory), basename(directory)], dirname(directory));
  renameSync(partial, output);
}
