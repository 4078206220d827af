/** The questions and answers so far, which the page follows to their end while it grows. */
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { focusComposer } from './composer.js';
import { exchanges, isBusy, send } from './conversation.js';
import { modelName } from './live.js';
import { ExchangeView } from './message.js';

const SUGGESTIONS = [
  'What is the capital of France?',
  'Explain in two sentences what a KV cache is.',
  'Write a haiku about a small computer.',
];

/** How near to its end a reader must be for the page to follow, px. */
const FOLLOW_PX = 80;

export function Conversation() {
  const log = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = log.current;
    const content = element?.firstElementChild;
    if (!element || !content) return;
    let follows = true;
    const onScroll = () => {
      follows = element.scrollHeight - element.scrollTop - element.clientHeight < FOLLOW_PX;
    };
    const observer = new ResizeObserver(() => {
      if (follows) element.scrollTop = element.scrollHeight;
    });
    element.addEventListener('scroll', onScroll);
    // Who opens the thoughts of an answer wants to stay there.
    element.addEventListener(
      'click',
      () => {
        follows = false;
      },
      { capture: true },
    );
    observer.observe(content);
    const unwatch = effect(() => {
      if (isBusy.value) follows = true;
    });
    return () => {
      observer.disconnect();
      unwatch();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div class="conversation" ref={log} role="log" aria-live="polite" aria-label="Conversation" tabIndex={0}>
      <div class="exchanges">
        {exchanges.value.length === 0 && <Welcome />}
        {exchanges.value.map((exchange) => (
          <ExchangeView key={exchange.id} exchange={exchange} />
        ))}
      </div>
    </div>
  );
}

function Welcome() {
  return (
    <div class="welcome">
      <p>{modelName.value === '' ? 'Ask something.' : `Ask ${modelName} something.`}</p>
      <ul>
        {SUGGESTIONS.map((suggestion) => (
          <li key={suggestion}>
            <button
              type="button"
              onClick={() => {
                send(suggestion);
                focusComposer();
              }}
            >
              {suggestion}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
