/** The conversation, kept for the tab: a page that is loaded again goes on with it. */
import type { Answer } from './conversation.js';
import { keptForTab } from './kept.js';

/** Another one where `Answer` changes: a tab may have been left by an older page. */
const NAME = 'conversation.1';

export interface KeptExchange {
  question: string;
  answer: Answer;
}

export function keepExchanges(exchanges: readonly KeptExchange[]): void {
  keptForTab.write(NAME, exchanges.length === 0 ? '' : JSON.stringify(exchanges));
}

/** What was being answered has stopped with the page that asked. */
export function keptExchanges(): KeptExchange[] {
  const kept = keptForTab.read(NAME);
  const exchanges = kept === null ? [] : (JSON.parse(kept) as KeptExchange[]);
  return exchanges.map(({ question, answer }) => {
    const isOver = answer.phase !== 'waiting' && answer.phase !== 'answering';
    return { question, answer: isOver ? answer : { ...answer, phase: 'stopped' } };
  });
}
