/** Where the question is typed. Enter sends, Shift+Enter begins a new line, Escape stops the answer. */
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { isBusy, send, stop } from './conversation.js';
import { SendIcon, StopIcon } from './icons.js';
import { keptForTab } from './kept.js';

export const draft = signal(keptForTab.read('draft') ?? '');

export const keepDraft = () => keptForTab.write('draft', draft.value);

/** A question comes back, before what has been typed since. */
export function writeAgain(question: string): void {
  draft.value = draft.value.trim() === '' ? question : `${question}\n${draft.value}`;
  document.getElementById('question')?.focus();
}

/** Where the focus goes when a button that had it is gone. On a phone this would bring up the keyboard. */
export function focusComposer(): void {
  if (matchMedia('(pointer: fine)').matches) document.getElementById('question')?.focus();
}

/** As high as its text, where the browser does not do that by itself (field-sizing in the style sheet). */
function growToText(area: HTMLTextAreaElement | null): void {
  if (area === null || CSS.supports('field-sizing', 'content')) return;
  area.style.height = 'auto';
  area.style.height = `${area.scrollHeight + 2}px`;
}

/** The key belongs to an input method, as Enter that ends a character. Safari ends it first, and tells by the key code. */
export const isComposing = (event: KeyboardEvent) => event.isComposing || event.keyCode === 229;

export function Composer() {
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(focusComposer, []);
  useEffect(() => growToText(area.current), [draft.value]);
  const submit = () => {
    // Code keeps the indentation of its first line.
    const question = draft.value.trimEnd().replace(/^(?:[ \t]*\n)+/, '');
    if (question === '' || isBusy.value) return;
    draft.value = '';
    send(question);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || isComposing(event)) return;
    event.preventDefault();
    submit();
  };
  const halt = () => {
    stop();
    focusComposer();
  };
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label class="visually-hidden" for="question">
        Message
      </label>
      <textarea
        id="question"
        ref={area}
        rows={1}
        value={draft.value}
        placeholder="Write a message"
        aria-describedby="keys"
        onInput={({ currentTarget }) => {
          draft.value = currentTarget.value;
        }}
        onKeyDown={onKeyDown}
      />
      {isBusy.value ? (
        <button type="button" class="round" aria-label="Stop" title="Stop (Escape)" onClick={halt}>
          <StopIcon />
        </button>
      ) : (
        <button type="submit" class="round" aria-label="Send" title="Send (Enter)" disabled={draft.value.trim() === ''}>
          <SendIcon />
        </button>
      )}
      <p id="keys" class="keys">
        <kbd>Enter</kbd> sends, <kbd>Shift</kbd> <kbd>Enter</kbd> begins a line, <kbd>Esc</kbd> stops
      </p>
    </form>
  );
}
