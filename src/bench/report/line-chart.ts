/** Lines over two axes, each named at its end. Pure: values in, SVG out. */
import { type Drawing, figureOf, label, NARROW, round, tag, textWidth } from './markup.js';
import { linearScale, logScale, type Scale, type ScaleKind, spreadOut } from './scale.js';

export interface Point {
  x: number;
  y: number;
  /** Written beside it. */
  label?: string;
  /** What it may well be. */
  range?: [number, number] | null;
}

export interface Series {
  name: string;
  /** 1 to 6: its colour. 0: a limit rather than a measurement. */
  tone: number;
  points: Point[];
  isDashed?: boolean;
  /** Every point is drawn; a curve of many has none. */
  hasMarks?: boolean;
  /** What is below is filled. */
  isArea?: boolean;
}

export interface Axis {
  title: string;
  kind: ScaleKind;
  /** Ticks at these values instead of round ones. */
  ticks?: number[];
  /** Least end of the axis. */
  upTo?: number;
  format(value: number): string;
}

export interface LineChart {
  title: string;
  /** What it shows, for those who do not see it. */
  summary: string;
  x: Axis;
  y: Axis;
  series: Series[];
  /** Names stand above the ends of the lines, for lines that all end at the top. */
  namesAbove?: boolean;
  width?: number;
  height?: number;
}

const GAP = 15;

export function lineChart(chart: LineChart): string {
  const { title, summary, y, width = 520 } = chart;
  return figureOf({ title, summary, unit: y.title }, draw(chart, width), draw(chart, NARROW));
}

function draw(chart: LineChart, width: number): Drawing {
  const { height = 310, namesAbove = false } = chart;
  const series = chart.series.filter(({ points }) => points.length > 0);
  const all = series.flatMap(({ points }) => points);
  const [top, bottom] = [namesAbove ? 28 : 14, height - 46];
  const y = scaleOf(chart.y, ys(all), [bottom, top], 1.5);
  const left = 14 + Math.max(...ticksOf(chart.y, y).map((tick) => textWidth(chart.y.format(tick))));
  const right = width - 16 - (namesAbove ? 0 : Math.max(0, ...series.map(({ name }) => textWidth(name))));
  const xs = all.map((point) => point.x);
  const x = scaleOf(chart.x, xs, [left + 8, right - 8], 1);
  const frame = { x, y, left, right, top, bottom };
  const names = namesAbove ? namesOverEnds(series, frame) : namesAtEnds(series, frame);
  const svg = [
    grid(chart, frame),
    ...series.map((each) => drawSeries(each, frame)),
    ...drawLabels(series, frame, names),
    ...names.map(({ markup }) => markup),
  ].join('');
  return { width, height, svg };
}

const ys = (points: Point[]) => points.flatMap(({ y, range }) => [y, ...(range ?? [])]);

function scaleOf(axis: Axis, values: number[], place: [number, number], room: number): Scale {
  const most = Math.max(axis.upTo ?? 0, ...values);
  if (axis.kind === 'linear') return linearScale(most, place);
  const positive = values.filter((value) => value > 0);
  const least = Math.min(...positive);
  // A single value has no distance to be drawn over.
  return logScale(least, Math.max(...positive), place, least === Math.max(...positive) ? 2 : room);
}

const ticksOf = (axis: Axis, scale: Scale) => axis.ticks ?? scale.ticks;

interface Frame {
  x: Scale;
  y: Scale;
  left: number;
  right: number;
  top: number;
  bottom: number;
}

function grid(chart: LineChart, { x, y, left, right, top, bottom }: Frame): string {
  const rows = ticksOf(chart.y, y).flatMap((tick) => {
    const at = y.at(tick);
    if (at < top - 1 || at > bottom + 1) return [];
    return [
      tag('line', { class: 'grid', x1: left, x2: right, y1: at, y2: at }),
      label(left - 7, at + 4, chart.y.format(tick), { class: 'tick', 'text-anchor': 'end' }),
    ];
  });
  const columns = thin(ticksOf(chart.x, x), (tick) => x.at(tick), chart.x).flatMap((tick) => [
    tag('line', { class: 'tickmark', x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 5 }),
    label(x.at(tick), bottom + 19, chart.x.format(tick), { class: 'tick', 'text-anchor': 'middle' }),
  ]);
  return [
    ...rows,
    tag('line', { class: 'axis', x1: left, x2: right, y1: bottom, y2: bottom }),
    ...columns,
    // Where its axis is too short for it, it begins at the edge of the paper.
    label(Math.max(right, textWidth(chart.x.title)), bottom + 39, chart.x.title, {
      class: 'title',
      'text-anchor': 'end',
    }),
  ].join('');
}

