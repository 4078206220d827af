/** Bars from left to right, each with its name before (on a phone: above) and its value behind. Pure. */
import { type Drawing, escapeText, figureOf, fitted, label, NARROW, tag, textWidth } from './markup.js';

export interface Bar {
  name: string;
  /** A second line, smaller: where and with what. */
  note?: string;
  value: number;
  /** As written behind it. */
  text: string;
  tone: number;
  /** Part of it that is drawn stronger, with what it is. */
  part?: { value: number; text: string };
}

export interface BarChart {
  title: string;
  summary: string;
  unit: string;
  bars: Bar[];
  /** The end of the axis, where it is not the longest bar: 1 for shares. */
  upTo?: number;
  width?: number;
}

export function barChart(chart: BarChart): string {
  const { width = 520 } = chart;
  return figureOf(chart, draw(chart, beside(chart.bars, width)), draw(chart, above(chart.bars)));
}

/** Where the parts of a row are, from its top. */
interface Layout {
  width: number;
  rowHeight: number;
  /** Where bars begin. */
  left: number;
  barTop: number;
  name: Text;
  note: Text;
}

interface Text {
  x: number;
  y: number;
  anchor: 'start' | 'end';
  /** Room for it. */
  width: number;
}

const BAR_HEIGHT = 18;
const GAP = 12;
const hasNotes = (bars: readonly Bar[]) => bars.some(({ note }) => note !== undefined);

function beside(bars: readonly Bar[], width: number): Layout {
  const wanted = Math.max(...bars.map(({ name, note = '' }) => Math.max(textWidth(name), textWidth(note) * 0.92)));
  const nameWidth = Math.min(width * 0.45, wanted);
  const isTall = hasNotes(bars);
  const rowHeight = isTall ? 42 : 30;
  const middle = rowHeight / 2;
  return {
    width,
    rowHeight,
    left: nameWidth + GAP,
    barTop: middle - BAR_HEIGHT / 2,
    name: { x: nameWidth, y: middle + (isTall ? -2 : 4), anchor: 'end', width: nameWidth },
    note: { x: nameWidth, y: middle + 13, anchor: 'end', width: nameWidth / 0.92 },
  };
}

function above(bars: readonly Bar[]): Layout {
  const barTop = hasNotes(bars) ? 32 : 18;
  const text = { x: 0, anchor: 'start' as const, width: NARROW };
  return {
    width: NARROW,
    rowHeight: barTop + BAR_HEIGHT + 10,
    left: 0,
    barTop,
    name: { ...text, y: 12 },
    note: { ...text, y: 26, width: NARROW / 0.92 },
  };
}

function draw({ bars, upTo }: BarChart, layout: Layout): Drawing {
  const { width, rowHeight, left } = layout;
  const right = width - GAP - Math.max(...bars.map(({ text }) => textWidth(text)));
  // All of nothing is nothing.
  const most = upTo ?? (Math.max(...bars.map(({ value }) => value)) || 1);
  const lengthOf = (value: number) => Math.max(1, (value / most) * (right - left));
  const trackWidth = upTo === undefined ? null : lengthOf(upTo);
  const rows = bars.map((bar, i) => drawBar(bar, { layout, top: i * rowHeight, lengthOf, trackWidth }));
  return { width, height: bars.length * rowHeight + 6, svg: rows.join('') };
}

interface Row {
  layout: Layout;
  top: number;
  lengthOf(value: number): number;
  /** Of the whole that a bar is a share of; null: it is no share. */
  trackWidth: number | null;
}

function drawBar(bar: Bar, { layout, top, lengthOf, trackWidth }: Row): string {
  const { value, text, tone, part } = bar;
  const at = { x: layout.left, y: top + layout.barTop, height: BAR_HEIGHT, rx: 2 };
  const whole = tag('rect', { ...at, class: `bar t${tone}${part ? ' faint' : ''}`, width: lengthOf(value) });
  const inner = part
    ? tag(
        'rect',
        { ...at, class: `bar t${tone}`, width: lengthOf(part.value) },
        tag('title', {}, escapeText(part.text)),
      )
    : '';
  const track = trackWidth === null ? '' : tag('rect', { ...at, class: 'track', width: trackWidth });
  const write = (said: string, { x, y, anchor, width }: Text, name: string) =>
    label(x, top + y, fitted(said, width), { class: name, 'text-anchor': anchor });
  return [
    write(bar.name, layout.name, 'barname'),
    bar.note === undefined ? '' : write(bar.note, layout.note, 'barnote'),
    track,
    whole,
    inner,
    label(at.x + (trackWidth ?? lengthOf(value)) + 7, at.y + 13, text, { class: 'barvalue' }),
  ].join('');
}
