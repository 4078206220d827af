/** `jsg index`: what the Jetson index has for this board, and whether it answers. Changes nothing. */

import { probeMachine } from '../device/machine.js';
import { sourceUnder } from '../device/source.js';
import { pathOfMachine } from '../device/wheel-index.js';
import { parseWheelName } from '../device/wheel-name.js';
import { JsgError } from '../errors.js';
import { withoutCredentials } from '../registry/http.js';
import { JetsonIndex } from '../registry/jetson-index.js';
import type { ProjectFile } from '../registry/project-page.js';
import { parseRequirement, type Requirement, selectFiles } from '../registry/select.js';
import type { Target } from '../registry/tags.js';
import { targetOfPath, targetOfPython } from '../registry/target.js';
import { formatTable } from '../table.js';
import { givenPlatform, givenPython } from './platform.js';
import type { Options } from './settings.js';

export async function ls(options: Options, [name]: string[]): Promise<number> {
  return withIndex(options, (index) =>
    name === undefined ? listProjects(index, options) : listFiles(index, name, options),
  );
}

/** Exit code 0: a mirror answers; 1: none does. */
export async function status(options: Options): Promise<number> {
  return withIndex(options, async (index) => {
    const mirrors = await index.health();
    const isUp = mirrors.some((mirror) => mirror.isUp);
    if (options.json) {
      const entries = mirrors.map(({ simpleUrl, isUp, latencyMs, status, fault }) => ({
        url: withoutCredentials(simpleUrl),
        up: isUp,
        latency_ms: latencyMs,
        status,
        fault,
      }));
      print(json({ platform: index.path, up: isUp, mirrors: entries }));
    } else {
      const rows = mirrors.map(({ simpleUrl, latencyMs, fault }) => [
        withoutCredentials(simpleUrl),
        fault === null ? 'answers' : fault,
        latencyMs === null ? '-' : `${latencyMs} ms`,
      ]);
      print(formatTable([['MIRROR', 'STATE', 'LATENCY'], ...rows], 2));
    }
    return isUp ? 0 : 1;
  });
}

async function withIndex(options: Options, work: (index: JetsonIndex) => Promise<number>): Promise<number> {
  const index = new JetsonIndex(await chooseTarget(options));
  try {
    return await work(index);
  } finally {
    await index.close();
  }
}

/** `--platform` and `--python` over what this machine is. Throws E_USAGE, E_DEVICE_UNSUITABLE. */
async function chooseTarget(options: Options): Promise<{ path: string; target: Target }> {
  const [platform, python] = [givenPlatform(options), givenPython(options)];
  const source = sourceUnder();
  const path = platform ?? pathOfMachine(await probeMachine(source));
  if (path === null) {
    throw new JsgError('E_DEVICE_UNSUITABLE', 'the Jetson index has nothing for this machine', {
      hint: 'With --platform jp6/cu126 it is asked for a board with JetPack 6.1 or later; see wheels/index.yaml.',
    });
  }
  const here = platform === null ? await targetOfPython(source) : null;
  const target = here ?? targetOfPath(path);
  return { path, target: python === null ? target : { ...target, python } };
}

async function listProjects(index: JetsonIndex, { json: asJson }: Options): Promise<number> {
  const { mirror, names } = await index.projects();
  const sorted = [...new Set(names)].sort();
  print(
    asJson
      ? json({ platform: index.path, index: withoutCredentials(mirror.simpleUrl), projects: sorted })
      : sorted.map((name) => `${name}\n`).join(''),
  );
  return 0;
}

async function listFiles(index: JetsonIndex, text: string, options: Options): Promise<number> {
  const requirement = parseRequirement(text);
  if (requirement === null)
    throw new JsgError('E_USAGE', `'${text}' is no requirement`, { hint: 'Like torch or torch==2.8.0.' });
  const { mirror, files } = await index.project(requirement.name);
  const fitting = fittingFiles(files, requirement, index);
  const shown = options.all ? files : files.filter(({ filename }) => fitting.has(filename));
  if (options.json) {
    const entries = shown.map((file) => ({
      filename: file.filename,
      version: parseWheelName(file.filename)?.version ?? null,
      fits: fitting.has(file.filename),
      built_here: index.isOwn(file),
      url: file.url,
      sha256: file.sha256,
      requires_python: file.requiresPython,
      yanked: file.yanked,
      size_bytes: file.sizeBytes,
    }));
    const { python, machine } = index.target;
    print(json({ platform: index.path, index: withoutCredentials(mirror.simpleUrl), python, machine, files: entries }));
    return 0;
  }
  const rows = shown.map((file) => [
    file.filename,
    fitting.has(file.filename) ? 'yes' : 'no',
    index.isOwn(file) ? index.path : 'elsewhere',
    file.sha256?.slice(0, 12) ?? 'none',
    file.yanked === null ? '' : `withdrawn${file.yanked === '' ? '' : `: ${file.yanked}`}`,
  ]);
  if (rows.length > 0) print(formatTable([['FILE', 'FITS', 'BUILT FOR', 'SHA256', ''], ...rows]));
  const hidden = files.length - shown.length;
  if (hidden > 0) {
    const { python, machine } = index.target;
    process.stderr.write(`${hidden} files do not fit Python ${python} on ${machine}; --all shows them.\n`);
  }
  return 0;
}

/** Pre-releases and withdrawn files count here: what is there is to be seen. */
function fittingFiles(files: ProjectFile[], requirement: Requirement, index: JetsonIndex): Set<string> {
  const each = files.filter(
    (file) => selectFiles([{ ...file, yanked: null }], requirement, index.target, { unhashed: true }).length > 0,
  );
  return new Set(each.filter((file) => index.mayTake(requirement.name, file)).map(({ filename }) => filename));
}

const json = (document: unknown) => `${JSON.stringify(document, null, 2)}\n`;

const print = (text: string) => void process.stdout.write(text);
