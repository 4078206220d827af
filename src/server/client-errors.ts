/** Requests that never reach the app, since HTTP itself is broken, late or too large: the same JSON as everywhere. */
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { LIMITS } from './limits.js';

const FAULTS: Record<string, { status: number; message: string }> = {
  HPE_HEADER_OVERFLOW: { status: 431, message: `the headers are larger than ${LIMITS.headerBytes} bytes` },
  ERR_HTTP_REQUEST_TIMEOUT: { status: 408, message: 'the request did not arrive in time' },
};

/** All that Expect may ask for is `100-continue`, which Node answers. */
const EXPECTATION = { status: 417, message: 'the header Expect asks for what this server does not know' };

export function answerClientErrors(server: Server): void {
  /** The latest answer on a connection. */
  const responses = new WeakMap<Socket, ServerResponse>();
  server.on('request', (request, response) => responses.set(request.socket, response));
  server.on('clientError', (error: NodeJS.ErrnoException, duplex) => {
    const socket = duplex as Socket;
    const response = responses.get(socket);
    const isAnswering = response?.headersSent && !response.writableFinished;
    if (socket.writable && error.code !== 'ECONNRESET' && !isAnswering) socket.write(faultMessage(error.code ?? ''));
    socket.destroySoon();
  });
  server.on('checkExpectation', (_, response) => {
    response
      .writeHead(EXPECTATION.status, { 'Content-Type': 'application/json', Connection: 'close' })
      .end(faultBody(EXPECTATION.message));
  });
}

function faultMessage(code: string): string {
  const { status, message } = FAULTS[code] ?? { status: 400, message: 'the request is not valid HTTP' };
  const body = faultBody(message);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}

function faultBody(message: string): string {
  return JSON.stringify({
    error: { message, type: 'invalid_request_error', param: null, code: 'E_INVALID_REQUEST' },
  });
}
