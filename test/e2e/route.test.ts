/** The real sglang-router in front of two native workers on SmolLM2: by `jsg route`, which installs it from the package index. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/server-events.js';
import { Jsg, jsg } from './jsg.js';

const MODEL = [
  'launch',
  '--profile',
  'smollm2',
  '--served-model-name',
  'smol',
  '--num-threads',
  '1',
  '--log-level',
  'warning',
];

class Worker {
  url = '';
  running: Jsg | null = null;

  async start(port = '0'): Promise<void> {
    this.running = new Jsg([...MODEL, '--port', port, '--max-total-tokens', '16384', '--max-running-requests', '4']);
    this.url = (await this.running.waitFor(/served at (\S+)/))[1] as string;
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return Number(new RegExp(`^sglang:${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1]);
  }
}

interface Answer {
  text: string;
  /** Tokens of the prompt that the worker had cached; of answers that are not streamed. */
  cachedTokens: number;
  /** A token had reached the client. */
  hasBegun: boolean;
  fault: string | null;
}

async function complete(url: string, prompt: string, stream: boolean, maxTokens = 4): Promise<Answer> {
  const answer: Answer = { text: '', cachedTokens: 0, hasBegun: false, fault: null };
  const body = {
    model: 'smol',
    messages: [{ role: 'user', content: prompt }],
    temperature: 0,
    max_tokens: maxTokens,
    stream,
  };
  try {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    if (response.status !== 200) return { ...answer, fault: `${response.status} ${await response.text()}` };
    if (!stream) {
      const { choices, usage } = (await response.json()) as Chat;
      const cachedTokens = usage?.prompt_tokens_details.cached_tokens ?? 0;
      return { ...answer, text: choices[0]?.message?.content ?? '', cachedTokens, hasBegun: true };
    }
    let finished = false;
    for await (const data of readEvents(response.body as unknown as AsyncIterable<Uint8Array>)) {
      const event = JSON.parse(data) as Chat & { error?: { message: string } };
      if (event.error) return { ...answer, fault: event.error.message };
      answer.hasBegun = true;
      answer.text += event.choices[0]?.delta?.content ?? '';
      finished ||= Boolean(event.choices[0]?.finish_reason);
    }
    return finished ? answer : { ...answer, fault: 'the stream ended early' };
  } catch (error) {
    return { ...answer, fault: String((error as Error).cause ?? error) };
  }
}

interface Chat {
  usage?: { prompt_tokens_details: { cached_tokens: number } };
  choices: { message?: { content: string }; delta?: { content?: string }; finish_reason?: string | null }[];
}

const subjects = ['bridges', 'rivers', 'engines', 'gardens', 'clocks', 'harbours', 'orchards', 'tunnels'];
/** Texts that share nothing but their form. */
const longPrefix = (subject: string) =>
  Array.from({ length: 16 }, (_, i) => `Rule ${i + 1} about ${subject}: mind what was said of ${subject} before.`).join(
    ' ',
  );

const workers = [new Worker(), new Worker()] as const;
let router: Jsg;
let url = '';

beforeAll(async () => {
  await Promise.all(workers.map((worker) => worker.start()));
  router = new Jsg(['route', '--worker', ...workers.map((worker) => worker.url), '--port', '0']);
  url = (await router.waitFor(/served at (\S+)/))[1] as string;
});
afterAll(async () => {
  await router?.end();
  await Promise.all(workers.map((worker) => worker.running?.end()));
});

const list = async () => JSON.parse((await jsg(['route', 'list', '--router', url, '--json'])).stdout);
const healthy = async (): Promise<string[]> =>
  (await list()).flatMap((worker: { url: string; is_healthy: boolean }) => (worker.is_healthy ? [worker.url] : []));

