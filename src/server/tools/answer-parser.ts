/** An answer's text as what it is made of: thoughts, text, calls of tools. */
import { ReasoningParser } from './reasoning.js';
import { type Part, ToolCallParser } from './tool-call-parser.js';
import type { ToolFormat } from './tool-formats.js';

export interface AnswerShape {
  /** Null: thoughts are not told apart. */
  reasoning: { isInside: boolean; isStreamed: boolean } | null;
  /** Null: no tool may be called. */
  tools: { format: ToolFormat; names: ReadonlySet<string> } | null;
}

export class AnswerParser {
  readonly #reasoning: ReasoningParser | null;
  readonly #tools: ToolCallParser | null;
  readonly #streamsReasoning: boolean;
  /** Thoughts that go out in one piece. */
  #thoughts = '';

  constructor({ reasoning, tools }: AnswerShape) {
    this.#reasoning = reasoning && new ReasoningParser(reasoning.isInside);
    this.#streamsReasoning = reasoning?.isStreamed ?? true;
    this.#tools = tools && new ToolCallParser(tools.format, tools.names);
  }

  get hasCalls(): boolean {
    return (this.#tools?.numCalls ?? 0) > 0;
  }

  push(text: string): Part[] {
    return this.#tell(this.#reasoning?.push(text) ?? [{ kind: 'text', text }]);
  }

  end(): Part[] {
    const parts = this.#tell(this.#reasoning?.end() ?? []);
    parts.push(...(this.#tools?.end() ?? []));
    return [...this.#takeThoughts(), ...parts];
  }

  #tell(pieces: Part[]): Part[] {
    const parts: Part[] = [];
    for (const piece of pieces) {
      if (piece.kind === 'reasoning' && !this.#streamsReasoning) this.#thoughts += piece.text;
      else if (piece.kind !== 'text') parts.push(piece);
      else parts.push(...this.#takeThoughts(), ...(this.#tools?.push(piece.text) ?? [piece]));
    }
    return parts;
  }

  #takeThoughts(): Part[] {
    const text = this.#thoughts;
    this.#thoughts = '';
    return text === '' ? [] : [{ kind: 'reasoning', text }];
  }
}
