/** Do CUDA, cuDNN, TensorRT and the metapackage belong to the installed L4T? */
import { isJetson } from '../../device/machine.js';
import { l4tOfJetpack, stackOf } from '../../device/releases.js';
import { compareVersions, isOfLine, upstreamVersion } from '../../device/versions.js';
import { type Check, notTold, outcome } from '../check.js';

export const jetpackPackage: Check = {
  id: 'jetpack-package',
  group: 'software',
  expected: 'the metapackage nvidia-jetpack of the installed L4T',
  why: 'libraries of another release than the driver fail late, with unclear CUDA errors',
  look: ({ release: { l4t, jetpack, jetpackPackage: installed } }) => {
    if (installed === null || l4t === null) return null;
    const version = upstreamVersion(installed);
    const known = jetpack === null || jetpack === 'unknown' ? null : (jetpack.split(' ')[0] ?? null);
    const found = `nvidia-jetpack ${installed} on L4T ${l4t}`;
    if (known === null) return outcome('pass', found);
    const difference = compareVersions(version, known);
    if (difference === 0) return outcome('pass', found);
    const owner = l4tOfJetpack(version);
    const belongs = owner === null ? '' : `, which belongs to L4T ${owner}`;
    const text = `${found} (JetPack ${known})${belongs}`;
    // A newer metapackage waits for its L4T; an older one was left behind.
    const fix =
      difference > 0
        ? 'sudo apt-get update && sudo apt-get dist-upgrade'
        : 'sudo apt-get update && sudo apt-get install nvidia-jetpack';
    return outcome('warn', text, fix);
  },
};

export const cuda: Check = {
  id: 'cuda',
  group: 'software',
  expected: 'the CUDA toolkit of the installed L4T',
  why: 'wheels and builds for another CUDA major do not load, or fall back to the CPU without a word',
  look: (facts) => {
    const { cuda: version, nvcc, toolkit, installed } = facts.libraries;
    const wanted = facts.release.l4t === null ? null : (stackOf(facts.release.l4t)?.cuda ?? null);
    const expected = wanted === null ? undefined : `CUDA ${wanted}, the one of L4T ${facts.release.l4t}`;
    const others = installed.length > 1 ? `; side by side: ${installed.join(', ')}` : '';
    const withExpected = (result: ReturnType<typeof outcome>) => ({ ...result, ...(expected && { expected }) });
    if (version === null) {
      if (!isJetson(facts))
        return facts.device.gpu === null ? null : outcome('skip', 'no CUDA toolkit: only builds need one');
      if (facts.release.l4t === null) return notTold;
      return withExpected(
        outcome('warn', 'no CUDA toolkit found', 'sudo apt-get update && sudo apt-get install nvidia-jetpack'),
      );
    }
    const named =
      toolkit !== null && nvcc !== null && !isOfLine(nvcc, lineOf(toolkit))
        ? ` (nvcc ${nvcc}, /usr/local/cuda is ${toolkit})`
        : '';
    const found = `CUDA ${version}${named}${others}`;
    if (named !== '') {
      return withExpected(outcome('warn', found, 'export PATH=/usr/local/cuda/bin:$PATH'));
    }
    if (wanted === null || isOfLine(version, wanted)) return withExpected(outcome('pass', found));
    const fix = `sudo apt-get install cuda-toolkit-${wanted.replace('.', '-')} && sudo update-alternatives --config cuda`;
    return withExpected(outcome('warn', found, fix));
  },
};

const lineOf = (version: string) => version.split('.').slice(0, 2).join('.');

export const cudnn: Check = {
  id: 'cudnn',
  group: 'software',
  expected: 'the cuDNN of the installed L4T',
  why: 'torch of the Jetson index is linked against exactly its major version',
  look: (facts) => {
    const version = facts.libraries.cudnn;
    const wanted = facts.release.l4t === null ? null : (stackOf(facts.release.l4t)?.cudnn ?? null);
    if (version === null) {
      if (!isJetson(facts)) return null;
      if (facts.release.l4t === null) return notTold;
      return outcome('warn', 'no cuDNN found', 'sudo apt-get update && sudo apt-get install nvidia-cudnn');
    }
    const expected = wanted === null ? {} : { expected: `cuDNN ${wanted}, the one of L4T ${facts.release.l4t}` };
    const majorWanted = wanted?.split('.')[0];
    const isSame = majorWanted === undefined || version.split('.')[0] === majorWanted;
    if (isSame) return { ...outcome('pass', `cuDNN ${version}`), ...expected };
    return {
      ...outcome('warn', `cuDNN ${version}`, 'sudo apt-get update && sudo apt-get install --reinstall nvidia-cudnn'),
      ...expected,
    };
  },
};

export const tensorrt: Check = {
  id: 'tensorrt',
  group: 'software',
  expected: 'the TensorRT of the installed L4T, or none',
  why: 'TensorRT engines are bound to the version that built them; jsg itself uses none',
  look: ({ libraries, release }) => {
    const version = libraries.tensorrt;
    const wanted = release.l4t === null ? null : (stackOf(release.l4t)?.tensorrt ?? null);
    if (version === null) return null;
    const isSame = wanted === null || version.split('.')[0] === wanted.split('.')[0];
    if (isSame) return outcome('pass', `TensorRT ${version}`);
    const result = outcome(
      'warn',
      `TensorRT ${version}`,
      'sudo apt-get update && sudo apt-get install --reinstall nvidia-tensorrt',
    );
    return { ...result, expected: `TensorRT ${wanted}, the one of L4T ${release.l4t}` };
  },
};

export const distribution: Check = {
  id: 'ubuntu',
  group: 'software',
  expected: 'the Ubuntu of the installed L4T',
  why: 'packages and wheels are built for its Python and C library',
  look: ({ release, device, container }) => {
    const stack = release.l4t === null ? null : stackOf(release.l4t);
    const { os } = device;
    if (stack === null || os === null || os.id !== 'ubuntu' || container !== null) return null;
    const expected = { expected: `Ubuntu ${stack.ubuntu}, the one of L4T ${release.l4t}` };
    if (os.versionId === stack.ubuntu) return { ...outcome('pass', os.name), ...expected };
    const fix = 'sdkmanager   # on a PC: flash the board anew; an upgrade of Ubuntu alone breaks its drivers';
    return { ...outcome('warn', os.name, fix), ...expected };
  },
};
