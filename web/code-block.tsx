/** Text in a fixed pitch, with a button that copies it. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { announcement } from './conversation.js';

interface Props {
  text: string;
  /** Stands above it. */
  title?: string;
  /** The text in colours. */
  children?: ComponentChildren;
}

export function CodeBlock({ text, title = '', children }: Props) {
  return (
    <div class="code">
      <div class="code-bar">
        <span>{title}</span>
        <CopyButton text={text} />
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <pre tabIndex={0}>
        <code>{children ?? text}</code>
      </pre>
    </div>
  );
}

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const [state, setState] = useState<'idle' | 'copied' | 'failed'>('idle');
  const copy = async () => {
    const isCopied = await copyText(text);
    setState(isCopied ? 'copied' : 'failed');
    announcement.value = isCopied ? 'Copied' : 'The browser does not let the page copy';
    setTimeout(() => setState('idle'), 1500);
  };
  return (
    <button type="button" class="quiet" onClick={copy}>
      {state === 'idle' ? label : state === 'copied' ? 'Copied' : 'Not allowed'}
    </button>
  );
}

/** navigator.clipboard exists only over https and on this machine; a board is mostly asked over http. */
async function copyText(text: string): Promise<boolean> {
  if (navigator.clipboard) {
    const isDone = await navigator.clipboard.writeText(text).then(
      () => true,
      () => false,
    );
    if (isDone) return true;
  }
  const area = document.createElement('textarea');
  area.value = text;
  // Inside an open dialog, since everything else is inert then.
  (document.querySelector('dialog[open]') ?? document.body).append(area);
  const before = document.activeElement;
  area.select();
  const isDone = document.execCommand('copy');
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isDone;
}
