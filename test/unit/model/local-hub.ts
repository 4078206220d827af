/** A hub on the loopback: as much of the protocol as loading a model uses, and faults on demand. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface HubRepo {
  commit: string;
  files: Record<string, Buffer>;
  /** Paths kept in LFS: listed with their sha256. */
  lfs: string[];
  /** Needs this token. */
  token?: string;
}

export interface Faults {
  /** Answers every request with it. */
  status?: number;
  /** Ends the connection after so many bytes of a file, once for each entry. */
  cutAfter?: { path: string; bytes: number[] };
  /** Sends other bytes than listed, for so many requests. */
  corrupt?: number;
  /** Takes no notice of Range. */
  ignoreRange?: boolean;
}

export class LocalHub {
  readonly repos = new Map<string, HubRepo>();
  faults: Faults = {};
  /** Of the files asked for: path and where from. */
  readonly downloads: { path: string; start: number }[] = [];
  numRequests = 0;
  private readonly server: Server = createServer((request, response) => this.answer(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    this.numRequests++;
    const url = new URL(request.url ?? '/', 'http://hub');
    const fail = (status: number) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end('{"error":"no"}');
    if (this.faults.status !== undefined) return void fail(this.faults.status);
    const [, isApi, name = '', verb, revision = '', rest = ''] =
      /^\/(api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/([^/]+)\/?(.*)$/.exec(
        decodeURIComponent(url.pathname),
      ) ?? [];
    const repo = this.repos.get(name);
    if (repo === undefined) return void fail(request.headers.authorization ? 404 : 401);
    if (repo.token !== undefined && request.headers.authorization !== `Bearer ${repo.token}`) return void fail(403);
    if (revision !== 'main' && revision !== repo.commit) return void fail(404);
    if (isApi && verb === 'revision') return void json(response, { id: name, modelId: name, sha: repo.commit });
    if (isApi && verb === 'tree') return void json(response, listing(repo));
    this.sendFile(request, response, repo, rest);
  }

  private sendFile(request: IncomingMessage, response: ServerResponse, repo: HubRepo, path: string): void {
    const file = repo.files[path];
    if (file === undefined) return void response.writeHead(404).end();
    const requested = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const start = this.faults.ignoreRange ? 0 : requested;
    this.downloads.push({ path, start: requested });
    let body = file.subarray(start);
    if ((this.faults.corrupt ?? 0) > 0) {
      this.faults.corrupt = (this.faults.corrupt ?? 0) - 1;
      body = Buffer.alloc(body.length, 0x55);
    }
    const range = start > 0 ? { 'Content-Range': `bytes ${start}-${file.length - 1}/${file.length}` } : {};
    response.writeHead(start > 0 ? 206 : 200, { 'Content-Length': body.length, ...range });
    const cut = this.faults.cutAfter?.path === path ? this.faults.cutAfter.bytes.shift() : undefined;
    if (cut === undefined) return void response.end(body);
    response.write(body.subarray(0, cut), () => setTimeout(() => response.destroy(), 30));
  }
}

function json(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(value));
}

function listing({ files, lfs }: HubRepo): object[] {
  return Object.entries(files).map(([path, content]) => ({
    type: 'file',
    path,
    size: content.length,
    oid: createHash('sha1').update(`blob ${content.length}\0`).update(content).digest('hex'),
    ...(lfs.includes(path)
      ? { lfs: { oid: createHash('sha256').update(content).digest('hex'), size: content.length, pointerSize: 130 } }
      : {}),
  }));
}
