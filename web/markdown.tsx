/**
 * Markdown of a model as elements. Text stays text: tags in it are shown, pictures become links that are not followed by
 * themselves, and a link goes to http, https or mailto.
 */
import type { Token, Tokens } from 'marked';
import type { ComponentChildren, VNode } from 'preact';
import { useRef } from 'preact/hooks';
import { CodeBlock } from './code-block.js';
import { decodeEntities } from './entities.js';
import { GrowingMarkdown, markdownBlocks } from './growing-markdown.js';

/** `isGrowing`: more of it will come. */
export function Markdown({ text, isGrowing }: { text: string; isGrowing: boolean }) {
  const growing = useRef(new GrowingMarkdown());
  const tokens = isGrowing ? growing.current.blocksOf(text) : markdownBlocks(text);
  return <div class="markdown">{tokens.map(elementOf)}</div>;
}

const elements = new WeakMap<Token, VNode>();

/** The same element for the same token: what is complete is neither made nor compared again. */
function elementOf(token: Token, index: number): VNode {
  const known = elements.get(token) ?? <Block key={index} token={token} />;
  elements.set(token, known);
  return known;
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
      return <>{token.tokens ? inlines(token.tokens) : decodeEntities((token as Tokens.Text).text)}</>;
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
      // Models mean mathematics by \( \) and \[ \].
      return <>{/^\\[()[\]]$/.test(token.raw) ? token.raw : (token as Tokens.Escape).text}</>;
    case 'text': {
      const { tokens, text } = token as Tokens.Text;
      return <>{tokens ? inlines(tokens) : decodeEntities(text)}</>;
    }
    default:
      return <>{token.raw}</>;
  }
}

function Link({ href: written, children }: { href: string; children: ComponentChildren }) {
  const href = decodeEntities(written);
  if (!/^(?:https?:\/\/|mailto:)/i.test(href)) return <>{children}</>;
  return (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  );
}
