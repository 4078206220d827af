/** A little curve of the last minute. For the eye only: the number beside it says the same. */

const WIDTH = 120;
const HEIGHT = 28;

interface Props {
  values: readonly (number | null)[];
  /** What the top stands for; without it: the largest value. */
  max?: number;
  /** What the bottom stands for. */
  min?: number;
}

export function Sparkline({ values, max, min = 0 }: Props) {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true" />;
  const top = Math.max(max ?? Math.max(...known), min + 1e-9);
  const line = pathOf(values, (value) => HEIGHT - 2 - ((Math.min(value, top) - min) / (top - min)) * (HEIGHT - 4));
  return (
    <svg class="spark" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={line} />
    </svg>
  );
}

/** Values from the right edge to the left, so that the newest is always in the same place; a gap where none is known. */
function pathOf(values: readonly (number | null)[], y: (value: number) => number): string {
  const step = WIDTH / 59;
  let path = '';
  let isDown = false;
  for (const [index, value] of values.entries()) {
    if (value === null) {
      isDown = false;
      continue;
    }
    const x = WIDTH - (values.length - 1 - index) * step;
    path += `${isDown ? 'L' : 'M'}${x.toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
  }
  return path;
}
