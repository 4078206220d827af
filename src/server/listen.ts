/** The app on a port: limits of the HTTP layer, and an orderly end. */
import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { getRequestListener } from '@hono/node-server';
import { JsgError } from '../errors.js';
import type { ServerApp } from './app.js';
import { answerClientErrors } from './client-errors.js';
import { errorResponse, RequestError } from './error-response.js';
import { LIMITS } from './limits.js';
import { lingerWhereUnread } from './lingering-close.js';

export interface ListenOptions {
  host: string;
  /** 0: the system chooses. */
  port: number;
  /** For all headers to arrive. */
  headersTimeoutMs?: number;
  /** For headers and body to arrive; answers may take as long as they take. */
  requestTimeoutMs?: number;
  /** How long an idle connection stays open. */
  keepAliveTimeoutMs?: number;
  /** For a client to take the rest of an answer that is complete. */
  answerTimeoutMs?: number;
  maxConnections?: number;
}

export interface RunningServer {
  /** `http://host:port`, to be reached from this machine. */
  readonly url: string;
  readonly port: number;
  /** Ends everything at once: running streams get an error. Idempotent. */
  close(): Promise<void>;
  /**
   * Refuses what is new with 503, lets what runs finish, and cuts the rest off after `timeoutMs`; then closes. Resolves
   * to the number of requests that were cut off.
   */
  drain(timeoutMs: number): Promise<number>;
}

/** What is left of a cut stream, its error event above all, has this long to reach the client. */
const CUT_GRACE_MS = 500;

/** Throws E_PORT_IN_USE, and E_USAGE for an address that is not ours. */
export async function listen(app: ServerApp, options: ListenOptions): Promise<RunningServer> {
  const answer = getRequestListener(app.fetch, {
    errorHandler: () => errorResponse(new RequestError('the request line or a header is malformed')),
  });
  const onRequest: RequestListener = (request, response) => {
    // HTTP/1.0 asks for no host, and health checks of old send none.
    if (request.httpVersion === '1.0') request.headers.host ||= 'localhost';
    return answer(request, response);
  };
  const requestTimeout = options.requestTimeoutMs ?? 60_000;
  const server = createServer(
    {
      maxHeaderSize: LIMITS.headerBytes,
      headersTimeout: Math.min(options.headersTimeoutMs ?? 10_000, requestTimeout),
      requestTimeout,
      keepAliveTimeout: options.keepAliveTimeoutMs ?? 65_000,
      connectionsCheckingInterval: 1000,
      // Answered by the app's error handler, as JSON.
      requireHostHeader: false,
    },
    onRequest,
  );
  server.maxConnections = options.maxConnections ?? 4096;
  answerClientErrors(server);
  lingerWhereUnread(server);
  const responses = new OpenResponses(server, options.answerTimeoutMs ?? 60_000);
  await bind(server, options);
  const { port } = server.address() as AddressInfo;

  let closing: Promise<void> | null = null;
  const close = () => {
    closing ??= closeServer(app, server, responses);
    return closing;
  };
  return {
    url: `http://${reachableHost(options.host)}:${port}`,
    port,
    close,
    async drain(timeoutMs) {
      app.lifecycle.startDraining();
      const inTime = await within(timeoutMs, Promise.all([app.lifecycle.idle(), responses.none()]));
      const numCut = inTime ? 0 : Math.max(app.lifecycle.numActive, 1);
      await close();
      return numCut;
    },
  };
}

async function closeServer(app: ServerApp, server: Server, responses: OpenResponses): Promise<void> {
  app.lifecycle.startDraining();
  app.lifecycle.abortAll(new JsgError('E_UNAVAILABLE', 'the server is shutting down'));
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  await within(CUT_GRACE_MS, responses.none());
  server.closeAllConnections();
  await closed;
}

/** Counts answers that are not fully sent, and ends those that a client does not take. */
class OpenResponses {
  #count = 0;
  #waiters: (() => void)[] = [];

  constructor(server: Server, answerTimeoutMs: number) {
    const ofConnection = new WeakMap<Socket, Set<ServerResponse>>();
    server.on('connection', (socket) => {
      const open = new Set<ServerResponse>();
      ofConnection.set(socket, open);
      // Node tells the answer that is being sent; those to requests behind it have no socket yet, and would never hear of it.
      socket.once('close', () => {
        for (const response of open) if (!response.socket) response.emit('close');
      });
    });
    server.on('request', ({ socket }, response) => {
      let timer: NodeJS.Timeout | undefined;
      this.#count++;
      ofConnection.get(socket)?.add(response);
      // All of it is written now, if only to a buffer here.
      response.once('prefinish', () => {
        if (!response.closed) timer = setTimeout(() => response.destroy(), answerTimeoutMs).unref();
      });
      response.once('close', () => {
        clearTimeout(timer);
        ofConnection.get(socket)?.delete(response);
        this.#count--;
        if (this.#count === 0) for (const wake of this.#waiters.splice(0)) wake();
      });
    });
  }

  none(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}

/** Whether the promise resolved in time. */
async function within(timeoutMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
  });
  try {
    return await Promise.race([promise.then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function bind(server: Server, { host, port }: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(error, host, port)));
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

/** The fault of binding a socket, as a person is told. */
export function bindError(error: NodeJS.ErrnoException, host: string, port: number): JsgError {
  if (error.code === 'EADDRINUSE') {
    return new JsgError('E_PORT_IN_USE', `port ${port} on ${host} is taken`, {
      hint: 'Another server may be running there; choose another with --port (0: any that is free).',
      cause: error,
    });
  }
  if (error.code === 'EACCES') {
    return new JsgError('E_USAGE', `port ${port} needs more rights than this user has`, {
      hint: 'Choose a port above 1023.',
      cause: error,
    });
  }
  return new JsgError('E_USAGE', `cannot listen on ${host}:${port} (${error.code})`, {
    hint: 'Check --host: it must be an address of this machine.',
    cause: error,
  });
}

/** The host by which this machine reaches a server that listens on `host`. */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0' || host === '') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
