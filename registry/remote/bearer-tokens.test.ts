import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { sleep } from '../../core/index.ts';
import { BearerTokens } from './bearer-tokens.ts';

describe('BearerTokens', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  function counting(lifetimeMs: number) {
    let count = 0;
    return async () => {
      count += 1;
      return { value: `token-${count}`, lifetimeMs };
    };
  }

  it('keeps a token while it lives, and fetches the next before it ends', async () => {
    const tokens = new BearerTokens();
    const fetch = counting(60_000);
    const find = () => tokens.find(['repository:web:pull'], fetch, {});

    expect(await find()).toBe('token-1');
    await vi.advanceTimersByTimeAsync(53_000);
    expect(await find()).toBe('token-1');
    await vi.advanceTimersByTimeAsync(2000);

    expect(await find()).toBe('token-2');
  });

  it('asks once for what many want at the same time, and once for each set of scopes', async () => {
    const tokens = new BearerTokens();
    const fetch = counting(60_000);

    const found = await Promise.all(
      ['pull', 'pull', 'push'].map((action) => tokens.find([`repository:web:${action}`], fetch, {})),
    );

    expect(found).toEqual(['token-1', 'token-1', 'token-2']);
  });

  it('fetches anew after the registry refused a token, and still knows the old one for a secret', async () => {
    const tokens = new BearerTokens();
    const fetch = counting(60_000);
    await tokens.find([], fetch, {});

    tokens.forget('token-1');

    expect(await tokens.find([], fetch, {})).toBe('token-2');
    expect([...tokens.secrets]).toEqual(['token-1', 'token-2']);
  });

  it('does not fail one caller because another gave up', async () => {
    const tokens = new BearerTokens();
    const given = new AbortController();
    const fetch = async (options: { readonly signal?: AbortSignal | undefined }) => {
      await sleep(20, options);
      return { value: 'token', lifetimeMs: 60_000 };
    };
    const first = tokens.find([], fetch, { signal: given.signal });
    const refusal = expect(first).rejects.toThrow('enough');
    const second = tokens.find([], fetch, {});

    given.abort(new Error('enough'));
    await refusal;

    expect(await second).toBe('token');
  });
});
