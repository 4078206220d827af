/** Prompts that differ from their first word, so that no prefix cache shortens a measurement. */

const WORDS = `time person year way day thing man world life hand part child eye woman place work week case point
 government company number group problem fact water money story month book night house power hour game line end member
 law car city name team minute idea body kid back parent face level office door health art war history party result
 change morning reason research girl guy food moment air teacher force education`.split(/\s+/);

/** Deterministic prompts: an n-th call gives the n-th prompt of run `run`, of about `numWords` words. */
export class Prompts {
  #count = 0;

  constructor(private readonly run: number) {}

  next(numWords: number): string {
    const number = this.#count++;
    // A linear congruential generator (Numerical Recipes' constants) seeded by the prompt's number.
    let state = (number * 2_654_435_761 + 12345) >>> 0;
    const words = Array.from({ length: Math.max(1, numWords) }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return WORDS[(state >>> 16) % WORDS.length];
    });
    return `${this.run}.${number} ${words.join(' ')}`;
  }
}
