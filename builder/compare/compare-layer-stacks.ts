import type { DiffId, Digest, Image } from '../../core/index.ts';

/** A layer of one image. */
export interface LayerFacts {
  readonly diffId: DiffId;
  readonly digest: Digest;
  /** Bytes of the blob, as it is compressed. */
  readonly size: number;
  /** What made it, as the history has it. */
  readonly step?: string;
}

/** How the layers of two images relate; lists are lowest first. */
export interface LayerChanges {
  /** In both, wherever in the stack. */
  readonly shared: readonly LayerFacts[];
  /** Of these, how many both have at the bottom, in the same order. */
  readonly sharedBottom: number;
  readonly removed: readonly LayerFacts[];
  readonly added: readonly LayerFacts[];
}

/** How many layers two images have in common at the bottom, by their uncompressed content. */
export function sharedBottom(before: Pick<Image, 'layers'>, after: Pick<Image, 'layers'>): number {
  const first = before.layers.findIndex(({ diffId }, index) => diffId !== after.layers[index]?.diffId);
  return first === -1 ? before.layers.length : first;
}

export function changedLayers(before: Image, after: Image): LayerChanges {
  const [was, is] = [factsOf(before), factsOf(after)];
  const there = new Map<DiffId, number>();
  for (const { diffId } of was) there.set(diffId, (there.get(diffId) ?? 0) + 1);
  const shared: LayerFacts[] = [];
  const added: LayerFacts[] = [];
  for (const layer of is) {
    const count = there.get(layer.diffId) ?? 0;
    there.set(layer.diffId, count - 1);
    (count > 0 ? shared : added).push(layer);
  }
  // From the top, so that of equal layers the lower ones count as those that stayed.
  const removed = was.toReversed().filter(({ diffId }) => {
    const left = there.get(diffId) ?? 0;
    if (left <= 0) return false;
    there.set(diffId, left - 1);
    return true;
  });
  return { shared, sharedBottom: sharedBottom(before, after), removed: removed.toReversed(), added };
}

function factsOf({ layers, config }: Image): LayerFacts[] {
  const lines = config.history.filter((line) => line.empty_layer !== true);
  return layers.map(({ diffId, descriptor: { digest, size } }, index) => {
    // A history that does not fit the layers would tell lies about them.
    const step = lines.length === layers.length ? lines[index]?.created_by : undefined;
    return { diffId, digest, size, ...(step === undefined ? {} : { step }) };
  });
}
