/** Plain tables: columns as wide as their widest cell, numbers to the right. */
import { stripVTControlCharacters } from 'node:util';

const width = (cell: string) => stripVTControlCharacters(cell).length;

const pad = (cell: string, to: number, right: boolean) => {
  const gap = ' '.repeat(Math.max(0, to - width(cell)));
  return right ? gap + cell : cell + gap;
};

/** Lines of a table; the first row is its head. `rightFrom`: the first column that holds numbers. */
export function formatTable(rows: string[][], rightFrom = Number.POSITIVE_INFINITY): string {
  const numColumns = Math.max(...rows.map((row) => row.length));
  const widths = Array.from({ length: numColumns }, (_, j) => Math.max(...rows.map((row) => width(row[j] ?? ''))));
  const lines = rows.map((row) => row.map((cell, j) => pad(cell, widths[j] ?? 0, j >= rightFrom)).join('  '));
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

/** Lines of `text` broken at spaces so that none is longer than `columns` (a single longer word stays whole). */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
