import { describe, expect, it } from 'vitest';
import { sleep } from '../../core/index.ts';
import { HostGate } from './host-gate.ts';

describe('HostGate', () => {
  it('lets in so many at once, and the next in the order they came', async () => {
    const gate = new HostGate(2);
    const entered: string[] = [];
    const enter = async (name: string) => {
      const leave = await gate.enter('download');
      entered.push(name);
      return leave;
    };

    const [first, second, third, fourth] = ['a', 'b', 'c', 'd'].map(enter);
    await sleep(0);
    expect(entered).toEqual(['a', 'b']);
    const leave = await first;
    leave?.();
    leave?.();
    await sleep(0);

    expect(entered).toEqual(['a', 'b', 'c']);
    (await second)?.();
    await Promise.all([third, fourth]);
    expect(entered).toEqual(['a', 'b', 'c', 'd']);
  });

  it('has places of their own for downloads and for calls, so that a copy within a host goes on', async () => {
    const gate = new HostGate(1);

    await gate.enter('download');

    await expect(gate.enter('call')).resolves.toBeTypeOf('function');
  });

  it('loses no place when a wait is given up', async () => {
    const gate = new HostGate(1);
    const leave = await gate.enter('call');
    const given = new AbortController();
    const waiting = gate.enter('call', { signal: given.signal });
    given.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });

    leave();

    await expect(gate.enter('call')).resolves.toBeTypeOf('function');
  });

  it('is closed for everybody as long as the host asked for, by whoever was told longest', async () => {
    const gate = new HostGate(4);
    const entered: string[] = [];
    gate.close(60_000);
    const given = new AbortController();
    const entering = gate.enter('call', { signal: given.signal }).then(() => entered.push('call'));
    const refusal = expect(entering).rejects.toMatchObject({ name: 'AbortError' });

    gate.close(1);
    await sleep(30);
    expect(entered).toEqual([]);
    given.abort();

    await refusal;
  });

  it('opens again', async () => {
    const gate = new HostGate(4);
    gate.close(20);

    const entering = [gate.enter('call'), gate.enter('download')];

    await expect(Promise.all(entering)).resolves.toHaveLength(2);
  });

  it('gives the place back when the rest is not waited for', async () => {
    const gate = new HostGate(1);
    gate.close(50);
    const given = new AbortController();
    const waiting = gate.enter('call', { signal: given.signal });
    const refusal = expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    given.abort();
    await refusal;

    await expect(gate.enter('call')).resolves.toBeTypeOf('function');
  });
});
