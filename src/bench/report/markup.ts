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
export const textWidth = (text: string): number => text.length * 7;

/** A figure with a name and a description for those who do not see it. */
export function figureOf(title: string, summary: string, size: { width: number; height: number }, svg: string): string {
  const { width, height } = size;
  return tag(
    'figure',
    { class: width > 600 ? 'wide' : null },
    tag('figcaption', {}, escapeText(title)),
    tag('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title}. ${summary}` }, svg),
  );
}
