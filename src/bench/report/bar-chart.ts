/** Bars from left to right, each with its name before and its value behind. Pure. */
import { escapeText, figureOf, label, tag, textWidth } from './markup.js';

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

export function barChart({ title, summary, unit, bars, upTo, width = 520 }: BarChart): string {
  const rowHeight = bars.some(({ note }) => note !== undefined) ? 42 : 30;
  const height = 30 + bars.length * rowHeight + 6;
  const nameWidth = Math.min(width * 0.45, Math.max(...bars.map(({ name, note = '' }) => widthOf(name, note))));
  const left = nameWidth + 12;
  const right = width - 8 - Math.max(...bars.map(({ text }) => textWidth(text)));
  const most = upTo ?? Math.max(...bars.map(({ value }) => value));
  const lengthOf = (value: number) => Math.max(1, (value / most) * (right - left));
  const trackWidth = upTo === undefined ? null : lengthOf(upTo);
  const rows = bars.map((bar, i) => drawBar(bar, { left, top: 30 + i * rowHeight, rowHeight, lengthOf, trackWidth }));
  const svg = [label(0, 14, unit, { class: 'title' }), ...rows].join('');
  return figureOf(title, summary, { width, height }, svg);
}

const widthOf = (name: string, note: string) => Math.max(textWidth(name), textWidth(note) * 0.92);

interface Row {
  left: number;
  top: number;
  rowHeight: number;
  lengthOf(value: number): number;
  /** Of the whole that a bar is a share of; null: it is no share. */
  trackWidth: number | null;
}

function drawBar(
  { name, note, value, text, tone, part }: Bar,
  { left, top, rowHeight, lengthOf, trackWidth }: Row,
): string {
  const barHeight = 18;
  const middle = top + rowHeight / 2;
  const at = { x: left, y: middle - barHeight / 2, height: barHeight, rx: 2 };
  const whole = tag('rect', { ...at, class: `bar t${tone}${part ? ' faint' : ''}`, width: lengthOf(value) });
  const inner = part
    ? tag(
        'rect',
        { ...at, class: `bar t${tone}`, width: lengthOf(part.value) },
        tag('title', {}, escapeText(part.text)),
      )
    : '';
  const track = trackWidth === null ? '' : tag('rect', { ...at, class: 'track', width: trackWidth });
  return [
    label(left - 12, note === undefined ? middle + 4 : middle - 2, name, { class: 'barname', 'text-anchor': 'end' }),
    note === undefined ? '' : label(left - 12, middle + 13, note, { class: 'barnote', 'text-anchor': 'end' }),
    track,
    whole,
    inner,
    label(left + (trackWidth ?? lengthOf(value)) + 7, middle + 4, text, { class: 'barvalue' }),
  ].join('');
}
