/** Loading against servers that are there at once: what is timed, and what is kept. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { CLOCK } from '../../../src/bench/clock.js';
import { type LoadOptions, measureLoad } from '../../../src/bench/load.js';
import { JsgError } from '../../../src/errors.js';
import { fakeSource } from '../device/fake-source.js';

let server: Server;
let url = '';
beforeEach(async () => {
  server = createServer((request, response) => {
    if (request.url === '/v1/models') return response.end('{"data":[{"id":"m"}]}');
    if (request.url === '/get_server_info') return response.end('{"runtime":{"loadMs":500}}');
    return response.end('data: {"choices":[{"text":"a"}]}\n\ndata: {"choices":[{"finish_reason":"length"}]}\n\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(() => server.close());

function options(what: Partial<LoadOptions>): LoadOptions & { stopped: () => number } {
  let stopped = 0;
  const start = async () => {
    const nowMs = CLOCK.now();
    const stop = async () => {
      stopped++;
    };
    return { url, startedMs: nowMs - 3000, readyMs: nowMs - 1000, stop, fault: async () => null };
  };
  return {
    caches: ['cold', 'warm'],
    repeats: 2,
    files: [],
    bytes: 1e9,
    apiKey: null,
    start,
    source: fakeSource({ commands: { dd: '', fincore: '0 1000\n' } }),
    onProgress() {},
    onTarget() {},
    signal: new AbortController().signal,
    stopped: () => stopped,
    ...what,
  };
}

it('counts from the start of the process, and ends every server', async () => {
  const asked = options({});
  const { load } = await measureLoad(asked);
  expect(load.map(({ cache }) => cache)).toEqual(['cold', 'cold', 'warm', 'warm']);
  for (const row of load) {
    expect(row).toMatchObject({ readyS: expect.closeTo(2, 6), loadS: 0.5, bytesPerSecond: 2e9 });
    expect(row.firstTokenS).toBeGreaterThanOrEqual(3);
  }
  expect(asked.stopped()).toBe(4);
});

it('says where the page cache was not as it should be', async () => {
  const files = ['/no/such/file'];
  const { notes } = await measureLoad(options({ files, caches: ['warm'], repeats: 1 }));
  expect(notes).toEqual(['the page cache was not as it should be: see the share that was in it']);
  const unknown = options({ files, caches: ['cold'], repeats: 1, source: fakeSource({}) });
  expect((await measureLoad(unknown)).notes).toEqual([
    'the page cache could not be dropped: no GNU dd',
    "how much was in the page cache is not known: util-linux's fincore is not there",
  ]);
});

it('keeps the starts before the one that was given up', async () => {
  const abort = new AbortController();
  const asked = options({ signal: abort.signal });
  let numStarts = 0;
  const start = async () => {
    if (++numStarts < 3) return asked.start();
    abort.abort();
    throw new JsgError('E_INTERRUPTED', 'the start was given up');
  };
  expect(await measureLoad({ ...asked, start })).toMatchObject({ load: [{}, {}], failure: null });
});

it('keeps the starts before the one that failed, and says what it failed with', async () => {
  const asked = options({});
  let numStarts = 0;
  const start = async () => {
    if (++numStarts < 3) return asked.start();
    throw new JsgError('E_OUT_OF_MEMORY', 'no room');
  };
  const { load, failure } = await measureLoad({ ...asked, start });
  expect(load).toHaveLength(2);
  expect(failure).toMatchObject({ code: 'E_OUT_OF_MEMORY', message: 'no room' });
  const atOnce = measureLoad({ ...asked, start });
  await expect(atOnce).rejects.toMatchObject({ code: 'E_OUT_OF_MEMORY' });
});
