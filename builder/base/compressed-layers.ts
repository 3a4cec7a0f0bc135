import { parseDescriptor } from '../../core/index.ts';
import type { CompressedLayerMemory } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';

/** What a layer's compressed form was the last time: a registry that has it need not get it again. */
export function compressedLayers({ records }: Pick<Workshop, 'records'>): CompressedLayerMemory {
  const keyOf = (diffId: string, settings: string) => `${diffId} ${settings}`;
  return {
    async get(diffId, settings) {
      const record = await records.read('compressed-v2', keyOf(diffId, settings));
      try {
        return record === undefined ? undefined : parseDescriptor(record);
      } catch {
        return undefined;
      }
    },
    set: (diffId, settings, descriptor) => records.write('compressed-v2', keyOf(diffId, settings), descriptor),
  };
}
