import { type ChainId, InFlight } from '../../core/index.ts';
import type { PinnedPackage } from '../lock/pins.ts';

/** What one build has seen of the archives: all its steps are answered by one state of them. */
export class Sighting {
  readonly answers = new Answers();
  readonly #refreshed = new Set<string>();

  /** Whether the indexes of a root were not asked for by this build yet; from now on they were. */
  mustRefresh(root: ChainId | undefined): boolean {
    const name = root ?? 'scratch';
    if (this.#refreshed.has(name)) return false;
    this.#refreshed.add(name);
    return true;
  }
}

/** Each question is asked once; a failed one can be asked again. */
class Answers {
  readonly #running = new InFlight<readonly PinnedPackage[]>();
  readonly #known = new Map<string, readonly PinnedPackage[]>();

  async run(key: string, task: () => Promise<readonly PinnedPackage[]>): Promise<readonly PinnedPackage[]> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const answer = await this.#running.run(key, task);
    this.#known.set(key, answer);
    return answer;
  }
}

const sightings = new WeakMap<object, Sighting>();

/** The sighting of the build that these options are of. */
export function sightingOf(options: object): Sighting {
  const known = sightings.get(options);
  if (known !== undefined) return known;
  const made = new Sighting();
  sightings.set(options, made);
  return made;
}
