/** One question and its answer. */
import type { Fault } from './api.js';
import { CopyButton } from './code-block.js';
import { focusComposer, writeAgain } from './composer.js';
import { type Answer, type Exchange, exchanges, isBusy, retry, takeBack } from './conversation.js';
import { JsonAnswer } from './json-answer.js';
import { isLoading } from './live.js';
import { Markdown } from './markdown.js';

export function ExchangeView({ exchange }: { exchange: Exchange }) {
  const answer = exchange.answer.value;
  const isOver = answer.phase !== 'waiting' && answer.phase !== 'answering';
  return (
    <>
      <article class="question" aria-label="You">
        {exchange.question}
      </article>
      <article class="answer" aria-label="Answer" aria-busy={!isOver}>
        {answer.reasoning !== '' && <Reasoning answer={answer} />}
        <AnswerText answer={answer} />
        {answer.fault && <FaultNotice fault={answer.fault} />}
        {isOver && <Footer exchange={exchange} answer={answer} />}
      </article>
    </>
  );
}

function AnswerText({ answer }: { answer: Answer }) {
  if (answer.phase === 'waiting' || (answer.phase === 'answering' && answer.text + answer.reasoning === '')) {
    return (
      <p class="waiting">
        {isLoading.value ? (
          <span class="hint">The model is being loaded </span>
        ) : (
          <span class="visually-hidden">Waiting for the first token</span>
        )}
      </p>
    );
  }
  if (answer.text === '') return null;
  return answer.format.format === 'text' ? (
    <Markdown text={answer.text} isGrowing={answer.phase === 'answering'} />
  ) : (
    <JsonAnswer answer={answer} />
  );
}

/** Open as long as it is all there is. */
function Reasoning({ answer }: { answer: Answer }) {
  const isThinking = answer.phase === 'answering' && answer.text === '';
  return (
    <details class="reasoning" open={answer.text === ''}>
      <summary>{isThinking ? 'Thinking…' : 'Thoughts'}</summary>
      <div class="plain">{answer.reasoning}</div>
    </details>
  );
}

export function FaultNotice({ fault }: { fault: Fault }) {
  return (
    <div class="fault" role="alert">
      <strong>{fault.title}</strong>
      <p>{fault.message}</p>
      {fault.hint && <p class="hint">{fault.hint}</p>}
    </div>
  );
}

function askAgain(): void {
  retry();
  focusComposer();
}

function editQuestion(): void {
  const question = takeBack();
  if (question !== null) writeAgain(question);
}

function Footer({ exchange, answer }: { exchange: Exchange; answer: Answer }) {
  const isLast = exchanges.value.at(-1) === exchange;
  const measured = describe(answer);
  return (
    <footer>
      {measured !== '' && <span class="measured">{measured}</span>}
      {answer.text !== '' && answer.format.format === 'text' && <CopyButton text={answer.text} />}
      {isLast && !isBusy.value && (
        <>
          <button type="button" class="quiet" onClick={askAgain}>
            {answer.phase === 'failed' ? 'Try again' : 'Ask again'}
          </button>
          <button type="button" class="quiet" onClick={editQuestion}>
            Edit question
          </button>
        </>
      )}
    </footer>
  );
}

/** `45 tokens, 212 tok/s, first after 40 ms, 30 of 37 prompt tokens cached`. */
function describe({ phase, usage, sentMs, firstMs, lastMs, finishReason }: Answer): string {
  const cached = usage?.prompt_tokens_details?.cached_tokens ?? 0;
  const seconds = firstMs !== null && lastMs !== null ? (lastMs - firstMs) / 1000 : 0;
  const count = usage?.completion_tokens ?? 0;
  return [
    phase === 'stopped' && 'stopped',
    finishReason === 'length' && 'cut at max tokens',
    finishReason === 'abort' && 'ended by the server',
    count > 0 && `${count} ${count === 1 ? 'token' : 'tokens'}`,
    count > 1 && seconds > 0 && `${((count - 1) / seconds).toFixed(1)} tok/s`,
    firstMs !== null && `first after ${(firstMs - sentMs).toFixed(0)} ms`,
    usage && cached > 0 && `${cached} of ${usage.prompt_tokens} prompt tokens cached`,
  ]
    .filter(Boolean)
    .join(' · ');
}