describe('jsg route', () => {
  it('takes both workers in', async () => {
    expect((await list()).map((worker: { url: string }) => worker.url).sort()).toEqual(
      workers.map((each) => each.url).sort(),
    );
    const loads = (await (await fetch(`${url}/get_loads`)).json()) as { workers: { load: number }[] };
    expect(loads.workers.map(({ load }) => load)).toEqual([0, 0]);
  });

  it('sends a prefix to the worker that has seen it', async () => {
    const homes = new Map<string, number[]>();
    const counts = (name: string) => Promise.all(workers.map((worker) => worker.metric(name)));
    // At the same time, so that none is idle: an idle router has no reason to share work out.
    await Promise.all(subjects.map((subject) => complete(url, `${longPrefix(subject)} Question: what?`, false, 16)));
    for (let round = 0; round < 3; round++) {
      for (const subject of subjects) {
        const [requests, cached] = [await counts('num_requests_total'), await counts('cached_tokens_total')];
        const { fault, cachedTokens } = await complete(url, `${longPrefix(subject)} Question ${round}: why?`, false, 2);
        expect(fault).toBeNull();
        // All of the rules, which the worker has computed for the first request.
        expect(cachedTokens, subject).toBeGreaterThan(200);
        const home = (await counts('num_requests_total')).findIndex((count, index) => count > (requests[index] ?? 0));
        homes.set(subject, [...(homes.get(subject) ?? []), home]);
        const found = (await counts('cached_tokens_total')).map((count, index) => count - (cached[index] ?? 0));
        expect(found).toEqual(home === 0 ? [cachedTokens, 0] : [0, cachedTokens]);
      }
    }
    for (const [subject, seen] of homes) expect({ subject, homes: new Set(seen).size }).toEqual({ subject, homes: 1 });
    expect(new Set([...homes.values()].flat()).size, 'both workers have prefixes').toBe(2);
  });

  it('loses no request that had not begun when a worker is killed, and takes it in again', async () => {
    const [first, second] = workers;
    const { port } = new URL(first.url);
    const reference = await complete(second.url, `${subjects[0]}: request 0`, false);
    const answers: Answer[] = [];
    let next = 0;
    let numAtWork = 0;
    const client = async () => {
      while (next < 500) {
        const index = next++;
        // In the middle of what it does, not between two requests.
        if (index === 200) {
          await expect
            .poll(async () => (numAtWork = await first.metric('num_running_reqs')), { timeout: 30_000 })
            .toBeGreaterThan(0);
          first.running?.child.kill('SIGKILL');
        }
        answers.push(await complete(url, `${subjects[index % 8]}: request ${index % 50}`, index % 2 === 0));
      }
    };
    await Promise.all(Array.from({ length: 16 }, client));
    expect(answers).toHaveLength(500);
    const failed = answers.filter(({ fault }) => fault !== null);
    console.log(
      `500 requests, one of two workers killed with ${numAtWork} at work: ${500 - failed.length} answered, ${failed.length} cut that had begun`,
    );
    expect(failed.filter(({ hasBegun }) => !hasBegun)).toEqual([]);
    // A worker of four sequences had no more than four to lose.
    expect(failed.length).toBeLessThanOrEqual(4);
    expect(answers.some(({ text }) => text === reference.text)).toBe(true);

    const metrics = /metrics of the router at (\S+)/.exec(router.stderr)?.[1] as string;
    const counted = await (await fetch(metrics)).text();
    expect(counted).toMatch(/^smg_router_requests_total\{.*streaming="true"\} 25\d$/m);
    expect(counted).toMatch(
      new RegExp(`^smg_worker_cb_outcomes_total\\{worker="${first.url}",outcome="failure"\\} [1-9]`, 'm'),
    );

    await expect.poll(healthy, { timeout: 15_000 }).toEqual([second.url]);
    await first.running?.finished;
    await first.start(port);
    await expect.poll(async () => (await healthy()).length, { timeout: 20_000 }).toBe(2);
    await Promise.all(
      subjects.map((subject) => complete(url, `${subject} again and anew: ${longPrefix(subject)}`, true)),
    );
    expect(await first.metric('num_requests_total')).toBeGreaterThan(1);
  });

  it('sends a removed worker nothing more, and an added one again', async () => {
    const [first] = workers;
    expect((await jsg(['route', 'remove', first.url, '--router', url])).code).toBe(0);
    await expect.poll(async () => (await list()).length, { timeout: 10_000 }).toBe(1);
    const before = await first.metric('num_requests_total');
    for (const subject of subjects) expect((await complete(url, `On ${subject}`, false, 2)).fault).toBeNull();
    expect(await first.metric('num_requests_total')).toBe(before);
    const gone = await jsg(['route', 'remove', first.url, '--router', url]);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('is no worker of');
    expect((await jsg(['route', 'add', first.url, '--router', url])).code).toBe(0);
    await expect.poll(async () => (await healthy()).length, { timeout: 15_000 }).toBe(2);
  });

  it('ends with exit code 0', async () => {
    expect((await router.end()).code).toBe(0);
  });
});
