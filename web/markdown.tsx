/**
 * Markdown of a model as elements. Text stays text: tags in it are shown, pictures become links that are not followed by
 * themselves, and a link goes to http, https or mailto.
 */
import { lexer, type Token, type Tokens } from 'marked';
import type { ComponentChildren, VNode } from 'preact';
import { CodeBlock } from './code-block.js';

export function Markdown({ text }: { text: string }) {
  return <div class="markdown">{blocks(parse(text))}</div>;
}

const MAX_DEPTH = 32;

/** A text that is nested without end is shown as it is: parser and page recurse. */
function parse(text: string): Token[] {
  try {
    const tokens = lexer(text, { gfm: true, breaks: true });
    if (!isDeeper(tokens, MAX_DEPTH)) return tokens;
  } catch {
    // The parser's stack was full.
  }
  return [{ type: 'html', raw: text, text } as Token];
}

function isDeeper(tokens: readonly Token[], depth: number): boolean {
  const inner = (token: Token): Token[] => (token as Tokens.List).items ?? (token as Tokens.Generic).tokens ?? [];
  return tokens.length > 0 && (depth === 0 || tokens.some((token) => isDeeper(inner(token), depth - 1)));
}

const blocks = (tokens: readonly Token[]) => tokens.map((token, index) => <Block key={index} token={token} />);
const inlines = (tokens: readonly Token[] | undefined) =>
  (tokens ?? []).map((token, index) => <Inline key={index} token={token} />);

function Block({ token }: { token: Token }): VNode | null {
  switch (token.type) {
    case 'space':
    case 'def':
      return null;
    case 'heading': {
      // The page has headings of its own above these.
      const Heading = `h${Math.min(6, (token as Tokens.Heading).depth + 2)}` as 'h3';
      return <Heading>{inlines(token.tokens)}</Heading>;
    }
    case 'paragraph':
      return <p>{inlines(token.tokens)}</p>;
    case 'code':
      // What follows the language is for others.
      return <CodeBlock text={(token as Tokens.Code).text} title={(token as Tokens.Code).lang?.split(/\s/)[0]} />;
    case 'blockquote':
      return <blockquote>{blocks(token.tokens ?? [])}</blockquote>;
    case 'list':
      return <List list={token as Tokens.List} />;
    case 'table':
      return <Table table={token as Tokens.Table} />;
    case 'hr':
      return <hr />;
    case 'text':
      return <>{token.tokens ? inlines(token.tokens) : (token as Tokens.Text).text}</>;
    default:
      return <p class="plain">{token.raw}</p>;
  }
}

function List({ list }: { list: Tokens.List }) {
  const items = list.items.map((item, index) => (
    <li key={index} class={item.task ? 'task' : undefined}>
      {item.task && <input type="checkbox" checked={item.checked ?? false} disabled aria-label="done" />}
      {blocks(item.tokens.filter(({ type }) => type !== 'checkbox'))}
    </li>
  ));
  return list.ordered ? <ol start={Number(list.start) || 1}>{items}</ol> : <ul>{items}</ul>;
}

function Table({ table }: { table: Tokens.Table }) {
  const cell = (Cell: 'th' | 'td', { tokens, align }: Tokens.TableCell, index: number) => (
    <Cell key={index} class={align ? `align-${align}` : undefined}>
      {inlines(tokens)}
    </Cell>
  );
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>{table.header.map((each, index) => cell('th', each, index))}</tr>
        </thead>
        <tbody>
          {table.rows.map((row, index) => (
            <tr key={index}>{row.map((each, at) => cell('td', each, at))}</tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Inline({ token }: { token: Token }): VNode {
  switch (token.type) {
    case 'strong':
      return <strong>{inlines(token.tokens)}</strong>;
    case 'em':
      return <em>{inlines(token.tokens)}</em>;
    case 'del':
      return <del>{inlines(token.tokens)}</del>;
    case 'codespan':
      return <code>{(token as Tokens.Codespan).text}</code>;
    case 'br':
      return <br />;
    case 'link':
      return <Link href={(token as Tokens.Link).href}>{inlines(token.tokens)}</Link>;
    case 'image':
      return <Link href={(token as Tokens.Image).href}>{(token as Tokens.Image).text || 'picture'}</Link>;
    case 'escape':
      return <>{(token as Tokens.Escape).text}</>;
    case 'text':
      return (
        <>{(token as Tokens.Text).tokens ? inlines((token as Tokens.Text).tokens) : (token as Tokens.Text).text}</>
      );
    default:
      return <>{token.raw}</>;
  }
}

function Link({ href, children }: { href: string; children: ComponentChildren }) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
