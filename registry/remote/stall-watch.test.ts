import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StallWatch } from './stall-watch.ts';

describe('StallWatch', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('aborts when nothing comes for a minute', () => {
    const watch = new StallWatch();
    watch.start();

    vi.advanceTimersByTime(59_999);
    expect(watch.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);

    expect(watch.signal.aborted).toBe(true);
    expect(watch.failure).toContain('60 seconds');
  });

  it('begins anew with each answer, and rests while it is not the other side that is waited for', () => {
    const watch = new StallWatch();
    watch.start();
    vi.advanceTimersByTime(50_000);
    watch.start();
    vi.advanceTimersByTime(50_000);
    watch.stop();
    vi.advanceTimersByTime(1_000_000);

    expect(watch.signal.aborted).toBe(false);
  });

  it('counts while what was sent is not taken, and not while there is nothing to send', async () => {
    const watch = new StallWatch();
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
