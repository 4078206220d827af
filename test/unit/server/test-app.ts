/** An app over the fakes, and short ways to talk to it. */

import { expect } from 'vitest';
import {
  createApp,
  type ServerApp,
  type ServerDeps,
  type ServerModel,
  type ServerOptions,
} from '../../../src/server/app.js';
import { bytesOf, EOS, fakeModel } from './fake-model.js';
import { FakeRuntime, type FakeRuntimeOptions } from './fake-runtime.js';

export interface TestApp {
  app: ServerApp;
  runtime: FakeRuntime;
  post(path: string, body: unknown, init?: RequestInit): Promise<Response>;
}

export interface TestAppOptions extends FakeRuntimeOptions {
  server?: Partial<ServerOptions>;
  model?: Partial<ServerModel>;
  readMachine?: ServerDeps['readMachine'];
  page?: ServerDeps['page'];
}

export function testApp({ server, model, readMachine, page = [], ...runtimeOptions }: TestAppOptions = {}): TestApp {
  const runtime = new FakeRuntime(runtimeOptions);
  const options: ServerOptions = {
    servedModelName: 'fake-model',
    modelPath: '/models/fake',
    contextLength: 512,
    maxRunningRequests: 16,
    maxQueuedRequests: 64,
    apiKeys: [],
    strictModelName: false,
    drainTimeoutMs: 1000,
    decodeLogInterval: 40,
    serverInfo: { version: '0.0.0' },
    ...server,
  };
  const app = createApp({ runtime, model: fakeModel(model), options, page, ...(readMachine && { readMachine }) });
  return {
    app,
    runtime,
    post: async (path, body, init = {}) =>
      app.request(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(init.headers as Record<string, string>) },
        body: typeof body === 'string' || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body),
        ...(init.signal ? { signal: init.signal } : {}),
      }),
  };
}

export const CHAT = { model: 'any', messages: [{ role: 'user', content: 'Hi' }] };

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
export type Json = any;

/** The events of a stream, `[DONE]` left out. Fails if the stream does not end with it. */
export async function readEvents(response: Response): Promise<Json[]> {
  return parseEvents(await response.text());
}

export function parseEvents(text: string): Json[] {
  const events = text.split('\n\n').filter((event) => event !== '');
  for (const event of events) if (!event.startsWith('data: ')) throw new Error(`not an event: ${event}`);
  if (events.pop() !== 'data: [DONE]') throw new Error('the stream does not end with [DONE]');
  return events.map((event) => JSON.parse(event.slice('data: '.length)));
}

/** The events of a stream that names them, as those of the Responses and the Messages API do; names and data agree. */
export async function typedEvents(response: Response): Promise<Json[]> {
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  return (await response.text())
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => {
      const [, type, data] = /^event: (\S+)\ndata: (.*)$/.exec(event) ?? [];
      const payload = JSON.parse(data as string);
      expect(payload.type).toBe(type);
      return payload;
    });
}

/** Makes the model say `text`, and end. */
export const says = (text: string) => ({ script: () => [...bytesOf(text), EOS], delayMs: null });
