/** Tells calls of tools from the text around them, as the text comes. */
import { randomBytes } from 'node:crypto';
import { JsonScanner } from './json-scanner.js';
import type { ToolFormat } from './tool-formats.js';

/** A piece of an answer. */
export type Part =
  | { kind: 'text'; text: string }
  | { kind: 'reasoning'; text: string }
  | { kind: 'call'; index: number; id: string; name: string }
  | { kind: 'arguments'; index: number; text: string };

/** A head that is longer has no name in it. */
const MAX_HEAD = 512;

export class ToolCallParser {
  /** Text that is not told yet. */
  #held = '';
  #state: 'text' | 'head' | 'arguments' | 'tail' | 'after' = 'text';
  #scanner = new JsonScanner();
  #numCalls = 0;
  /** Something other than white space has gone out. */
  #hasText = false;

  constructor(
    private readonly format: ToolFormat,
    /** Names that may be called; calls of others are text. */
    private readonly names: ReadonlySet<string>,
  ) {}

  get numCalls(): number {
    return this.#numCalls;
  }

  push(text: string): Part[] {
    this.#held += text;
    const parts: Part[] = [];
    while (this.#advance(parts, false));
    return parts;
  }

  /** What is left: an unfinished call stays one as far as it is known, all else is text. */
  end(): Part[] {
    const parts: Part[] = [];
    while (this.#advance(parts, true));
    if (this.#state === 'text' || this.#state === 'head') this.#addText(parts, this.#held, this.#numCalls > 0);
    this.#held = '';
    return parts;
  }

  /** One step; false: more text is needed. */
  #advance(parts: Part[], isLast: boolean): boolean {
    switch (this.#state) {
      case 'text':
        return this.#passText(parts, isLast);
      case 'head':
        return this.#readHead(parts, isLast);
      case 'arguments':
        return this.#passArguments(parts);
      case 'tail':
        return this.#readTail(isLast);
      case 'after':
        return this.#readAfter(isLast);
    }
  }

  #passText(parts: Part[], isLast: boolean): boolean {
    const mayBegin = !this.format.onlyAtStart || !this.#hasText;
    const at = mayBegin ? this.#findTrigger() : -1;
    if (at >= 0 && (!this.format.onlyAtStart || this.#held.slice(0, at).trim() === '')) {
      this.#addText(parts, this.#held.slice(0, at), true);
      this.#held = this.#held.slice(at);
      this.#state = 'head';
      return true;
    }
    if (isLast) return false;
    const keep = mayBegin ? this.#lengthToKeep() : 0;
    this.#addText(parts, this.#held.slice(0, this.#held.length - keep), false);
    this.#held = this.#held.slice(this.#held.length - keep);
    return false;
  }

  #findTrigger(): number {
    const found = this.format.triggers.map((trigger) => this.#held.indexOf(trigger)).filter((at) => at >= 0);
    return found.length === 0 ? -1 : Math.min(...found);
  }

  /** The end of the held text that may be the beginning of a trigger, with the white space before it. */
  #lengthToKeep(): number {
    let keep = 0;
    for (const trigger of this.format.triggers) {
      for (let length = Math.min(trigger.length - 1, this.#held.length); length > keep; length--) {
        if (this.#held.endsWith(trigger.slice(0, length))) keep = length;
      }
    }
    const before = this.#held.slice(0, this.#held.length - keep);
    return keep + before.length - before.trimEnd().length;
  }

  #readHead(parts: Part[], isLast: boolean): boolean {
    const found = this.format.head.exec(this.#held);
    // Until something follows it, the head may be longer.
    if (found && (found[0].length < this.#held.length || isLast)) {
      const name = this.#nameOf(found[1] as string);
      if (name !== null && this.names.has(name)) {
        this.#held = this.#held.slice(found[0].length);
        parts.push({ kind: 'call', index: this.#numCalls++, id: `call_${randomBytes(12).toString('hex')}`, name });
        this.#scanner = new JsonScanner();
        this.#state = 'arguments';
        return true;
      }
    } else if (this.#held.length <= MAX_HEAD) {
      return false;
    }
    // No call that anyone could make: it is what the model said.
    this.#addText(parts, this.#held, false);
    this.#held = '';
    this.#state = 'text';
    return true;
  }

  #nameOf(written: string): string | null {
    if (!this.format.quoted) return written.trim();
    try {
      return JSON.parse(`"${written}"`) as string;
    } catch {
      return null;
    }
  }

  #passArguments(parts: Part[]): boolean {
    if (this.#held === '') return false;
    const { length, ended } = this.#scanner.push(this.#held);
    const text = this.#held.slice(0, length);
    if (text !== '') parts.push({ kind: 'arguments', index: this.#numCalls - 1, text });
    this.#held = this.#held.slice(length);
    if (ended) this.#state = 'tail';
    return ended;
  }

  #readTail(isLast: boolean): boolean {
    const found = this.format.tail.exec(this.#held);
    if (found) this.#held = this.#held.slice(found[0].length);
    else if (!isLast && this.#held.length <= MAX_HEAD) return false;
    this.#state = 'after';
    return true;
  }

  /** Another call, the end of the calls, or text. */
  #readAfter(isLast: boolean): boolean {
    const close = this.format.close.exec(this.#held);
    if (close && close[0] !== '') {
      this.#held = this.#held.slice(close[0].length);
      this.#state = 'text';
      return true;
    }
    const rest = this.#held.trimStart();
    if (rest === '' && !isLast) return false;
    const isHead = this.format.head.test(this.#held);
    // What could still become a head, or the end of the calls, is waited for.
    if (!isHead && !isLast && rest.length <= MAX_HEAD && /^[;,{[<]/.test(rest)) return false;
    this.#state = isHead ? 'head' : 'text';
    return rest !== '';
  }

  /** Once a call has come, white space around calls is none of the text. */
  #addText(parts: Part[], text: string, beforeCall: boolean): void {
    let out = beforeCall ? text.trimEnd() : text;
    if (this.#numCalls > 0 && !this.#hasText) out = out.trimStart();
    if (out === '') return;
    if (out.trim() !== '') this.#hasText = true;
    parts.push({ kind: 'text', text: out });
  }
}
