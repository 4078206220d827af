/**
 * What we take from @huggingface/jinja, typed here: the package's own declarations import each other without
 * extensions, which TypeScript can't follow under NodeNext.
 */
import * as library from '@huggingface/jinja';

/** A node of the syntax tree; which other fields it has depends on `type`. */
export interface JinjaNode {
  type: string;
}

/** `object.property` (an identifier, unless `computed`) and `callee(args)`. */
export interface JinjaMember extends JinjaNode {
  object: JinjaNode;
  property: JinjaNode & { value: unknown };
  computed: boolean;
}
export interface JinjaCall extends JinjaNode {
  callee: JinjaNode;
  args: JinjaNode[];
}

/** A value at run time: a string, a number, an array or a map of values, or a function. */
export interface JinjaValue {
  value: unknown;
}

export interface JinjaEnvironment {
  set(name: string, value: unknown): JinjaValue;
}

interface JinjaInterpreter {
  run(program: JinjaNode): JinjaValue;
  /** Every statement and expression of a program passes through here. */
  evaluate(node: JinjaNode | undefined, environment: JinjaEnvironment): JinjaValue;
}

interface Library {
  Environment: new () => JinjaEnvironment;
  Interpreter: new (environment: JinjaEnvironment) => JinjaInterpreter;
  tokenize: (template: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }) => unknown[];
  parse: (tokens: unknown[]) => JinjaNode;
}

export const { Environment, Interpreter, tokenize, parse } = library as unknown as Library;
