// node fault.mjs URL FILE: what a client sees when the GPU fails beneath running streams, which writing FILE brings about.
// Every stream must end with an error event, and nothing may hang. Exit status 1 where that does not hold.
import { writeFileSync } from 'node:fs';

const [url, file] = process.argv.slice(2);
const N_STREAMS = 4;
const PATIENCE_MS = 15_000;

/** The events of one long stream: the number of tokens before an error event, and that event. */
async function stream() {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ prompt: [1, 2, 3], max_tokens: 4000, ignore_eos: true, temperature: 0, stream: true }),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  let text = '';
  let faulted = false;
  for await (const bytes of response.body) {
    text += Buffer.from(bytes).toString();
    if (!faulted && text.split('\n\n').length > 20) {
      faulted = true;
      writeFileSync(file, '');
    }
  }
  const events = text.split('\n\n').filter(Boolean);
  return { n: events.length, error: events.map((event) => event.slice(6)).find((data) => data.startsWith('{"error"')) };
}

const streams = await Promise.allSettled(Array.from({ length: N_STREAMS }, stream));
const health = await fetch(`${url}/health`).then(
  (response) => String(response.status),
  () => 'gone',
);
let failed = false;
for (const { value, reason } of streams) {
  const ok = Boolean(value?.error);
  failed ||= !ok;
  console.log(
    `${ok ? 'ok  ' : 'FAIL'} a stream of ${value?.n ?? 0} events ends with ${value?.error ?? reason ?? 'no error'}`,
  );
}
const down = health === '503' || health === 'gone';
console.log(`${down ? 'ok  ' : 'FAIL'} /health then: ${health}`);
process.exitCode = failed || !down ? 1 : 0;
