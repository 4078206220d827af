/** `--speculative-algorithm NGRAM` on the real server: what it tells, and what it leaves as it is. */
import { spawnSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import { Jsg, jsg } from './jsg.js';

const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
if (!hasPip) console.log('skipped: test/e2e/speculation.test.ts needs python3 with pip to fetch smollm2');

const TEXT = `Wash the beans and leave them in cold water over night. Cut two onions, three carrots and one stick of celery
into small pieces. Fry them in four spoons of oil over a low fire for ten minutes. Add the beans and one litre of water.`;
const COPY = `<|im_start|>user\nRepeat this text with the word beans changed to peas.\n\n${TEXT}<|im_end|>\n<|im_start|>assistant\n`;

// biome-ignore lint/suspicious/noExplicitAny: answers are checked field by field
type Json = any;

let server: Jsg | undefined;
afterEach(async () => {
  await server?.end('SIGKILL');
  server = undefined;
});

/** The answers of one server, to the copying prompt and to others. */
async function answers(flags: string[]): Promise<{ answers: Json[]; metrics: string; log: string }> {
  const launched = new Jsg(['launch', '--profile', 'smollm2', '--port', '0', '--context-length', '1024', ...flags]);
  server = launched;
  const [, url] = await launched.waitFor(/is served at (http:\/\/127\.0\.0\.1:\d+)/);
  const generate = async (fields: object) => {
    const response = await fetch(`${url}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(fields),
    });
    const body: Json = await response.json();
    expect(response.status, JSON.stringify(body)).toBe(200);
    return body;
  };
  const greedy = { temperature: 0, max_new_tokens: 64 };
  const bodies: Json[] = [await generate({ text: COPY, sampling_params: greedy })];
  bodies.push(await generate({ text: COPY, sampling_params: { ...greedy, stop: ['carrots'] } }));
  bodies.push(
    ...(await generate({ text: COPY, sampling_params: { temperature: 0.8, seed: 5, n: 3, max_new_tokens: 48 } })),
  );
  bodies.push(await generate({ text: 'The harbour of', sampling_params: greedy, return_logprob: true }));
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect((await launched.end()).code).toBe(0);
  return { answers: bodies, metrics, log: launched.stderr };
}

describe.skipIf(!hasPip)('jsg launch --speculative-algorithm NGRAM', () => {
  it('gives the same answers in fewer steps, and tells', async () => {
    const without = await answers([]);
    const withDrafts = await answers(['--speculative-algorithm', 'NGRAM']);
    const shown = ({ text, output_ids, meta_info }: Json) => [
      text,
      output_ids,
      meta_info.finish_reason,
      meta_info.output_token_logprobs?.length,
    ];
    expect(withDrafts.answers.map(shown)).toEqual(without.answers.map(shown));
    const { meta_info } = withDrafts.answers[0];
    expect(meta_info.spec_num_correct_drafts).toBeGreaterThan(10);
    expect(meta_info.spec_num_proposed_drafts).toBeGreaterThanOrEqual(meta_info.spec_num_correct_drafts);
    expect(meta_info.spec_verify_ct + meta_info.spec_num_correct_drafts).toBe(meta_info.completion_tokens - 1);
    expect(meta_info.spec_accept_length).toBeGreaterThan(1.2);
    expect(withDrafts.log).toMatch(
      /Decode batch, .*accept len: [1-9]\d*\.\d\d, accept rate: [01]\.\d\d, cuda graph: False/,
    );
    expect(withDrafts.metrics).toMatch(/^sglang:spec_accept_length\{model_name="[^"]+"\} [1-9]/m);
    expect(withDrafts.metrics).toContain('sglang:spec_accept_rate{');
    expect(without.answers[0].meta_info).not.toHaveProperty('spec_verify_ct');
    expect(without.log).not.toContain('accept len');
    expect(without.metrics).not.toContain('spec_accept');
  }, 240_000);
});

describe('flags of drafts', () => {
  it('are refused where they would do nothing, and unknown algorithms by name', async () => {
    const idle = await jsg(['launch', '--profile', 'smollm2', '--port', '0', '--speculative-num-draft-tokens', '4']);
    expect(idle.code).toBe(2);
    expect(idle.stderr).toContain('--speculative-num-draft-tokens does nothing without --speculative-algorithm');
    const unknown = await jsg(['launch', '--profile', 'smollm2', '--speculative-algorithm', 'EAGLE']);
    expect(unknown.code).toBe(2);
    expect(unknown.stderr).toContain('NGRAM');
  });
});
