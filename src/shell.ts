/** Words as a shell reads them back. */

/** Unchanged, whatever it holds. */
export const quoteWord = (word: string) => quoteUnless(/^[\w@%+=:,./-]+$/, word);

/** `*` is left bare, since it stands for a file. */
export const quotePattern = (word: string) => quoteUnless(/^[\w@%+=:,./*-]+$/, word);

function quoteUnless(bare: RegExp, word: string): string {
  return bare.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