/** Ticks whose labels do not touch. */
function thin(ticks: readonly number[], at: (tick: number) => number, axis: Axis): number[] {
  let end = Number.NEGATIVE_INFINITY;
  return ticks.filter((tick) => {
    const half = textWidth(axis.format(tick)) / 2;
    if (at(tick) - half < end + 8) return false;
    end = at(tick) + half;
    return true;
  });
}

function drawSeries(
  { tone, points, isDashed, hasMarks, isArea }: Series,
  { x, y, left, bottom }: Pick<Frame, 'x' | 'y' | 'left' | 'bottom'>,
): string {
  const [first, last] = [points[0], points.at(-1)];
  const places = points.map((point) => `${round(x.at(point.x))},${round(y.at(point.y))}`);
  // A single point without a mark would be a line of no length.
  if (first && points.length === 1 && !hasMarks) places.unshift(`${round(left)},${round(y.at(first.y))}`);
  const line = tag('path', { class: `line t${tone}${isDashed ? ' dashed' : ''}`, d: `M${places.join('L')}` });
  const under =
    isArea && first && last
      ? tag('path', {
          class: `area t${tone}`,
          d: `M${round(x.at(first.x))},${bottom}L${places.join('L')}L${round(x.at(last.x))},${bottom}Z`,
        })
      : '';
  const marks = hasMarks ? points.map((point) => drawMark(point, tone, x, y)) : [];
  return [under, line, ...marks].join('');
}

function drawMark(point: Point, tone: number, x: Scale, y: Scale): string {
  const [px, py] = [x.at(point.x), y.at(point.y)];
  const { range } = point;
  const whisker = range
    ? tag('line', { class: `whisker t${tone}`, x1: px, x2: px, y1: y.at(range[0]), y2: y.at(range[1]) })
    : '';
  return [whisker, tag('circle', { class: `mark t${tone}`, cx: px, cy: py, r: 3.5 })].join('');
}

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

const touch = (a: Box, b: Box) =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

/**
 * Values beside their points: below, above, to the left or to the right, where they touch neither a point nor a name nor each
 * other, and stay clear of the axis.
 */
function drawLabels(series: Series[], { x, y, left: axis }: Frame, names: readonly Box[]): string[] {
  const points = series.filter(({ hasMarks }) => hasMarks).flatMap((each) => each.points);
  const marks = points.map((point) => ({ x: x.at(point.x) - 4, y: y.at(point.y) - 4, width: 8, height: 8 }));
  const taken: Box[] = [...marks, ...names.filter(({ width }) => width > 0)];
  return points.flatMap((point) => {
    if (point.label === undefined) return [];
    const width = textWidth(point.label);
    const [px, py] = [x.at(point.x), y.at(point.y)];
    const places = [
      [px - width / 2, py + 8],
      [px - width / 2, py - 21],
      [px - width - 8, py - 7],
      [px + 8, py - 7],
    ].map(([left = 0, over = 0]) => ({ x: left, y: over, width, height: 13 }));
    // Where there is no room the tables have it.
    const place = places.find((box) => box.x >= axis - 4 && !taken.some((other) => touch(box, other)));
    if (place === undefined) return [];
    taken.push(place);
    const middle = place.x + width / 2;
    return [label(middle, place.y + 11, point.label, { class: 'value', 'text-anchor': 'middle' })];
  });
}

const endOf = ({ points }: Series) => points.reduce((a, b) => (b.x >= a.x ? b : a));

interface Name extends Box {
  markup: string;
}

/** `x`, `y`: of the middle of its left side. */
function nameAt(x: number, y: number, { name, tone }: Series): Name {
  const markup = label(x, y + 4, name, { class: `name t${tone}` });
  return { markup, x, y: y - GAP / 2, width: textWidth(name), height: GAP };
}

/** Beside the last point of each, moved apart where they would touch. */
function namesAtEnds(series: Series[], { x, y, top, bottom }: Frame): Name[] {
  const ends = series.map(endOf);
  const heights = ends.map((end) => y.at(end.y));
  const places = spreadOut(heights, GAP, [top, bottom]);
  const at = Math.max(...ends.map((end) => x.at(end.x))) + 10;
  return series.map((each, i) => nameAt(at, places[i] ?? 0, each));
}

function namesOverEnds(series: Series[], { x, top, left, right }: Frame): Name[] {
  const half = Math.max(...series.map(({ name }) => textWidth(name))) / 2;
  const ends = series.map((each) => x.at(endOf(each).x));
  const places = spreadOut(ends, 2 * half + 6, [left + half, right - half]);
  return series.map((each, i) => nameAt((places[i] ?? 0) - textWidth(each.name) / 2, top - 12, each));
}
