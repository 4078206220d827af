/** An answer in JSON: laid out, coloured, and judged by the schema that was asked for. */
import type { ComponentChildren } from 'preact';
import { useMemo } from 'preact/hooks';
import { CodeBlock } from './code-block.js';
import type { Answer } from './conversation.js';
import { judge, type Verdict } from './json-verdict.js';

export function JsonAnswer({ answer }: { answer: Answer }) {
  const { text, phase, format } = answer;
  const isOver = phase !== 'waiting' && phase !== 'answering';
  const verdict = useMemo(() => (isOver ? judge(text, format) : null), [isOver, text, format]);
  if (verdict === null) return <CodeBlock text={text} language="json" />;
  const shown = verdict.value === undefined ? text : JSON.stringify(verdict.value, null, 2);
  return (
    <>
      <CodeBlock text={shown} language="json">
        {coloured(shown)}
      </CodeBlock>
      <VerdictLine verdict={verdict} finishReason={answer.finishReason} />
    </>
  );
}

function VerdictLine({ verdict, finishReason }: { verdict: Verdict; finishReason: string | null }) {
  const { isValid, faults, says } = verdict;
  return (
    <div class={isValid ? 'verdict good' : 'verdict bad'}>
      <p>{finishReason === 'length' && !isValid ? `${says}: the answer was cut at max tokens` : says}</p>
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

const PIECES = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/g;

function coloured(json: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let end = 0;
  for (const match of json.matchAll(PIECES)) {
    const [whole, text, colon, word] = match;
    parts.push(json.slice(end, match.index));
    end = match.index + whole.length;
    const kind = text === undefined ? (word === undefined ? 'number' : 'word') : colon === undefined ? 'string' : 'key';
    parts.push(<span class={`json-${kind}`}>{text ?? whole}</span>, colon ?? '');
  }
  return [...parts, json.slice(end)];
}
