/**
 * Templates come from model files, so they are programs of strangers. @huggingface/jinja interprets them without
 * access to JavaScript; what it lacks are bounds on time and memory. This interpreter counts what a template does and
 * stops one that does too much; what a real template does for 2,048 messages is well inside the limits.
 */
import {
  Environment,
  Interpreter,
  type JinjaCall,
  type JinjaEnvironment,
  type JinjaMember,
  type JinjaNode,
  type JinjaValue,
} from './hf-jinja.js';
import { strftime } from './strftime.js';

/** A step takes about 0.3 us, so this is about a second. Real templates take up to 200 steps a message. */
const MAX_STEPS = 3_000_000;
/** Setting up one round of a loop costs as much as some steps. */
const STEPS_PER_ROUND = 8;
/** UTF-16 units of any string that a template makes, its output included. */
const MAX_STRING = 16 << 20;
const MAX_ARRAY = 1 << 20;

/** The template did more than a chat template has reason to. */
export class TemplateLimitError extends Error {}

export class BoundedInterpreter extends Interpreter {
  private steps = 0;
  /** Expressions that loops run over: each element of their value is a round. */
  private readonly loopSources = new WeakSet<JinjaNode>();

  override evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue {
    this.spend(1);
    if (node?.type === 'For') {
      const { iterable } = node as JinjaNode & { iterable: JinjaNode };
      const source = iterable.type === 'SelectExpression' ? (iterable as JinjaNode & { lhs: JinjaNode }).lhs : iterable;
      this.loopSources.add(source);
    }
    const value = this.strip(node, environment) ?? super.evaluate(node, environment);
    if (node !== undefined) this.charge(node, value.value);
    return value;
  }

  /**
   * `text.lstrip('\n')` and its like: the library takes off all white space whatever the argument says, and so loses
   * bytes of answers in the templates of Qwen3. Null where the node is something else.
   */
  private strip(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue | null {
    if (node?.type !== 'CallExpression') return null;
    const { callee, args } = node as JinjaCall;
    const [argument] = args;
    if (callee.type !== 'MemberExpression' || argument === undefined || args.length !== 1) return null;
    const { object, property, computed } = callee as JinjaMember;
    if (computed || !/^[lr]?strip$/.test(String(property.value))) return null;
    const text = this.evaluate(object, environment);
    const chars = this.evaluate(argument, environment).value;
    if (typeof text.value !== 'string' || typeof chars !== 'string') return null;
    const StringValue = text.constructor as new (value: string) => JinjaValue;
    return new StringValue(stripChars(text.value, chars, String(property.value)));
  }

  /** Values cost by their size: it took time to make them, and what is done with them next takes time again. */
  private charge(node: JinjaNode, value: unknown): void {
    if (typeof value === 'string') {
      if (value.length > MAX_STRING) throw new TemplateLimitError(`makes a text of more than ${MAX_STRING} characters`);
      this.spend(value.length >> 10);
    } else if (Array.isArray(value) || value instanceof Map) {
      const length = Array.isArray(value) ? value.length : value.size;
      if (length > MAX_ARRAY) throw new TemplateLimitError(`makes a list of more than ${MAX_ARRAY} elements`);
      const isOld = node.type === 'Identifier';
      this.spend(this.loopSources.has(node) ? length * STEPS_PER_ROUND : isOld ? length >> 6 : length);
    }
  }

  spend(steps: number): void {
    this.steps += steps;
    if (this.steps > MAX_STEPS) throw new TemplateLimitError(`takes more than ${MAX_STEPS} steps`);
  }
}

/** Python's str.strip, str.lstrip and str.rstrip with a set of characters. */
function stripChars(text: string, chars: string, method: string): string {
  const set = new Set(chars);
  const all = [...text];
  let [start, end] = [0, all.length];
  if (method !== 'rstrip') while (start < end && set.has(all[start] as string)) start++;
  if (method !== 'lstrip') while (end > start && set.has(all[end - 1] as string)) end--;
  return all.slice(start, end).join('');
}

/** What `raise_exception` of a template throws. */
export class TemplateRaisedError extends Error {}

/** The names that Hugging Face's renderer gives every template, besides `variables`. */
export function templateEnvironment(variables: Record<string, unknown>): JinjaEnvironment {
  const environment = new Environment();
  const globals: Record<string, unknown> = {
    true: true,
    True: true,
    false: false,
    False: false,
    none: null,
    None: null,
    raise_exception: (message: unknown) => {
      throw new TemplateRaisedError(String(message));
    },
    range: boundedRange,
    strftime_now: (format: unknown) => strftime(new Date(), String(format)),
    ...variables,
  };
  for (const [name, value] of Object.entries(globals)) environment.set(name, value);
  return environment;
}

/** Python's range, of a length that fits in memory. */
function boundedRange(first: unknown, second?: unknown, third?: unknown): number[] {
  const [start, stop] = second === undefined || second === null ? [0, first] : [first, second];
  const step = third ?? 1;
  if (![start, stop, step].every(Number.isSafeInteger)) throw new Error('range() takes integers');
  const [from, to, by] = [start as number, stop as number, step as number];
  if (by === 0) throw new Error('range() step must not be zero');
  const length = Math.max(0, Math.ceil((to - from) / by));
  if (length > MAX_ARRAY) throw new TemplateLimitError(`makes a range of ${length} elements`);
  return Array.from({ length }, (_, i) => from + i * by);
}
