/** Grammars as the server sees them: a source in, a handle for requests out. */
import { JsgError, toJsgError } from '../errors.js';
import type { GrammarSource, NativeBinding, NativeGrammar, NativeGrammarCompiler, TokenVocabulary } from './binding.js';

export interface Grammars {
  /** Throws E_GRAMMAR_INVALID, E_GRAMMAR_LIMIT, E_QUEUE_FULL. */
  compile(source: GrammarSource): Promise<NativeGrammar>;
}

/** Over the native addon. The vocabulary is prepared when the first grammar is asked for, or by `prepare`. */
export class NativeGrammars implements Grammars {
  #compiler: Promise<NativeGrammarCompiler> | null = null;
  #stopped = false;

  constructor(
    private readonly binding: Pick<NativeBinding, 'createGrammarCompiler'>,
    private readonly vocabulary: () => TokenVocabulary,
  ) {}

  /** Begins to prepare the vocabulary: a fraction of a second on another thread. */
  prepare(): Promise<NativeGrammarCompiler> {
    this.#compiler ??= this.binding.createGrammarCompiler(this.vocabulary());
    return this.#compiler;
  }

  async compile(source: GrammarSource): Promise<NativeGrammar> {
    if (this.#stopped) throw new JsgError('E_UNAVAILABLE', 'the server is stopping');
    try {
      const compiler = await this.prepare();
      return (await compiler.compile(source)).grammar;
    } catch (error) {
      throw toJsgError(error);
    }
  }

  /** Waits for what is being compiled. */
  async stop(): Promise<void> {
    this.#stopped = true;
    (await this.#compiler?.catch(() => null))?.stop();
  }
}
