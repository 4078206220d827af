/** Markdown of an answer, as far as no browser is needed. */
import { describe, expect, it } from 'vitest';
import { decodeEntities } from '../../../web/entities.js';
import { GrowingMarkdown, markdownBlocks } from '../../../web/growing-markdown.js';

const SAMPLE = [
  '# Title\n\nA **bold** *word*\nand a second line',
  'Underlined\n==========\n\ntext\n---\n\n***',
  '- one\n- two\n\n  still two\n  1. inner\n  2. inner\n\n- three\n\n\nAfter the list',
  '1. first\n2) second\n\n    indented code\n\n   ```js\nconst a = 1;\n\n\nconst b = 2;\n```\nno code',
  '> quote\nlazy line\n>\n> - in it\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n| 3\n\nend of the table',
  '<div>\n\nhtml\n\n</div>\n\n~~~\nopen to the end\n\n# no heading',
].join('\n\n');

/** The blocks after the text has come `step` characters at a time. */
function grow(text: string, step: number): ReturnType<GrowingMarkdown['blocksOf']> {
  const growing = new GrowingMarkdown();
  let blocks = growing.blocksOf('');
  for (let end = step; end < text.length + step; end += step) blocks = growing.blocksOf(text.slice(0, end));
  return blocks;
}

describe('Markdown that grows', () => {
  it.each([1, 2, 3, 7, 50])('is the same as at once, by %i characters', (step) => {
    expect(grow(SAMPLE, step)).toEqual(markdownBlocks(SAMPLE));
    const carriageReturns = SAMPLE.replaceAll('\n', '\r\n');
    expect(grow(carriageReturns, step)).toEqual(markdownBlocks(carriageReturns));
  });

  it('keeps the blocks that are complete', () => {
    const growing = new GrowingMarkdown();
    const before = growing.blocksOf('first\n\nsecond\n\nthird\n\nfour');
    const after = growing.blocksOf('first\n\nsecond\n\nthird\n\nfourth\n\nfifth');
    expect(after[0]).toBe(before[0]);
    expect(after.map(({ raw }) => raw).join('')).toBe('first\n\nsecond\n\nthird\n\nfourth\n\nfifth');
  });

  it('begins anew with another text', () => {
    const growing = new GrowingMarkdown();
    growing.blocksOf(SAMPLE);
    expect(growing.blocksOf('# Another')).toEqual(markdownBlocks('# Another'));
  });

  it('is plain text where it is nested without end', () => {
    const nested = '>'.repeat(500);
    expect(markdownBlocks(nested)).toEqual([{ type: 'html', raw: nested, text: nested }]);
    expect(markdownBlocks('> > fine')).toMatchObject([{ type: 'blockquote', tokens: [{ type: 'blockquote' }] }]);
  });
});

describe('character references', () => {
  it.each([
    ['AT&amp;T &lt;b&gt; &quot;x&quot;', 'AT&T <b> "x"'],
    ['&#65;&#x42;&#X1F600;', 'AB😀'],
    ['&#0;&#xD800;&#x110000;', '\ufffd\ufffd\ufffd'],
    ['a & b && c &unknown; &constructor; &amp', 'a & b && c &unknown; &constructor; &amp'],
    ['&amp;lt;', '&lt;'],
  ])('%s', (written, shown) => {
    expect(decodeEntities(written)).toBe(shown);
  });
});
