/** HTML and SVG as text, escaped. Pure. */

export const escapeText = (text: string): string => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

export type Attributes = Record<string, string | number | null>;

/** An element; `content` is markup already. Numbers are rounded to hundredths; an attribute that is null is left out. */
export function tag(name: string, attributes: Attributes, ...content: string[]): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => ` ${key}="${escapeText(typeof value === 'number' ? round(value) : String(value))}"`);
  const isVoid = content.length === 0 && ['line', 'rect', 'circle', 'path'].includes(name);
  return isVoid ? `<${name}${written.join('')}/>` : `<${name}${written.join('')}>${content.join('')}</${name}>`;
}

export const round = (value: number): string => String(Math.round(value * 100) / 100);

/** Text at a place. */
export function label(x: number, y: number, text: string, attributes: Attributes = {}): string {
  return tag('text', { x, y, ...attributes }, escapeText(text));
}

/** Of 12 px text in a usual sans-serif, near enough to leave room for it. */
export const textWidth = (text: string): number => (text === '' ? 0 : text.length * 7.1 + 2);

/** Text that is cut where it would not fit. */
export const fitted = (text: string, width: number): string =>
  textWidth(text) <= width ? text : `${text.slice(0, Math.max(1, Math.floor((width - 2) / 7.1) - 1))}…`;

export interface Drawing {
  width: number;
  height: number;
  svg: string;
}

export interface Caption {
  title: string;
  /** What the values are, under the title. */
  unit: string;
  /** What it shows, for those who do not see it. */
  summary: string;
}

/** Width of drawings for a phone: text on them is as large as on others. */
export const NARROW = 350;
/** Beyond this a figure has a row of its own. */
const COLUMN = 600;

/** A figure with a name and a description for those who do not see it, drawn once for a screen and once for a phone. */
export function figureOf({ title, unit, summary }: Caption, roomy: Drawing, narrow: Drawing): string {
  const draw = ({ width, height, svg }: Drawing, name: string) =>
    tag(
      'svg',
      { class: name, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title}. ${summary}` },
      svg,
    );
  const caption = tag('figcaption', {}, escapeText(title), tag('span', {}, escapeText(unit)));
  const isWide = roomy.width > COLUMN;
  return tag('figure', { class: isWide ? 'wide' : null }, caption, draw(roomy, 'roomy'), draw(narrow, 'narrow'));
}
