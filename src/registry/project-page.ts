/** What an index says of a project: HTML (PEP 503, with yanked files of PEP 592) or JSON (PEP 691). */
import { z } from 'zod';

/** One file of a project. */
export interface ProjectFile {
  filename: string;
  url: string;
  /** 64 hexadecimal digits; null: the index names none. */
  sha256: string | null;
  /** Specifiers of Python versions; null: any. */
  requiresPython: string | null;
  /** Why it was withdrawn (may be empty); null: it was not. */
  yanked: string | null;
  sizeBytes: number | null;
}

/** What to ask for: JSON where the index has it. */
export const ACCEPT =
  'application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01';

export interface Page {
  contentType: string;
  text: string;
  /** Where it came from in the end: relative links start here. */
  url: string;
}

/** A page that is neither of the two. */
export class PageError extends Error {}

const isJson = ({ contentType }: Page) => /^application\/(vnd\.pypi\.simple\.v\d+\+)?json\b/i.test(contentType.trim());

const metaSchema = z.object({ 'api-version': z.string().regex(/^1\./) }).loose();
const projectSchema = z.object({
  meta: metaSchema,
  files: z.array(
    z.object({
      filename: z.string(),
      url: z.string(),
      hashes: z.record(z.string(), z.string()).default({}),
      'requires-python': z.string().nullish(),
      yanked: z.union([z.boolean(), z.string()]).nullish(),
      size: z.number().nullish(),
    }),
  ),
});
const rootSchema = z.object({ meta: metaSchema, projects: z.array(z.object({ name: z.string() })) });

/** Files of a project's page. Throws PageError. */
export function parseProjectPage(page: Page): ProjectFile[] {
  if (!isJson(page)) return parseLinks(page).flatMap(({ attributes, text, url }) => fileOfLink(attributes, text, url));
  return parseJson(page, projectSchema).files.flatMap((file) => {
    const url = absolute(file.url, page.url);
    if (url === null) return [];
    const { yanked } = file;
    return {
      filename: file.filename,
      url: withoutHash(url),
      sha256: cleanHash(file.hashes.sha256) ?? hashOf(url),
      requiresPython: file['requires-python'] || null,
      yanked: typeof yanked === 'string' ? yanked : yanked === true ? '' : null,
      sizeBytes: file.size ?? null,
    };
  });
}

/** Names of an index's own page, as it writes them. Throws PageError. */
export function parseRootPage(page: Page): string[] {
  if (isJson(page)) return parseJson(page, rootSchema).projects.map(({ name }) => name);
  return parseLinks(page)
    .map(({ text }) => text.replace(/\/$/, ''))
    .filter((name) => /^[a-z0-9][\w.-]*$/i.test(name));
}

function parseJson<T>({ text, url }: Page, schema: z.ZodType<T>): T {
  let plain: unknown;
  try {
    plain = JSON.parse(text);
  } catch {
    throw new PageError(`${url}: not JSON, though it says so`);
  }
  const result = schema.safeParse(plain);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new PageError(`${url}: not a page of an index (${issue?.path.join('.')}: ${issue?.message})`);
}

interface Link {
  attributes: Map<string, string>;
  text: string;
  url: string;
}

/** Anchors of a page; a page of an index without any is an index's only if it says so. */
function parseLinks({ text, url }: Page): Link[] {
  const html = withoutComments(text);
  const base = attributesOf(/<base\s([^<>]*)>/i.exec(html)?.[1] ?? '').get('href');
  const from = (base === undefined ? null : absolute(base, url)) ?? url;
  // Cut at each anchor first: a pattern that looks for the end of one from each place takes for ever on a broken page.
  const links = html
    .split(/<a\s/i)
    .slice(1)
    .flatMap((piece) => {
      const match = /^((?:"[^"]*"|'[^']*'|[^'">])*)>([^<]*)<\/a\s*>/i.exec(piece);
      if (match === null) return [];
      const attributes = attributesOf(match[1] ?? '');
      const href = absolute(attributes.get('href') ?? '', from);
      return href === null ? [] : { attributes, text: decodeEntities(match[2] ?? '').trim(), url: href };
    });
  if (links.length === 0 && !/pypi:repository-version|links\s+for|simple\s+index/i.test(html)) {
    throw new PageError(`${url}: not a page of an index`);
  }
  return links;
}

function withoutComments(html: string): string {
  const [before = '', ...rest] = html.split('<!--');
  const behind = rest.map((piece) => (piece.includes('-->') ? piece.slice(piece.indexOf('-->') + 3) : ''));
  return before + behind.join('');
}

function fileOfLink(attributes: Map<string, string>, text: string, url: string): ProjectFile[] {
  const filename = fileNameOf(url) ?? text;
  if (!/\.(whl|tar\.gz|zip|tar\.bz2|tgz)$/i.test(filename)) return [];
  return [
    {
      filename,
      url: withoutHash(url),
      sha256: hashOf(url),
      requiresPython: attributes.get('data-requires-python') || null,
      yanked: attributes.get('data-yanked') ?? null,
      sizeBytes: null,
    },
  ];
}

function attributesOf(tag: string): Map<string, string> {
  const pairs = tag.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g);
  return new Map([...pairs].map(([, name = '', a, b, c]) => [name.toLowerCase(), decodeEntities(a ?? b ?? c ?? '')]));
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ' };

/** The few that pages of an index hold: `data-requires-python="&gt;=3.8"`. */
function decodeEntities(text: string): string {
  return text.replace(/&(?:#(\d{1,6})|#x([0-9a-f]{1,5})|(\w+));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[name.toLowerCase()] ?? whole;
    const point = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return point <= 0x10ffff ? String.fromCodePoint(point) : whole;
  });
}

function absolute(href: string, base: string): string | null {
  const url = URL.canParse(href, base) ? new URL(href, base) : null;
  return url !== null && /^https?:$/.test(url.protocol) ? url.href : null;
}

/** `https://host/x/torch-2.8.0%2Bcu126-….whl#sha256=…`: the name, its escapes undone. */
function fileNameOf(url: string): string | null {
  try {
    return decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '') || null;
  } catch {
    return null;
  }
}

const hashOf = (url: string) => cleanHash(/[#&]sha256=([^&]*)/i.exec(new URL(url).hash)?.[1]);
const withoutHash = (url: string) => url.replace(/#.*$/s, '');

function cleanHash(text: string | undefined): string | null {
  return text !== undefined && /^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : null;
}
