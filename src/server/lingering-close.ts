/**
 * To close a connection with bytes unread is to reset it, and an answer that is on its way is lost with it: a client that
 * writes its whole request before it reads would never see why it was refused. What it still sends is thrown away first.
 */
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';

/** Enough for a few MiB over a slow link. */
const LINGER_MS = 5000;

export function lingerWhereUnread(server: Server): void {
  /** The latest request of a connection. */
  const requests = new WeakMap<Socket, IncomingMessage>();
  server.on('request', (request) => requests.set(request.socket, request));
  server.on('connection', (socket) => {
    const closeSoon = socket.destroySoon.bind(socket);
    let lingers = false;
    socket.destroySoon = () => {
      if (lingers) return;
      if (requests.get(socket)?.complete) return closeSoon();
      lingers = true;
      socket.end();
      const timer = setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.once('close', () => clearTimeout(timer));
    };
  });
}
