/** What comes over the page: the request as code, and the field for an API key. */
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { apiKey, keyKnownToBeNeeded, keyWanted, setApiKey } from './api.js';
import { CodeBlock } from './code-block.js';
import { codeSamples } from './code-samples.js';
import { draft } from './composer.js';
import { exchanges, type Message } from './conversation.js';
import { CloseIcon } from './icons.js';
import { modelName } from './live.js';
import { choices, requestFields } from './params.js';

export const isCodeOpen = signal(false);

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
}

/** The browser's own: it keeps the focus inside, Escape closes it, and the focus goes back to where it was. */
function Dialog({ title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="dialog-title">
      <div class="heading">
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="icon-button" aria-label="Close" onClick={() => dialog.current?.close()}>
          <CloseIcon />
        </button>
      </div>
      {children}
    </dialog>
  );
}

export function Dialogs() {
  if (keyWanted.value) return <KeyDialog />;
  return isCodeOpen.value ? <CodeDialog /> : null;
}

function KeyDialog() {
  const [typed, setTyped] = useState(apiKey.value);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <Dialog
      title="API key"
      onClose={() => {
        keyWanted.value = false;
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setApiKey(typed.trim());
        }}
      >
        <p class="hint">
          {apiKey.value === '' ? 'This server asks for a key.' : 'The server does not know this key.'} It stays in this
          tab and goes to this server alone.
        </p>
        <label class="visually-hidden" for="key">
          API key
        </label>
        <input
          id="key"
          ref={field}
          type="password"
          autocomplete="off"
          value={typed}
          onInput={({ currentTarget }) => setTyped(currentTarget.value)}
        />
        <div class="buttons">
          <button type="submit" class="primary" disabled={typed.trim() === ''}>
            Use this key
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function CodeDialog() {
  const [chosen, setChosen] = useState(0);
  // A proxy may serve all of it under a path.
  const base = new URL('.', location.href).href.slice(0, -1);
  const samples = codeSamples({
    base,
    model: modelName.value || 'default',
    needsKey: keyKnownToBeNeeded.value,
    messages: sampleMessages(),
    fields: fieldsOrNone(),
  });
  const sample = samples[chosen];
  return (
    <Dialog
      title="Use it from code"
      onClose={() => {
        isCodeOpen.value = false;
      }}
    >
      <p class="hint">With the parameters that are set here. Any OpenAI client works with {base}/v1.</p>
      <div class="segments" role="radiogroup" aria-label="Language">
        {samples.map(({ name }, index) => (
          <label key={name}>
            <input type="radio" name="language" checked={index === chosen} onChange={() => setChosen(index)} />
            <span>{name}</span>
          </label>
        ))}
      </div>
      {sample && <CodeBlock text={sample.code} title={sample.needs} />}
    </Dialog>
  );
}

function sampleMessages(): Message[] {
  const { system } = choices.value;
  const question = draft.value.trim() || exchanges.value.at(-1)?.question || 'What is the capital of France?';
  const first: Message[] = system.trim() === '' ? [] : [{ role: 'system', content: system }];
  return [...first, { role: 'user', content: question }];
}

/** A schema that is not JSON yet is left out. */
function fieldsOrNone(): Record<string, unknown> {
  try {
    return requestFields(choices.value);
  } catch {
    return requestFields({ ...choices.value, format: 'text' });
  }
}
