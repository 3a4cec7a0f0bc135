import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type GraphNode, orderImages } from './graph.ts';

const position = { file: 'kiln.toml', line: 1, column: 1 };

function node(name: string, ...sourceNames: readonly string[]): GraphNode {
  return { name, tag: `r.example/${name}:1`, sourceNames, position };
}

describe('orderImages', () => {
  it('puts an image after the listed images it is built on', () => {
    const app = node('app', 'r.example/base:1', 'docker.io/library/other:latest');
    const base = node('base');

    const { images, problems } = orderImages([app, base]);

    expect(images).toEqual([base, app]);
    expect(problems).toEqual([]);
  });

  it('keeps the order of images that do not depend on each other', () => {
    const list = ['c', 'a', 'b'].map((name) => node(name));

    expect(orderImages(list).images).toEqual(list);
  });

  it('names a circle of images by their keys', () => {
    const { problems } = orderImages([node('a', 'r.example/b:1'), node('b', 'r.example/a:1')]);

    expect(problems).toEqual([
      { code: 'REBUILD_CYCLE', message: 'images are built on each other: `a` → `b` → `a`', position },
    ]);
  });

  it('takes an image built on itself for a circle', () => {
    expect(orderImages([node('a', 'r.example/a:1')]).problems).toHaveLength(1);
  });

  it('orders every graph without circles: all images once, each after its bases', () => {
    const graphs = fc.integer({ min: 1, max: 12 }).chain((size) =>
      fc.record({
        edges: fc.array(fc.tuple(fc.nat(size - 1), fc.nat(size - 1)), { maxLength: 30 }),
        shuffled: fc.shuffledSubarray(
          Array.from({ length: size }, (_, index) => index),
          { minLength: size, maxLength: size },
        ),
      }),
    );

    fc.assert(
      fc.property(graphs, ({ edges, shuffled }) => {
        // An edge from a lower to a higher number only: such a graph has no circle.
        const basesOf = (index: number) =>
          edges.flatMap(([a, b]) => (Math.max(a, b) === index && a !== b ? [`r.example/i${Math.min(a, b)}:1`] : []));
        const list = shuffled.map((index) => node(`i${index}`, ...basesOf(index)));

        const { images, problems } = orderImages(list);

        expect(problems).toEqual([]);
        expect([...images].sort(byName)).toEqual([...list].sort(byName));
        const places = new Map(images.map(({ tag }, place) => [tag, place]));
        for (const { tag, sourceNames } of images) {
          for (const name of sourceNames) expect(places.get(name)).toBeLessThan(places.get(tag) ?? -1);
        }
      }),
    );
  });
});

function byName(a: GraphNode, b: GraphNode): number {
  return a.name < b.name ? -1 : 1;
}
