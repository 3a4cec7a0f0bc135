import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderStages, type StageGraph } from './stage-graph.ts';

function graphOf(needs: Readonly<Record<string, readonly string[]>>): StageGraph {
  return new Map(
    Object.entries(needs).map(([name, stages]) => [
      name,
      stages.map((stage, index) => ({ stage, position: { file: name, line: index + 1, column: 1 } })),
    ]),
  );
}

describe('orderStages', () => {
  it('puts each stage after what it needs, and leaves out what nobody needs', () => {
    const graph = graphOf({ app: ['a', 'b'], a: ['base'], b: ['base', 'a'], base: [], other: ['app'] });

    expect(orderStages(graph, ['app'])).toEqual({ order: ['base', 'a', 'b', 'app'], cycles: [] });
  });

  it('tells each circle once, with its path and the place that closes it', () => {
    const graph = graphOf({ a: ['b'], b: ['c'], c: ['x', 'b'], x: [], self: ['self'] });

    expect(orderStages(graph, ['a', 'c', 'self']).cycles).toEqual([
      { path: ['b', 'c', 'b'], position: { file: 'c', line: 2, column: 1 } },
      { path: ['self', 'self'], position: { file: 'self', line: 1, column: 1 } },
    ]);
  });

  it('follows chains of any length', () => {
    const chain = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`s${n}`, n === 0 ? [] : [`s${n - 1}`]]));

    expect(orderStages(graphOf(chain), ['s19999']).order).toHaveLength(20_000);
  });

  it('orders any graph, or finds a circle in it', () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    const needs = fc.record(Object.fromEntries(names.map((name) => [name, fc.subarray(names)])));
    fc.assert(
      fc.property(needs, (made) => {
        const { order, cycles } = orderStages(graphOf(made), names);
        expect([...order].sort()).toEqual(names);
        for (const { path } of cycles) {
          expect(path[0]).toBe(path.at(-1));
          for (const [index, name] of path.slice(1).entries()) expect(made[path[index] ?? '']).toContain(name);
        }
        const isOrdered = order.every((name, index) => (made[name] ?? []).every((need) => order.indexOf(need) < index));
        expect(isOrdered).toBe(cycles.length === 0);
      }),
    );
  });
});
