// Greedy ids of a running server beside the golden ones (test/golden/smollm2.json: transformers in fp32 on the same weights):
//   node scripts/gpu/golden.mjs http://127.0.0.1:30000 test/golden/smollm2.json [NEAR_TIE]
// An answer may part from the reference only where its two best logits lie nearer than NEAR_TIE (0.05). All prompts run at
// once, then one at a time; fails (exit 1) when an answer parts elsewhere.
import { readFileSync } from 'node:fs';

const DEFAULT_NEAR_TIE = 0.05;
const [url, path, nearTie = DEFAULT_NEAR_TIE] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(path, 'utf8'));

async function greedy({ prompt, ids }) {
  const sampling_params = { temperature: 0, max_new_tokens: ids.length, ignore_eos: true };
  const body = JSON.stringify({ input_ids: prompt, sampling_params });
  const response = await fetch(`${url}/generate`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body,
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer.output_ids;
}

/** Null: equal; else where it parts and the gap there. */
function parting({ ids, gap }, got) {
  const at = ids.findIndex((id, i) => id !== got[i]);
  return at < 0 ? null : { at, gap: gap[at] };
}

let failed = false;
for (const [name, run] of [
  ['all at once', () => Promise.all(cases.map(greedy))],
  [
    'one at a time',
    async () => {
      const answers = [];
      for (const one of cases) answers.push(await greedy(one));
      return answers;
    },
  ],
]) {
  const partings = (await run()).map((got, i) => parting(cases[i], got)).filter((found) => found !== null);
  const wrong = partings.filter(({ gap }) => gap >= Number(nearTie));
  failed ||= wrong.length > 0;
  console.log(
    `${name}: ${cases.length - partings.length} of ${cases.length} equal, ${partings.length - wrong.length} part at a near tie`,
  );
  for (const { at, gap } of wrong) console.log(`  parts at token ${at}, gap ${gap}`);
}
process.exit(failed ? 1 : 0);
