/** How much work the forms of one request may take here, on the thread that serves everyone, before the compiler sees them. */
import { RequestError } from '../error-response.js';
import { limitWork, TooMuchWork } from './text/work.js';

/** Steps of work: half a second at most. */
const MAX_WORK = 5_000_000;

/**
 * Runs what is synchronous within the limit; inside of another call that one's limit counts, so that whoever has several schemas
 * gives them one limit together. Throws E_GRAMMAR_LIMIT naming the field at which it was used up.
 */
export function withinWork<T>(param: string, run: () => T): T {
  try {
    return limitWork(MAX_WORK, run);
  } catch (error) {
    if (!(error instanceof TooMuchWork)) throw error;
    throw new RequestError(
      `${param}: takes too much work: its patterns are too large, its options too many, or the schemas of the request together`,
      { param, code: 'E_GRAMMAR_LIMIT' },
    );
  }
}
