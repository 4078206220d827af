/** Interpreter, environment, and where pip looks. */
import { isJetson } from '../../device/machine.js';
import type { PipIndex } from '../../device/python-pip.js';
import { stackOf } from '../../device/releases.js';
import { isOfLine } from '../../device/versions.js';
import { indexTable } from '../../device/wheel-index.js';
import { type Check, notTold, outcome } from '../check.js';
import { jetsonIndexUrl } from './wheels-table.js';

export const python: Check = {
  id: 'python',
  group: 'python',
  expected: "the Python of the board's Ubuntu, which the wheels for JetPack are compiled for",
  why: 'a wheel is compiled for one Python; with another, pip finds none or takes one without CUDA',
  look: ({ python: found, release, toolchain }) => {
    if (found === null) return null;
    // On this very machine the check of pip says that there is none.
    if (found.interpreter === null) return toolchain === null ? notTold : null;
    const { version, path, kind } = found.interpreter;
    const text = `Python ${version} (${kind}, ${path})`;
    const stack = release.l4t === null ? null : stackOf(release.l4t);
    if (stack === null || isOfLine(version, stack.python)) return outcome('pass', text);
    const wanted = stack.python;
    const fix = `/usr/bin/python${wanted} -m venv --system-site-packages ~/sglang && . ~/sglang/bin/activate`;
    return { ...outcome('warn', text, fix), expected: `Python ${wanted}, as Ubuntu ${stack.ubuntu} has` };
  },
};

/** PEP 668: Ubuntu 24.04 does so. */
export const pythonEnvironment: Check = {
  id: 'python-env',
  group: 'python',
  expected: 'an environment that pip may install into',
  why: 'pip refuses with "externally-managed-environment", and --break-system-packages breaks what apt installed',
  look: (facts) => {
    if (!isJetson(facts) || !facts.python?.interpreter?.isExternallyManaged) return null;
    const fix =
      'sudo apt-get install -y python3-venv && python3 -m venv --system-site-packages ~/sglang && . ~/sglang/bin/activate';
    return outcome('warn', `${facts.python.interpreter.path} is managed by apt: pip installs nothing into it`, fix);
  },
};

export const pipIndex: Check = {
  id: 'pip-index',
  group: 'python',
  expected: 'an index that answers, asked alone',
  why: 'where the Jetson index does not answer, pip takes the public wheel of torch, which has no CUDA, and says nothing',
  look: ({ python: found, release }) => {
    if (found === null || found.indexes.length === 0) return null;
    const wanted = jetsonIndexUrl(release.l4t);
    const faults = found.indexes.map((index) => ({ index, fault: faultOf(index) }));
    const first = faults.find(({ fault }) => fault !== null);
    const asked = found.indexes.filter(({ option }) => option !== 'find-links');
    const text = asked.map(({ url, from }) => `${url} (${from})`).join(', ');
    if (first === undefined) return asked.length === 0 ? null : outcome('pass', text);
    const { index, fault } = first;
    return outcome('warn', `${index.url} (${index.from}): ${fault}`, mend(index, wanted));
  },
};

/** Null: nothing is wrong with it. */
function faultOf({ url, option }: PipIndex): string | null {
  const { gone } = indexTable();
  const [address] = indexTable().mirrors;
  const host = hostOf(url);
  const isOf = (name: string) => host === name || host.endsWith(`.${name}`);
  if (gone.some(isOf)) return `this address is gone; it moved to ${address}`;
  if (!isOf(hostOf(address))) return null;
  if (!/\/\+simple\/?$/.test(url)) return 'without /+simple/ it is a web page, which lacks most packages';
  if (option === 'extra-index-url') return 'asked beside the public index, whose torch without CUDA may win';
  return null;
}

/** The same file or variable, with the address that answers. */
function mend({ url, option, from }: PipIndex, wanted: string | null): string {
  const { gone } = indexTable();
  const [address] = indexTable().mirrors;
  // A command to be copied quotes nothing that could end its quotes.
  if (![url, from].every((text) => /^[\w:/.+~%@-]+$/.test(text))) return `correct the address of the index in ${from}`;
  const path = URL.canParse(url) ? new URL(url).pathname.replace(/\/(\+simple\/?)?$/, '') : '';
  const isKnownPath = /^\/(jp\d|sbsa|amd64)\/cu\d+$/.test(path);
  const moved = wanted ?? (isKnownPath ? `${address}${path}/+simple/` : null);
  if (moved === null) return `remove ${url} from ${from}: ${gone.join(' and ')} no longer answer`;
  if (!from.startsWith('/')) {
    const variable = from.replace('EXTRA_INDEX_URL', 'INDEX_URL');
    return variable === from ? `export ${from}=${moved}` : `unset ${from}; export ${variable}=${moved}`;
  }
  const sudo = from.startsWith('/etc/') ? 'sudo ' : '';
  const rename = option === 'extra-index-url' ? ` -e 's/^extra-index-url/index-url/'` : '';
  return `${sudo}sed -i${rename} -e 's#${url}#${moved}#' ${from}`;
}

const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).hostname : '');

export const indexAnswer: Check = {
  id: 'index',
  group: 'python',
  expected: 'the index of wheels for this board answers',
  why: 'torch and the kernels of SGLang come from it; it was down for days at a time',
  look: ({ python: found }) => {
    if (!found?.index) return null;
    const { url, status, fault } = found.index;
    if (status !== null && status < 400) return outcome('pass', `${url} answers`);
    const text = status === null ? `${url} does not answer (${fault})` : `${url} answers with HTTP ${status}`;
    const first = status === null ? 'check the network, the DNS and HTTPS_PROXY' : 'the index is down or was moved';
    return outcome('warn', text, `curl -sSIL ${url}   # ${first}; wheels that are installed go on working`);
  },
};
