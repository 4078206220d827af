/** What drafts came to in one sequence, under SGLang's names. */
import type { TokenEvent } from '../addon/runtime.js';

export class DraftCounts {
  #numSteps = 0;
  #numDrafts = 0;
  #numCorrect = 0;
  /** Drafts of the newest step that may still turn out to be right. */
  #numLeft = 0;

  /** Each generated token. */
  push({ checkedCount = 0 }: TokenEvent): void {
    if (checkedCount > 0) {
      this.#numSteps++;
      this.#numLeft = checkedCount - 1;
      this.#numDrafts += this.#numLeft;
    } else if (this.#numLeft > 0) {
      this.#numLeft--;
      this.#numCorrect++;
    }
  }

  toMetaInfo(): object {
    const { acceptLength, acceptRate } = acceptance(this.#numSteps, this.#numDrafts, this.#numCorrect);
    return {
      spec_verify_ct: this.#numSteps,
      spec_accept_length: acceptLength,
      spec_accept_rate: acceptRate,
      spec_num_correct_drafts: this.#numCorrect,
      spec_num_proposed_drafts: this.#numDrafts,
    };
  }
}

export interface Acceptance {
  /** Tokens of a sequence in a step that decoded; 0: there was none. */
  acceptLength: number;
  /** Share of the drafts that were right. */
  acceptRate: number;
}

/** `numSteps`: of each sequence. */
export function acceptance(numSteps: number, numDrafts: number, numCorrect: number): Acceptance {
  return {
    acceptLength: numSteps > 0 ? (numSteps + numCorrect) / numSteps : 0,
    acceptRate: numDrafts > 0 ? numCorrect / numDrafts : 0,
  };
}
