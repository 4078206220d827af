/** /metrics and /health of the supervisor, for this machine only: SGLang's own are behind `--enable-metrics`. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { log } from '../../log.js';
import { bindError } from '../../server/listen.js';
import type { Figures } from './figures.js';

const HOST = '127.0.0.1';

export interface MetricsServer {
  url: string;
  close(): Promise<void>;
}

/** `asked`: null: the port after the server's; where that one is taken, any. Throws E_PORT_IN_USE for one that was asked for. */
export async function serveMetrics(figures: Figures, asked: number | null, serverPort: number): Promise<MetricsServer> {
  const server = createServer(async (request, response) => {
    const path = request.url?.split('?')[0];
    if (path === '/metrics') {
      response.setHeader('Content-Type', figures.registry.contentType);
      response.end(await figures.registry.metrics());
      return;
    }
    response.statusCode = path !== '/health' ? 404 : figures.isUp ? 200 : 503;
    response.setHeader('Content-Type', 'application/json');
    response.end(`${JSON.stringify({ up: figures.isUp, gen_throughput: figures.genThroughput })}\n`);
  });
  if (asked !== null) await listen(server, asked);
  else {
    const next = serverPort < 65535 ? serverPort + 1 : 0;
    await listen(server, next).catch(async () => {
      await listen(server, 0);
      log.warning(`port ${next} is taken: /metrics of the log lines are elsewhere (--metrics-port chooses)`);
    });
  }
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${HOST}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException) => reject(bindError(error, HOST, port));
    server.once('error', onError);
    server.listen(port, HOST, () => {
      server.off('error', onError);
      resolve();
    });
  });
}
