import type { UploadMemory } from '../../registry/index.ts';
import type { Workshop } from '../workshop/workshop.ts';

/** Registries remove what is not finished after a while, docker-registry after a week. */
const keptMs = 24 * 60 * 60 * 1000;

/** Where uploads were left: whoever pushes the same next goes on there. Only the account can read the records. */
export function uploadRecords({ records, options }: Pick<Workshop, 'records' | 'options'>): UploadMemory {
  const { clock } = options;
  return {
    async find(key) {
      const { location, atMs } = Object(await records.read('uploads-v1', key)) as Record<string, unknown>;
      if (typeof location !== 'string' || typeof atMs !== 'number') return undefined;
      return atMs <= clock.now() && clock.now() < atMs + keptMs ? location : undefined;
    },
    keep: (key, location) => records.write('uploads-v1', key, { location, atMs: clock.now() }),
    forget: (key) => records.remove('uploads-v1', key),
  };
}
