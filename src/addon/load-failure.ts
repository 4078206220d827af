/** Why a `.node` file does not load, in words that say what to do. */
import { JsgError } from '../errors.js';

interface Cause {
  /** In what the loader said, or the name of the signal that ended it. */
  pattern: RegExp;
  what: string;
  hint: string;
}

const REBUILD = 'build it on this machine: npm run build';

const CAUSES: Cause[] = [
  {
    pattern: /GLIBC(XX)?_[\d.]+['’]? not found/,
    what: 'it was built on a newer Linux than this one',
    hint: REBUILD,
  },
  {
    pattern: /libstdc\+\+|libgcc_s|ld-musl|libc\.musl|shared object file: No such file/,
    what: 'a system library that it was built with is missing here',
    hint: `${REBUILD}, or install libstdc++6`,
  },
  {
    pattern: /no such file|cannot find module/i,
    what: 'it has not been built',
    hint: 'run: npm run build (needs cmake and a C++20 compiler: sudo apt-get install -y cmake g++ make)',
  },
  {
    pattern:
      /invalid ELF header|wrong ELF class|file too short|mach-o|not a valid win32|exec format|incompatible architecture/i,
    what: `it is damaged, or was built for another machine than ${process.platform} ${process.arch}`,
    hint: REBUILD,
  },
  {
    pattern: /did not self-register|different Node\.js version|undefined symbol/,
    what: `it does not fit Node.js ${process.version}`,
    hint: `use Node.js 20.18 or newer, then ${REBUILD}`,
  },
  {
    pattern: /permission denied|operation not permitted|failed to map segment/i,
    what: 'the system does not let it be loaded',
    hint: 'check the permissions of the file, and that its file system is not mounted noexec',
  },
  {
    pattern: /SIGILL/,
    what: 'it uses instructions that this CPU does not have',
    hint: REBUILD,
  },
  {
    pattern: /SIGSEGV|SIGBUS|SIGABRT|SIGFPE/,
    what: 'it crashes while it is loaded, so it is damaged, or was built against other libraries',
    hint: `rm -r build, then ${REBUILD}; if it crashes again, report a bug with this message`,
  },
  {
    pattern: /SIGKILL|SIGTERM|ETIMEDOUT/,
    what: 'loading it did not end, or the system ended it (out of memory?)',
    hint: 'look at `free -m` and `dmesg`, then try again',
  },
];

/**
 * `said`: the loader's message, of which only the first telling line is shown. `signal`: what ended the process that
 * loaded it, or null.
 */
export function explainLoadFailure(path: string, said: string, signal: string | null): JsgError {
  const cause = CAUSES.find(({ pattern }) => pattern.test(signal ?? said));
  const line = said.split('\n').find((text) => /error|not found|cannot|ELF|symbol/i.test(text)) ?? said.split('\n')[0];
  const detail = signal ?? (line ?? '').replace(/^(\w*Error: )+/, '').trim();
  const what = cause?.what ?? 'it does not load';
  return new JsgError('E_ADDON_LOAD_FAILED', `the native runtime cannot be used: ${what} (${detail || path})`, {
    hint: cause?.hint ?? `${REBUILD}; other causes: a damaged file, another architecture, another Node.js or Linux`,
  });
}
