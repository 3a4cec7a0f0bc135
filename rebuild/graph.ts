import { orderStages, type Position, type Problem, quoted } from '../builder/index.ts';

/** An image as the graph sees it. */
export interface GraphNode {
  /** Its key in kiln.toml. */
  readonly name: string;
  /** Full reference. */
  readonly tag: string;
  /** Names of all it is built from, listed images or not. */
  readonly sourceNames: readonly string[];
  /** Where kiln.toml says its tag. */
  readonly position: Position;
}

export interface ImageOrder<T> {
  /** Each image after the listed ones it is built on; otherwise as they were. */
  readonly images: readonly T[];
  /** One for each circle of images that are built on each other. */
  readonly problems: readonly Problem[];
}

/** Puts images in the order in which they can be built. */
export function orderImages<T extends GraphNode>(images: readonly T[]): ImageOrder<T> {
  const byTag = new Map(images.map((image) => [image.tag, image]));
  const graph = new Map(
    images.map((image) => [
      image.tag,
      upstreamOf(image, byTag).map(({ tag }) => ({ stage: tag, position: image.position })),
    ]),
  );
  const { order, cycles } = orderStages(graph, byTag.keys());
  const problems = cycles.map(({ path, position }) => {
    const names = path.map((tag) => quoted(byTag.get(tag)?.name ?? tag));
    return { code: 'REBUILD_CYCLE', message: `images are built on each other: ${names.join(' → ')}`, position };
  });
  return { images: order.flatMap((tag) => byTag.get(tag) ?? []), problems };
}

/** The listed images that an image is built on directly. */
export function upstreamOf<T extends GraphNode>(image: T, byTag: ReadonlyMap<string, T>): T[] {
  return image.sourceNames.flatMap((name) => byTag.get(name) ?? []);
}
