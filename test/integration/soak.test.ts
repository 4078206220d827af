/** Many streams at once, most of them cut off somewhere: nothing may be left behind, round after round. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GOLDEN } from './golden-models.js';

const STREAMS = 200;
const ROUNDS = 24;
/** Rounds after which the heaps have found their size. */
const WARM_ROUNDS = 4;
const PROGRAM = fileURLToPath(new URL('../../bin/jsg.js', import.meta.url));
/** A KV pool that 200 streams can't share, so that sequences queue and are retracted too. */
const ARGS = ['--port', '0', '--max-total-tokens', '4096', '--context-length', '512', '--max-running-requests', '48'];

/** Makes the server collect its garbage and tell what is left: resident memory moves too much with V8's habits to be a measure. */
const REPORTER = `process.on('SIGUSR2', () => {
  gc();
  const { heapUsed, heapTotal, rss } = process.memoryUsage();
  process.stderr.write('memory ' + JSON.stringify({ heap: heapUsed, rest: rss - heapTotal }) + '\\n');
});`;
const NODE_ARGS = ['--expose-gc', '--import', `data:text/javascript,${encodeURIComponent(REPORTER)}`];

interface Memory {
  /** Live JavaScript objects, MiB. */
  heap: number;
  /** Resident memory outside V8's heap, MiB: the runtime, buffers, code. */
  rest: number;
}

/** A small generator of the same numbers in every run (mulberry32). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('200 streams with random disconnects', () => {
  let child: ChildProcess;
  let url = '';
  let log = '';
  const agent = new Agent({ connections: STREAMS, pipelining: 1 });

  beforeAll(async () => {
    const model = join(GOLDEN, 'tiny', 'llama');
    child = spawn(process.execPath, [...NODE_ARGS, PROGRAM, 'launch', '--model-path', model, ...ARGS], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr?.on('data', (data) => {
      log += data;
    });
    let announced = '';
    for await (const data of child.stdout ?? []) {
      announced += data;
      url = /served at (http:\S+)/.exec(announced)?.[1] ?? '';
      if (url) break;
    }
    if (!url) throw new Error(`no server:\n${log}`);
  });
  afterAll(async () => {
    await agent.close();
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  });

  /** One stream that reads `pieces` pieces and hangs up, or all of them: 'cut' or 'whole'. Throws on any error. */
  async function stream(random: () => number): Promise<'cut' | 'whole'> {
    const maxTokens = 20 + Math.floor(random() * 200);
    const prompt = Array.from({ length: 1 + Math.floor(random() * 150) }, () => 3 + Math.floor(random() * 256));
    const pieces = random() < 0.3 ? Number.POSITIVE_INFINITY : Math.floor(random() * maxTokens);
    const controller = new AbortController();
    // Some hang up before anything has come: in the queue, or while their prompt is read.
    if (pieces < 5) void sleep(random() * 200).then(() => controller.abort());
    let seen = 0;
    let text = '';
    try {
      const response = await request(`${url}/v1/completions`, {
        method: 'POST',
        dispatcher: agent,
        signal: controller.signal,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'any', prompt, max_tokens: maxTokens, ignore_eos: true, stream: true }),
      });
      if (response.statusCode !== 200) throw new Error(`HTTP ${response.statusCode}: ${await response.body.text()}`);
      for await (const data of response.body.setEncoding('utf8')) {
        text += data;
        seen += String(data).split('\n\n').length - 1;
        if (seen >= pieces) controller.abort();
      }
    } catch (error) {
      if (controller.signal.aborted) return 'cut';
      throw error;
    }
    if (controller.signal.aborted) return 'cut';
    expect(text).not.toContain('"error"');
    expect(text).toContain('"finish_reason":"length"');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    return 'whole';
  }

  async function idleState(): Promise<unknown> {
    for (let attempt = 0; ; attempt++) {
      const { body } = await request(`${url}/get_server_info`, { dispatcher: agent });
      const { internal_states } = (await body.json()) as { internal_states: Record<string, number>[] };
      const [state = {}] = internal_states;
      if ((state.numRunning === 0 && state.numQueued === 0) || attempt === 100) return state;
      await sleep(20);
    }
  }

  async function memory(): Promise<Memory> {
    const before = log.length;
    child.kill('SIGUSR2');
    for (;;) {
      await sleep(20);
      const report = /memory (\{.*\})\n/.exec(log.slice(before))?.[1];
      if (!report) continue;
      const { heap, rest } = JSON.parse(report) as Memory;
      return { heap: heap / 2 ** 20, rest: rest / 2 ** 20 };
    }
  }

  test('no KV block stays in use, nothing fails, memory stays flat', async () => {
    const memories: Memory[] = [];
    const outcomes = { cut: 0, whole: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const randoms = Array.from({ length: STREAMS }, (_, i) => generator(round * STREAMS + i));
      const ends = await Promise.all(randoms.map((random) => stream(random)));
      for (const end of ends) outcomes[end]++;
      expect(await idleState()).toMatchObject({ numRunning: 0, numQueued: 0, usedTokens: 0, leakedBlocks: 0 });
      memories.push(await memory());
    }
    const tell = (part: keyof Memory) => memories.map((memory) => memory[part].toFixed(1)).join(' ');
    console.info(
      `${outcomes.whole} whole, ${outcomes.cut} cut; MiB of heap ${tell('heap')}, of the rest ${tell('rest')}`,
    );
    expect(outcomes.cut).toBeGreaterThan(STREAMS);
    expect(outcomes.whole).toBeGreaterThan(STREAMS);
    expect(log).not.toMatch(/error|E_[A-Z]+/i);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const growth = (part: keyof Memory) => {
      const values = memories.map((memory) => memory[part]);
      return mean(values.slice(-4)) - mean(values.slice(WARM_ROUNDS, WARM_ROUNDS + 4));
    };
    // 3,200 requests lie between the two: a leak of 400 bytes each shows.
    expect(growth('heap')).toBeLessThan(1.2);
    expect(growth('rest')).toBeLessThan(8);
  }, 300_000);
});
