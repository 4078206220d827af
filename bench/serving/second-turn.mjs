// Time to the first token of the second turn of a conversation, against that of the first: what the prefix cache saves.
//
//   node bench/serving/second-turn.mjs MODEL [launch flags]
//
// ROUNDS=5: conversations, each of its own words; the medians are printed, and one JSON line.
import { median, modelAndFlags, startServer, stream, textOf, ttftMs } from './server.mjs';

const PROMPT_WORDS = 1950;
const rounds = Number(process.env.ROUNDS ?? 5);
const { modelPath, flags } = modelAndFlags();
const { url, stop } = await startServer(modelPath, flags);
const chat = (messages) =>
  stream(url, '/v1/chat/completions', { messages, temperature: 0, min_tokens: 16, max_tokens: 48 });

try {
  await chat([{ role: 'user', content: 'Hello.' }]);
  const first = [];
  const second = [];
  let usages = [];
  for (let round = 1; round <= rounds; round++) {
    const messages = [{ role: 'user', content: `${textOf(PROMPT_WORDS, round)}. What is this about?` }];
    const one = await chat(messages);
    messages.push({ role: 'assistant', content: one.text }, { role: 'user', content: 'Say it in other words.' });
    const two = await chat(messages);
    first.push(ttftMs(one));
    second.push(ttftMs(two));
    usages = [one.usage, two.usage];
  }
  const figures = {
    firstTurnMs: median(first),
    secondTurnMs: median(second),
    ratio: median(second.map((ms, i) => ms / first[i])),
    promptTokens: usages.map((usage) => usage.prompt_tokens),
    cachedTokens: usages.map((usage) => usage.prompt_tokens_details.cached_tokens),
  };
  console.log(
    `turn 1: ${figures.firstTurnMs.toFixed(1)} ms to the first token of ${figures.promptTokens[0]} prompt tokens`,
  );
  console.log(
    `turn 2: ${figures.secondTurnMs.toFixed(1)} ms, ${figures.cachedTokens[1]} of ${figures.promptTokens[1]} cached`,
  );
  console.log(`ratio: ${figures.ratio.toFixed(3)} (bar: 0.15)`);
  console.log(JSON.stringify({ name: 'second turn', ...figures }));
} finally {
  await stop();
}
