/** An answer in JSON: laid out, coloured, and judged by the schema that was asked for. */
import { useMemo } from 'preact/hooks';
import { CodeBlock } from './code-block.js';
import type { Answer } from './conversation.js';
import { jsonPieces } from './json-pieces.js';
import { judge, type Verdict } from './json-verdict.js';

export function JsonAnswer({ answer }: { answer: Answer }) {
  const { text, phase, format } = answer;
  const isOver = phase !== 'waiting' && phase !== 'answering';
  const verdict = useMemo(() => (isOver ? judge(text, format) : null), [isOver, text, format]);
  if (verdict === null) return <CodeBlock text={text} title="json" />;
  return (
    <>
      <CodeBlock text={verdict.shown} title="json">
        {coloured(verdict.shown)}
      </CodeBlock>
      <VerdictLine verdict={verdict} finishReason={answer.finishReason} />
    </>
  );
}

function VerdictLine({ verdict, finishReason }: { verdict: Verdict; finishReason: string | null }) {
  const { isValid, faults, says } = verdict;
  return (
    <div class={isValid === null ? 'verdict open' : isValid ? 'verdict good' : 'verdict bad'}>
      <p>{finishReason === 'length' && isValid === false ? `${says}: the answer was cut at max tokens` : says}</p>
      {faults.length > 0 && (
        <ul>
          {faults.map((fault) => (
            <li key={fault}>{fault}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

const coloured = (json: string) =>
  jsonPieces(json).map(({ kind, text }) => (kind === null ? text : <span class={`json-${kind}`}>{text}</span>));
