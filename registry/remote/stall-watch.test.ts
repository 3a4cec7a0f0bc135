import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { streamOf } from '../../core/index.ts';
import { defaultTiming } from './http-timing.ts';
import { StallWatch } from './stall-watch.ts';

describe('StallWatch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts when nothing comes for a minute', () => {
    const watch = new StallWatch(defaultTiming);
    watch.start();

    vi.advanceTimersByTime(59_999);
    expect(watch.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);

    expect(watch.signal.aborted).toBe(true);
    expect(watch.failure?.sentence).toContain('60 seconds');
  });

  it('gives a connection half of that', () => {
    const watch = new StallWatch(defaultTiming);
    watch.connecting();

    vi.advanceTimersByTime(30_000);

    expect(watch.failure).toMatchObject({ waiting: 'connection' });
  });

  it('counts from the connection on, unless it was not its turn meanwhile', () => {
    const [first, second] = [new StallWatch(defaultTiming), new StallWatch(defaultTiming)];
    first.connecting();
    second.connecting();
    second.stop();
    vi.advanceTimersByTime(29_000);
    first.connected();
    second.connected();

    vi.advanceTimersByTime(59_000);
    expect(first.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1000);

    expect(first.signal.aborted).toBe(true);
    expect(second.signal.aborted).toBe(false);
  });

  it('gives a registry longer to make a blob of what it was sent', async () => {
    const watch = new StallWatch(defaultTiming);
    for await (const _chunk of watch.sending(streamOf(Buffer.from('a'))));

    await vi.advanceTimersByTimeAsync(299_999);
    expect(watch.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);

    expect(watch.signal.aborted).toBe(true);
  });

  it('begins anew with each answer, and rests while it is not the other side that is waited for', () => {
    const watch = new StallWatch(defaultTiming);
    watch.start();
    vi.advanceTimersByTime(50_000);
    watch.start();
    vi.advanceTimersByTime(50_000);
    watch.stop();
    vi.advanceTimersByTime(1_000_000);

    expect(watch.signal.aborted).toBe(false);
  });

  it('counts while what was sent is not taken, and not while there is nothing to send', async () => {
    const watch = new StallWatch(defaultTiming);
    const sent = watch.sending(slowly());

    const first = sent.next();
    await vi.advanceTimersByTimeAsync(200_001);
    await first;
    expect(watch.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(60_000);

    expect(watch.signal.aborted).toBe(true);
  });
});

async function* slowly(): AsyncGenerator<Buffer> {
  await new Promise((resolve) => setTimeout(resolve, 200_000));
  yield Buffer.from('a');
}
