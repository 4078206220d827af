/** One answer as blocks that stand by themselves (thoughts, texts, calls of tools), whole or told as they come. */
import type { TokenEvent } from '../addon/runtime.js';
import type { Finish, GenerationSink } from './sequence-reader.js';
import type { ScoredToken } from './sequence-text.js';
import { AnswerParser, type AnswerShape } from './tools/answer-parser.js';
import type { Part } from './tools/tool-call-parser.js';

export interface Block {
  kind: 'reasoning' | 'text' | 'call';
  /** Of a call: its arguments. */
  text: string;
  /** Only of a call. */
  call: { id: string; name: string } | null;
  /** The tokens of a text, where log-probabilities are asked for. */
  tokens: ScoredToken[];
}

export interface BlockListener {
  /** The first token is here, whatever it says. `cachedTokens`: of the prompt, those from the prefix cache. */
  start(cachedTokens: number): void;
  begin(block: Block, index: number): void;
  /** `tokens`: those that this piece of text is made of, if tracked. */
  delta(block: Block, index: number, text: string, tokens: readonly ScoredToken[]): void;
  /** `isCut`: the answer ends in the middle of it. */
  end(block: Block, index: number, isCut: boolean): void;
  pressure?(): Promise<void> | null;
}

const NONE: ScoredToken[] = [];

/** For requests of one sequence. */
export class AnswerBlocks implements GenerationSink {
  readonly blocks: Block[] = [];
  readonly #parser: AnswerParser;
  #open: Block | null = null;
  /** Tokens whose text is not told yet. */
  readonly #waiting: ScoredToken[] = [];
  #ending: Finish | null = null;
  #numTokens = 0;
  #numReasoningTokens = 0;

  constructor(
    shape: AnswerShape,
    private readonly listener: BlockListener | null = null,
  ) {
    this.#parser = new AnswerParser(shape);
  }

  /** How the answer has ended. */
  get ending(): Finish {
    if (this.#ending) return this.#ending;
    throw new Error('the answer has not ended');
  }

  /** Tokens up to the end of the thoughts. */
  get numReasoningTokens(): number {
    return this.#numReasoningTokens;
  }

  token(_index: number, event: TokenEvent): void {
    if (this.#numTokens === 0) this.listener?.start(event.cachedTokens ?? 0);
    this.#numTokens++;
  }

  delta(_index: number, text: string, tokens: ScoredToken[]): void {
    this.#add(this.#parser.push(text), tokens);
  }

  finish(_index: number, finish: Finish): void {
    if (this.#numTokens === 0) this.listener?.start(finish.cachedTokens);
    this.#add(this.#parser.end(), finish.tokens);
    if (this.#open?.kind === 'text') this.#open.tokens.push(...this.#waiting);
    this.#close(isCut(finish));
    this.#ending = finish.reason === 'stop' && this.#parser.hasCalls ? { ...finish, reason: 'tool_calls' } : finish;
  }

  pressure(): Promise<void> | null {
    return this.listener?.pressure?.() ?? null;
  }

  #add(parts: readonly Part[], tokens: readonly ScoredToken[]): void {
    this.#waiting.push(...tokens);
    for (const part of parts) {
      if (part.kind === 'call') this.#begin('call', { id: part.id, name: part.name });
      else if (part.kind !== 'arguments' && this.#open?.kind !== part.kind) this.#begin(part.kind, null);
      if (part.kind === 'call') continue;
      this.#extend(part.text, part.kind === 'text' ? this.#waiting.splice(0) : NONE);
    }
    if (this.#open?.kind === 'reasoning') this.#numReasoningTokens = this.#numTokens;
  }

  #begin(kind: Block['kind'], call: Block['call']): void {
    this.#close();
    this.#open = { kind, text: '', call, tokens: [] };
    this.blocks.push(this.#open);
    this.listener?.begin(this.#open, this.blocks.length - 1);
  }

  #extend(text: string, tokens: readonly ScoredToken[]): void {
    const block = this.#open as Block;
    block.text += text;
    block.tokens.push(...tokens);
    this.listener?.delta(block, this.blocks.length - 1, text, tokens);
  }

  #close(isCut = false): void {
    if (this.#open) this.listener?.end(this.#open, this.blocks.length - 1, isCut);
    this.#open = null;
  }
}

/** Whether the model had more to say. */
export function isCut({ reason }: Finish): boolean {
  return reason === 'length' || reason === 'abort';
}
