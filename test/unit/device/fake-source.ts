/** A machine made of texts, for probes. */
import { cleanText, type Output, type Source } from '../../../src/device/source.js';

interface Parts {
  /** Path -> text; a folder is there when a file below it is. */
  files?: Record<string, string>;
  /** Path -> target. */
  links?: Record<string, string>;
  /** Command -> what it prints, or how it fails; one that is not here is not on PATH. */
  commands?: Record<string, string | Output>;
}

export function fakeSource({ files = {}, links = {}, commands = {} }: Parts): Source {
  const below = (path: string) => Object.keys(files).filter((file) => file.startsWith(`${path}/`));
  return {
    isHere: false,
    read: (path) => (path in files ? cleanText(files[path] ?? '') : null),
    find: (path) => (path in files || below(path).length > 0 ? path : null),
    link: (path) => links[path] ?? null,
    list: (path) => [...new Set(below(path).map((file) => file.slice(path.length + 1).split('/')[0] ?? ''))].sort(),
    run: async (command) => {
      const answer = commands[command];
      if (answer === undefined) return null;
      return typeof answer === 'string' ? { code: 0, stdout: cleanText(answer), stderr: '' } : answer;
    },
  };
}
