// What the client of `jsg bench` itself costs: CPU time for each chunk, while a scripted server streams as fast as it is told to.
//
//   node bench/serving/client.mjs [STREAMS] [TOKENS A SECOND OF EACH] [TOKENS OF EACH]        64 1000 2000
//
// The server is a process of its own. A client that is busy for less than the whole of its time was not the limit.
import { fork } from 'node:child_process';
import { createServer } from 'node:http';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { Agent } from 'undici';

const CHUNK = `data: ${JSON.stringify({
  id: 'cmpl-6258cdb5e13d48bd947fb8c643214f61',
  object: 'text_completion',
  created: 1795459616,
  model: 'scripted',
  choices: [{ index: 0, text: ' token', logprobs: null, finish_reason: null }],
})}\n\n`;
const END = 'data: {"choices":[{"text":"","finish_reason":"length"}]}\n\ndata: [DONE]\n\n';

/** Every stream gets its tokens at the rate, in as many writes as the timer allows. */
function serve() {
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (data) => {
      text += data;
    });
    request.on('end', () => {
      const { max_tokens: total, rate } = JSON.parse(text);
      const begin = performance.now();
      let written = 0;
      const timer = setInterval(() => {
        const due = Math.min(total, Math.floor(((performance.now() - begin) * rate) / 1000));
        // One write a token, as servers do.
        for (; written < due; written++) response.write(CHUNK);
        if (written < total) return;
        clearInterval(timer);
        response.end(END);
      }, 1);
    });
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

async function measure(port, streams, rate, numTokens) {
  const { send } = await import('../../dist/bench/send.js');
  const { CLOCK } = await import('../../dist/bench/clock.js');
  const agent = new Agent({ connections: null, pipelining: 1 });
  const target = { url: `http://127.0.0.1:${port}`, route: '/v1/completions', apiKey: null, agent };
  const body = JSON.stringify({ max_tokens: numTokens, rate });
  await send(target, JSON.stringify({ max_tokens: 100, rate: 1000 }), { clock: CLOCK });
  const cpu = process.cpuUsage();
  const load = performance.eventLoopUtilization();
  const begin = performance.now();
  const sent = await Promise.all(Array.from({ length: streams }, () => send(target, body, { clock: CLOCK })));
  const seconds = (performance.now() - begin) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const chunks = sent.reduce((sum, { trace }) => sum + trace.pieceMs.length, 0);
  if (chunks !== streams * numTokens) throw new Error(`${chunks} chunks, not ${streams * numTokens}`);
  await agent.close();
  return {
    chunksPerSecond: Math.round(chunks / seconds),
    cpuMicrosPerChunk: Number(((user + system) / chunks).toFixed(2)),
    eventLoopBusy: Number(performance.eventLoopUtilization(load).utilization.toFixed(3)),
  };
}

if (process.send) serve();
else {
  const [streams = 64, rate = 1000, numTokens = 2000] = process.argv.slice(2).map(Number);
  const child = fork(fileURLToPath(import.meta.url));
  const port = await new Promise((resolve) => child.once('message', resolve));
  console.log(JSON.stringify({ streams, rate, ...(await measure(port, streams, rate, numTokens)) }));
  child.kill();
}
