/** An index that behaves like devpi, with the faults that the real one has: for tests of src/registry. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ServedFile {
  filename: string;
  content: Buffer;
  /** What the page says; default: the true one. Null: none. */
  sha256?: string | null;
  yanked?: string;
  requiresPython?: string;
  /** Link that is not below the platform's path: what devpi passes on from the public index. */
  from?: 'root/pypi';
}

export interface Faults {
  /** Answers to the next requests for pages, instead of the page: a status. */
  pages: number[];
  /** For files: cut the connection after so many bytes, once each. */
  cuts: number[];
  /** Always 503. */
  isDown: boolean;
  /** Until the first byte of a page, ms. */
  delayMs: number;
  /** Ignore Range. */
  noRanges: boolean;
  /** HTML even where JSON is asked for. */
  htmlOnly: boolean;
  /** Send these bytes instead of the file, with a right length. */
  wrongContent: Buffer | null;
}

const sha = (content: Buffer) => createHash('sha256').update(content).digest('hex');

export class IndexServer {
  readonly faults: Faults = {
    pages: [],
    cuts: [],
    isDown: false,
    delayMs: 0,
    noRanges: false,
    htmlOnly: false,
    wrongContent: null,
  };
  /** What the Authorization header must be; null: anybody may read. */
  login: string | null = null;
  /** `GET /jp6/cu126/+simple/torch/ bytes=5-`, in order. */
  readonly requests: string[] = [];
  private readonly server = createServer((request, response) => void this.answer(request, response));

  constructor(
    readonly projects: Record<string, ServedFile[]>,
    readonly path = 'jp6/cu126',
  ) {}

  async start(): Promise<string> {
    await new Promise<void>((done) => this.server.listen(0, '127.0.0.1', done));
    return this.url;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = request.url ?? '';
    this.requests.push([request.method, url, request.headers.range].filter(Boolean).join(' '));
    if (this.faults.isDown) return this.fail(response, 503);
    if (this.login !== null && request.headers.authorization !== this.login) return this.fail(response, 401);
    const page = new RegExp(`^/${this.path}/\\+simple/(?:([^/]+)(/?))?$`).exec(url);
    if (page !== null) return this.page(page[1], page[2] === '/', request, response);
    const file = Object.values(this.projects)
      .flat()
      // pip writes `+` as %2B.
      .find((served) => decodeURIComponent(url) === decodeURIComponent(this.hrefOf(served)));
    return file === undefined ? this.fail(response, 404) : this.file(file, request, response);
  }

  private fail(response: ServerResponse, status: number): void {
    response.writeHead(status, { 'Content-Type': 'text/html' }).end('<html><body><h1>no</h1></body></html>');
  }

  private hrefOf({ filename, content, from }: ServedFile): string {
    const hash = sha(content);
    return `/${from ?? this.path}/+f/${hash.slice(0, 3)}/${hash.slice(3, 16)}/${encodeURIComponent(filename)}`;
  }

  private async page(
    name: string | undefined,
    isExact: boolean,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    await new Promise((done) => setTimeout(done, this.faults.delayMs));
    const fault = this.faults.pages.shift();
    if (fault !== undefined) return this.fail(response, fault);
    if (name === undefined) {
      const links = Object.keys(this.projects).map((project) => `<a href="${project}/">${project}</a><br/>`);
      response.writeHead(200, { 'Content-Type': 'text/html' }).end(`<html><body>${links.join('\n')}</body></html>`);
      return;
    }
    // devpi sends every other spelling, and an address without the last slash, to the normal one.
    const normal = name.toLowerCase().replace(/[-_.]+/g, '-');
    if (normal !== name || !isExact) {
      response.writeHead(302, { Location: `/${this.path}/+simple/${normal}/` }).end();
      return;
    }
    const files = this.projects[normal];
    if (files === undefined) return this.fail(response, 404);
    const isJson = !this.faults.htmlOnly && /pypi\.simple\.v1\+json/.test(request.headers.accept ?? '');
    const type = isJson ? 'application/vnd.pypi.simple.v1+json' : 'text/html; charset=utf-8';
    response.writeHead(200, { 'Content-Type': type }).end(isJson ? this.json(normal, files) : this.html(normal, files));
  }

  private json(name: string, files: ServedFile[]): string {
    const entries = files.map((file) => {
      const hash = file.sha256 === undefined ? sha(file.content) : file.sha256;
      return {
        filename: file.filename,
        url: `../..${this.hrefOf(file)
          .replace(`/${this.path}`, '')
          .replace(/^\/root/, '/../../root')}`,
        hashes: hash === null ? {} : { sha256: hash },
        'requires-python': file.requiresPython ?? null,
        yanked: file.yanked ?? false,
      };
    });
    return JSON.stringify({ meta: { 'api-version': '1.0' }, name, files: entries });
  }

  private html(name: string, files: ServedFile[]): string {
    const links = files.map((file) => {
      const hash = file.sha256 === undefined ? sha(file.content) : file.sha256;
      const href = `../..${this.hrefOf(file)
        .replace(`/${this.path}`, '')
        .replace(/^\/root/, '/../../root')}`;
      const yanked = file.yanked === undefined ? '' : ` data-yanked="${file.yanked}"`;
      const python = file.requiresPython?.replaceAll('<', '&lt;').replaceAll('>', '&gt;');
      const requires = python === undefined ? '' : ` data-requires-python="${python}"`;
      return `<a href="${href}${hash === null ? '' : `#sha256=${hash}`}"${requires}${yanked}>${file.filename}</a><br/>`;
    });
    return `<!DOCTYPE html><html><head><title>links for ${name}</title></head><body><!-- <a href="x.whl">old</a> -->${links.join('\n')}</body></html>`;
  }

  private file({ content }: ServedFile, request: IncomingMessage, response: ServerResponse): void {
    const body = this.faults.wrongContent ?? content;
    const etag = `"${sha(body).slice(0, 16)}"`;
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? Number.NaN);
    const condition = request.headers['if-range'];
    const resumes = !this.faults.noRanges && !Number.isNaN(from) && (condition === undefined || condition === etag);
    if (resumes && from >= body.length) {
      response.writeHead(416, { 'Content-Range': `bytes */${body.length}` }).end();
      return;
    }
    const part = resumes ? body.subarray(from) : body;
    const range = resumes ? { 'Content-Range': `bytes ${from}-${body.length - 1}/${body.length}` } : {};
    response.writeHead(resumes ? 206 : 200, { ETag: etag, 'Content-Length': part.length, ...range });
    const cut = this.faults.cuts.shift();
    if (cut === undefined) response.end(part);
    else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 50));
  }
}
