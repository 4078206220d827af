/** The page: a line at the top, what is served on the left, the conversation, the parameters on the right. */
import { effect, signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { keyKnownToBeNeeded, keyWanted } from './api.js';
import { Composer, focusComposer, isComposing } from './composer.js';
import { announcement, exchanges, faultyField, startOver, stop } from './conversation.js';
import { Conversation } from './conversation-view.js';
import { Dialogs, isCodeOpen } from './dialogs.js';
import { CloseIcon, ThemeIcon } from './icons.js';
import { type Health, health, isLoading, modelName, status } from './live.js';
import { LivePanel } from './live-panel.js';
import { SettingsPanel } from './settings-panel.js';
import { switchTheme } from './theme.js';

type Panel = 'live' | 'settings';

/** On a narrow screen: the panel that lies over the conversation. */
const openPanel = signal<Panel | null>(null);

effect(() => {
  document.title = modelName.value === '' ? 'jsg' : `${modelName.value} · jsg`;
});

export function App() {
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key !== 'Escape' || isComposing(event) || document.querySelector('dialog[open]')) return;
      if (openPanel.value !== null) closePanel();
      else stop();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);
  return (
    <>
      <Header />
      <SidePanel name="live" title="Server">
        <LivePanel />
      </SidePanel>
      <main>
        {/* Headings of an answer come below this one, also where the panels are hidden. */}
        <h2 class="visually-hidden">Conversation</h2>
        <Conversation />
        <Composer />
      </main>
      <SidePanel name="settings" title="Settings">
        <SettingsPanel />
      </SidePanel>
      <p class="visually-hidden" role="status">
        {announcement}
      </p>
      <Dialogs />
    </>
  );
}

const HEALTH: Record<Health, string> = {
  connecting: 'connecting',
  ready: 'ready',
  starting: 'starting',
  draining: 'shutting down',
  failed: 'the runtime has failed',
  locked: 'asks for a key',
  silent: 'does not answer',
};

function HealthLine() {
  const isAsleep = health.value === 'ready' && status.value?.model === 'unloaded';
  const isWaking = health.value === 'ready' && isLoading.value;
  const said = isWaking ? 'loading the model' : isAsleep ? 'model unloaded' : (HEALTH[health.value] ?? health.value);
  return (
    <p
      class={`health ${isWaking ? 'starting' : health.value}`}
      title={isAsleep ? 'The next message loads it' : undefined}
    >
      {said}
    </p>
  );
}

function Header() {
  return (
    <header class="top">
      <h1>
        jsg <span class="model">{modelName}</span>
      </h1>
      <HealthLine />
      <nav aria-label="Page">
        <PanelButton name="live" label="Server" />
        <PanelButton name="settings" label="Settings" />
        {exchanges.value.length > 0 && (
          <button type="button" class="quiet" onClick={newChat}>
            New chat
          </button>
        )}
        <button
          type="button"
          class="quiet"
          onClick={() => {
            isCodeOpen.value = true;
          }}
        >
          Code
        </button>
        {keyKnownToBeNeeded.value && (
          <button
            type="button"
            class="quiet"
            onClick={() => {
              keyWanted.value = true;
            }}
          >
            Key
          </button>
        )}
        <button
          type="button"
          class="icon-button"
          aria-label="Light or dark"
          title="Light or dark"
          onClick={switchTheme}
        >
          <ThemeIcon />
        </button>
      </nav>
    </header>
  );
}

function newChat(): void {
  startOver();
  focusComposer();
}

function PanelButton({ name, label }: { name: Panel; label: string }) {
  const isOpen = openPanel.value === name;
  const isMarked = name === 'settings' && faultyField.value !== null;
  return (
    <button
      type="button"
      id={`open-${name}`}
      class={isMarked ? 'quiet panel-button marked' : 'quiet panel-button'}
      aria-expanded={isOpen}
      aria-controls={`panel-${name}`}
      onClick={() => {
        openPanel.value = isOpen ? null : name;
      }}
    >
      {label}
    </button>
  );
}

function closePanel(): void {
  const name = openPanel.value;
  openPanel.value = null;
  document.getElementById(`open-${name}`)?.focus();
}

function SidePanel({ name, title, children }: { name: Panel; title: string; children: preact.ComponentChildren }) {
  const panel = useRef<HTMLElement>(null);
  const isOpen = openPanel.value === name;
  useEffect(() => {
    if (isOpen) panel.current?.querySelector('button')?.focus();
  }, [isOpen]);
  return (
    <aside
      id={`panel-${name}`}
      ref={panel}
      class={isOpen ? `panel ${name} open` : `panel ${name}`}
      aria-label={title}
      tabIndex={name === 'live' ? 0 : undefined}
    >
      <button type="button" class="icon-button close" aria-label={`Close ${title.toLowerCase()}`} onClick={closePanel}>
        <CloseIcon />
      </button>
      {children}
    </aside>
  );
}
