import { describe, expect, it, vi } from 'vitest';
import { SseStream } from '../../../src/server/sse.js';

const decoder = new TextDecoder();
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('SseStream', () => {
  it('sends what is written in one turn together, in order, and then ends', async () => {
    const stream = new SseStream({ onGone: () => {} });
    const reader = stream.body.getReader();
    const first = reader.read();
    stream.write('a');
    stream.write('b');
    expect(decoder.decode((await first).value)).toBe('ab');
    stream.write('c');
    stream.end();
    expect(decoder.decode((await reader.read()).value)).toBe('c');
    expect((await reader.read()).done).toBe(true);
  });

  it('ends without a byte', async () => {
    const stream = new SseStream({ onGone: () => {} });
    stream.end();
    expect(await new Response(stream.body).text()).toBe('');
  });

  it('is under pressure while the reader is behind, and not after', async () => {
    const stream = new SseStream({ onGone: () => {}, backlogBytes: 10 });
    stream.write('0123456789');
    expect(stream.pressure()).toBeNull();
    stream.write('x');
    const pressure = stream.pressure();
    expect(pressure).not.toBeNull();
    await stream.body.getReader().read();
    await pressure;
    expect(stream.pressure()).toBeNull();
  });

  it('says once that the reader has gone, and lets go of who waits', async () => {
    const onGone = vi.fn();
    const stream = new SseStream({ onGone, backlogBytes: 1 });
    stream.write('abc');
    const pressure = stream.pressure();
    await stream.body.cancel();
    await pressure;
    stream.write('d');
    stream.end();
    await turn();
    expect(onGone).toHaveBeenCalledTimes(1);
    expect(stream.pressure()).toBeNull();
  });

  it('gives up on a reader that takes nothing', async () => {
    const onGone = vi.fn();
    const stream = new SseStream({ onGone, stallMs: 20 });
    stream.write('abc');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(onGone).toHaveBeenCalledTimes(1);
    await expect(stream.body.getReader().read()).rejects.toThrow('stopped reading');
  });

  it('hangs up on it where it can', async () => {
    const hangUp = vi.fn();
    const stream = new SseStream({ onGone: () => {}, hangUp, stallMs: 20 });
    stream.write('abc');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(hangUp).toHaveBeenCalledTimes(1);
  });

  it('does not take a reader with nothing to read for a slow one', async () => {
    const onGone = vi.fn();
    const stream = new SseStream({ onGone, stallMs: 20 });
    const reader = stream.body.getReader();
    const first = reader.read();
    await new Promise((resolve) => setTimeout(resolve, 60));
    stream.write('late');
    expect(decoder.decode((await first).value)).toBe('late');
    expect(onGone).not.toHaveBeenCalled();
  });
});
