/** From where pip installs on this machine: its configuration files and variables. */
import { oneValue, type Source } from './source.js';

export interface PipIndex {
  /** Address without user and password. */
  url: string;
  /** `index-url` is asked alone; `extra-index-url` and `find-links` are asked beside it. */
  option: 'index-url' | 'extra-index-url' | 'find-links';
  /** Path of the file, or name of the variable. */
  from: string;
}

const OPTIONS = ['index-url', 'extra-index-url', 'find-links'] as const;
/** uv takes none of pip's settings, and is used as often. */
const UV_VARIABLES: Record<string, PipIndex['option']> = {
  UV_INDEX_URL: 'index-url',
  UV_DEFAULT_INDEX: 'index-url',
  UV_EXTRA_INDEX_URL: 'extra-index-url',
  UV_INDEX: 'extra-index-url',
  UV_FIND_LINKS: 'find-links',
};

/** `prefix`: folder of the environment, which may have a pip.conf of its own. */
export function probePipIndexes(
  { read, list, isHere }: Source,
  prefix: string | null,
  env: NodeJS.ProcessEnv = process.env,
): PipIndex[] {
  const homes = isHere ? [env.HOME ?? '/root'] : ['/root', ...list('/home').map((name) => `/home/${name}`)];
  const configs = isHere && env.XDG_CONFIG_HOME ? [env.XDG_CONFIG_HOME] : homes.map((home) => `${home}/.config`);
  const files = [
    '/etc/xdg/pip/pip.conf',
    '/etc/pip.conf',
    ...homes.map((home) => `${home}/.pip/pip.conf`),
    ...configs.map((config) => `${config}/pip/pip.conf`),
    ...(prefix === null || prefix === '/usr' ? [] : [`${prefix}/pip.conf`]),
    ...(env.PIP_CONFIG_FILE?.startsWith('/') ? [env.PIP_CONFIG_FILE] : []),
  ];
  return [...files.flatMap((path) => parsePipConfig(read(path) ?? '', path)), ...indexesOfVariables(env)];
}

/** An INI file: values may go on in indented lines, sections are commands and `global`. */
export function parsePipConfig(text: string, from: string): PipIndex[] {
  const found: PipIndex[] = [];
  let option: PipIndex['option'] | undefined;
  for (const line of text.split('\n')) {
    if (/^\s*[#;]/.test(line)) continue;
    const isContinued = /^\s+\S/.test(line);
    const [, name, value] = /^([\w-]+)\s*[=:]\s*(.*)$/.exec(line) ?? [];
    if (!isContinued) option = OPTIONS.find((known) => known === name?.toLowerCase().replaceAll('_', '-'));
    const urls = isContinued ? line : (value ?? '');
    if (option !== undefined) found.push(...indexesOf(urls, option, from));
  }
  return found;
}

function indexesOfVariables(env: NodeJS.ProcessEnv): PipIndex[] {
  const ofPip = OPTIONS.map((option) => [`PIP_${option.toUpperCase().replaceAll('-', '_')}`, option] as const);
  return [...ofPip, ...Object.entries(UV_VARIABLES)].flatMap(([name, option]) =>
    indexesOf(env[name] ?? '', option, name),
  );
}

function indexesOf(text: string, option: PipIndex['option'], from: string): PipIndex[] {
  return text
    .split(/\s+/)
    .filter((word) => /^[\w+.-]*:\/\/|^\//.test(word))
    .flatMap((word) => oneValue(withoutCredentials(word)) ?? [])
    .map((url) => ({ url, option, from }));
}

const withoutCredentials = (url: string) => url.replace(/^([\w+.-]+:\/\/)[^/@]*@/, '$1');
