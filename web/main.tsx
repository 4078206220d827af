/** The page at /: what `jsg launch` shows a person. */
import { render } from 'preact';
import { App } from './app.js';
import { keepDraft } from './composer.js';
import { keepConversation, stop } from './conversation.js';
import { watchServer } from './live.js';
// In the order in which they build upon one another.
import './style/base.css';
import './style/controls.css';
import './style/top.css';
import './style/panels.css';
import './style/conversation.css';
import './style/markdown.css';
import './style/composer.css';
import './style/dialogs.css';
import './style/narrow.css';
import './theme.js';

const root = document.getElementById('app');
if (root) render(<App />, root);
watchServer();
// The browser cuts the stream off when it leaves the page.
window.addEventListener('pagehide', stop);
window.addEventListener('pagehide', keepAll);
// A phone puts pages away without another word.
document.addEventListener('visibilitychange', keepAll);

function keepAll(): void {
  keepConversation();
  keepDraft();
}
