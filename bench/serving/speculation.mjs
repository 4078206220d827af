// What drafts gain where an answer repeats its prompt, and cost where it does not: tokens a second with and without
// `--speculative-algorithm NGRAM`, by two servers that take turns.
//
//   node bench/serving/speculation.mjs MODEL [launch flags]
//
// ROUNDS=5: times that each workload is played; medians are printed, and one JSON line each. Greedy answers of both servers
// should be the same; how many are is printed too.
import { median, modelAndFlags, startServer, stream } from './server.mjs';

const TEXTS = [
  `The harbour of Oldmouth opens to the west. Every morning at six the ferry Margaret leaves for the islands with the post,
the newspapers and the bread, and comes back at noon with fish, wool and passengers. In winter, when the wind stands in the
mouth of the harbour, it may stay away for days. Then the lamps on the pier burn all night, the baker sells half of his bread
for half of the price, and old Mr Harris, who has kept the log since the war, writes the same three words: no ferry today.`,
  `def read_temperatures(path):
    """Read one temperature a line, and skip what is no number."""
    values = []
    with open(path) as lines:
        for line in lines:
            try:
                values.append(float(line.strip()))
            except ValueError:
                continue
    return values

def describe_temperatures(values):
    """Mean, lowest and highest temperature."""
    if not values:
        return None
    return sum(values) / len(values), min(values), max(values)`,
  `1. Wash the beans and leave them in cold water over night.
2. Cut two onions, three carrots and one stick of celery into small pieces.
3. Fry them in four spoons of oil over a low fire for ten minutes.
4. Add the beans, one litre of water, two leaves of laurel and the tomatoes.
5. Cook for one hour and a half, until the beans are soft.
6. Add salt and pepper, and serve with bread and oil.`,
];
const EDITS = [
  ['Margaret', 'Caroline'],
  ['temperature', 'pressure'],
  ['beans', 'lentils'],
];
const QUESTIONS = [
  'Write a short story about a lighthouse keeper who finds a letter.',
  'Explain how a bicycle stays upright, for a child of ten.',
  'What should a small town think about before it builds a library?',
  'Describe a market in the morning, with its sounds and its smells.',
];

const editing = TEXTS.map((text, i) => ({
  messages: [
    {
      role: 'user',
      content: `Repeat this text with the word ${EDITS[i][0]} changed to ${EDITS[i][1]}.\n\n${text}`,
    },
  ],
}));
const open = QUESTIONS.map((content) => ({ messages: [{ role: 'user', content }] }));
const WORKLOADS = [
  { name: 'editing', bodies: editing, sampling: { temperature: 0 }, bar: 1.5 },
  { name: 'open-ended', bodies: open, sampling: { temperature: 0 }, bar: 0.95 },
  { name: 'open-ended, sampled', bodies: open, sampling: { temperature: 0.8, top_p: 0.95, seed: 7 }, bar: 0.95 },
  { name: 'open-ended, 4 at once', bodies: open, sampling: { temperature: 0.8, seed: 7 }, atOnce: true, bar: 0.95 },
];
const MAX_TOKENS = 192;

const rounds = Number(process.env.ROUNDS ?? 5);
const { modelPath, flags } = modelAndFlags();
const servers = {
  off: await startServer(modelPath, flags),
  on: await startServer(modelPath, [...flags, '--speculative-algorithm', 'NGRAM']),
};

/** Tokens a second from the first token of the first answer to the end of the last, and the texts. */
async function play({ url }, { bodies, sampling, atOnce }) {
  const ask = (body) => stream(url, '/v1/chat/completions', { ...body, ...sampling, max_tokens: MAX_TOKENS });
  const traces = [];
  if (atOnce) traces.push(...(await Promise.all(bodies.map(ask))));
  else for (const body of bodies) traces.push(await ask(body));
  const failed = traces.find((trace) => trace.error !== null || trace.status !== 200);
  if (failed) throw new Error(failed.error);
  const numTokens = traces.reduce((sum, { usage }) => sum + usage.completion_tokens - 1, 0);
  const ms = atOnce
    ? Math.max(...traces.map(({ endMs }) => endMs)) - Math.min(...traces.map(({ firstMs }) => firstMs))
    : traces.reduce((sum, { firstMs, endMs }) => sum + endMs - firstMs, 0);
  return { rate: (numTokens * 1000) / ms, texts: traces.map(({ text }) => text) };
}

try {
  for (const workload of WORKLOADS) {
    for (const server of Object.values(servers)) await play(server, workload);
    const rates = { off: [], on: [] };
    let texts = {};
    for (let round = 0; round < rounds; round++) {
      for (const name of round % 2 === 0 ? ['off', 'on'] : ['on', 'off']) {
        const played = await play(servers[name], workload);
        rates[name].push(played.rate);
        texts = { ...texts, [name]: played.texts };
      }
    }
    const ratio = median(rates.on.map((rate, i) => rate / rates.off[i]));
    const numSame = texts.on.filter((text, i) => text === texts.off[i]).length;
    const figures = { off: median(rates.off), on: median(rates.on), ratio, numSame, numAnswers: texts.on.length };
    console.log(
      `${workload.name}: ${figures.off.toFixed(1)} token/s without, ${figures.on.toFixed(1)} with, ` +
        `ratio ${ratio.toFixed(2)} (bar: ${workload.bar}); ${numSame} of ${texts.on.length} answers the same`,
    );
    console.log(JSON.stringify({ name: `speculation, ${workload.name}`, ...figures }));
  }
  const acceptance = servers.on.log().match(/accept len: [\d.]+, accept rate: [\d.]+/g) ?? [];
  console.log(`${acceptance.length} decode lines, the last: ${acceptance.at(-1)}`);
} finally {
  await Promise.all(Object.values(servers).map(({ stop }) => stop()));
}
