/** Regular expressions that are changed as they are written, where that is all it takes. */
import { parseRegex, type RegexNode } from './regex-syntax.js';

/** `^[a-z]+$` with lengths is `^[a-z]{min,max}$`; null: another kind of pattern. */
export function withLengths(pattern: string, min: number, max: number | null): string | null {
  const [, set, times] = /^\^((?:\[(?:[^\]\\]|\\.)+\])|\\[dws]|\.)([*+])\$$/.exec(pattern) ?? [];
  if (set === undefined) return null;
  const least = Math.max(min, times === '+' ? 1 : 0);
  if (max !== null && least > max) return null;
  return `^${set}{${least},${max ?? ''}}$`;
}

/** The specification looks for a pattern anywhere in the string; the compiler takes it for all of it. */
export function anchored(pattern: string): string {
  const starts = pattern.startsWith('^');
  const ends = /(?:^|[^\\])(?:\\\\)*\$$/.test(pattern);
  const body = pattern.slice(starts ? 1 : 0, ends ? -1 : undefined);
  const inner = starts && ends && !body.includes('|') ? body : `(?:${body})`;
  return `^${starts ? '' : '[\\s\\S]*'}${inner}${ends ? '' : '[\\s\\S]*'}$`;
}

/**
 * Whether the compiler reads a pattern as it is meant: anchors at its ends only, and no character that JSON writes with an
 * escape, nor one beyond ASCII, for which it leaves the rules of JSON strings aside. What cannot be read here is left to it.
 */
export function isPlain(pattern: string): boolean {
  if (/[^ -~]|"|\\\\|\\[tnrfvux]/.test(pattern)) return parseRegex(pattern) === null;
  const node = parseRegex(pattern);
  if (node === null) return true;
  const nodes = node.kind === 'sequence' ? node.nodes : [node];
  const inner = nodes.filter(
    ({ kind }, index) => !(kind === 'start' && index === 0) && !(kind === 'end' && index === nodes.length - 1),
  );
  return !inner.some(hasAnchor);
}

function hasAnchor(node: RegexNode): boolean {
  if (node.kind === 'repeat') return hasAnchor(node.node);
  if (node.kind === 'sequence' || node.kind === 'choice') return node.nodes.some(hasAnchor);
  return node.kind !== 'set';
}
