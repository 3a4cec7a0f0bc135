import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';
import type { SandboxLimits } from '../sandbox/spec.ts';
import { isAbandoned, newCgroupName } from './cgroup-name.ts';
import { type CgroupPlace, findPlaces } from './cgroup-place.ts';
import { parseHierarchies } from './hierarchies.ts';
import {
  type Controller,
  controllersFor,
  counterOf,
  type LimitHit,
  readCounter,
  settingsFor,
} from './limit-settings.ts';

/** The cgroups of a machine, as this process sees them. */
export interface CgroupSystem {
  /** Texts of /proc/self/mountinfo and /proc/self/cgroup. */
  readonly mountInfo: string;
  readonly membership: string;
  /** Removes an empty cgroup, which is a folder with files in it. */
  readonly remove: (folder: string) => Promise<void>;
}

interface Made {
  readonly place: CgroupPlace;
  readonly folder: string;
}

/** How long after its last process's death a cgroup may say that it is in use. */
const patienceMs = 1000;

export async function thisCgroupSystem(): Promise<CgroupSystem> {
  return {
    mountInfo: await readFile('/proc/self/mountinfo', 'utf8'),
    membership: await readFile('/proc/self/cgroup', 'utf8'),
    remove: (folder) => rmdir(folder),
  };
}

/** For each limit that takes a cgroup, why it cannot be enforced here; undefined when it can. Changes nothing. */
export async function describeLimits(system: CgroupSystem): Promise<Readonly<Record<Controller, string | undefined>>> {
  const hierarchies = parseHierarchies(system.mountInfo, system.membership);
  const problem = async (controller: Controller): Promise<string | undefined> => {
    try {
      await findPlaces(hierarchies, [controller], 'ask');
      return undefined;
    } catch (error) {
      if (error instanceof ToolError) return error.message;
      throw error;
    }
  };
  return { memory: await problem('memory'), cpu: await problem('cpu'), pids: await problem('pids') };
}

/** The cgroups of one sandbox, one in each hierarchy that it takes; disposing removes them. */
export class SandboxCgroup implements AsyncDisposable {
  readonly #system: CgroupSystem;
  readonly #limits: SandboxLimits;
  readonly #made: Made[] = [];

  private constructor(system: CgroupSystem, limits: SandboxLimits) {
    this.#system = system;
    this.#limits = limits;
  }

  /**
   * Makes them, and removes those that killed processes left behind.
   * @throws ToolError ENVIRONMENT_LIMITS
   */
  static async make(limits: SandboxLimits, system: CgroupSystem, options: CallOptions = {}): Promise<SandboxCgroup> {
    options.signal?.throwIfAborted();
    const places = await findPlaces(parseHierarchies(system.mountInfo, system.membership), controllersFor(limits));
    const cgroup = new SandboxCgroup(system, limits);
    const name = await newCgroupName();
    try {
      for (const place of places) {
        await sweep(system, place.folder);
        await cgroup.#add(place, name);
      }
      return cgroup;
    } catch (error) {
      await cgroup[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Files that take processes. */
  get processFiles(): readonly string[] {
    return this.#made.map(({ folder }) => path.join(folder, 'cgroup.procs'));
  }

  /** Limits that stood in the way so far. */
  async hits(): Promise<readonly LimitHit[]> {
    const hits: LimitHit[] = [];
    for (const { place, folder } of this.#made) {
      for (const controller of place.controllers) {
        const counter = counterOf(place.version, controller);
        if (counter === undefined) continue;
        const text = await readFile(path.join(folder, counter.file), 'utf8').catch(() => '');
        if (readCounter(text, counter.name) === 0) continue;
        const { memoryBytes = 0, pids = 0 } = this.#limits;
        hits.push(controller === 'memory' ? { limit: 'memory', bytes: memoryBytes } : { limit: 'pids', count: pids });
      }
    }
    return hits;
  }

  async #add(place: CgroupPlace, name: string): Promise<void> {
    const folder = path.join(place.folder, name);
    await mkdir(folder);
    this.#made.push({ place, folder });
    for (const controller of place.controllers) {
      for (const { file, text, optional } of settingsFor(place.version, controller, this.#limits)) {
        try {
          await writeFile(path.join(folder, file), text);
        } catch (cause) {
          if (optional === true && ['ENOENT', 'EACCES', 'EPERM'].includes(errorCode(cause) ?? '')) continue;
          throw new ToolError('ENVIRONMENT_LIMITS', `the ${controller} limit ${text} is refused by ${folder}/${file}`, {
            cause,
            hint: 'ask for another value',
          });
        }
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { folder } of this.#made) await removeWhenEmpty(this.#system, folder);
  }
}

async function sweep(system: CgroupSystem, parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (name.startsWith('kiln-') && (await isAbandoned(name))) {
      // Whoever sweeps at the same time may be faster; what still runs there is dying with its parent.
      await system.remove(path.join(parent, name)).catch(() => undefined);
    }
  }
}

/** The dead leave a cgroup a moment after they have been waited for. What stays is swept by the next one made. */
async function removeWhenEmpty(system: CgroupSystem, folder: string): Promise<void> {
  for (let waitedMs = 0, pauseMs = 1; ; waitedMs += pauseMs, pauseMs *= 2) {
    try {
      await system.remove(folder);
      return;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return;
      if (errorCode(error) !== 'EBUSY') throw error;
      if (waitedMs > patienceMs) return;
    }
    await delay(pauseMs);
  }
}
