import type { Usage } from '../engine/usage.ts';
import type { Registry, Workspace } from '../workspace.ts';
import { copyTools, prepareCopyBetween } from './copy-between.ts';
import { preparePullUnpack, pullUnpackTools } from './pull-unpack.ts';
import { preparePush, preparePushAgain } from './push.ts';
import { pushTools } from './push-tools.ts';

export interface RegistryPlace {
  readonly workspace: Workspace;
  readonly registry: Registry;
}

export interface RegistryUsage extends Usage {
  /** What the registry holds afterwards, where that tells something. */
  readonly bytes?: number;
}

/** One line of the table: what is prepared once, then measured with each of its tools; undefined where one cannot. */
export interface RegistryWorkload<Tool extends string = string> {
  /** For the command line. */
  readonly id: string;
  readonly name: string;
  readonly tools: readonly Tool[];
  prepare(place: RegistryPlace): Promise<Prepared<Tool>>;
}

interface Prepared<Tool extends string> extends Partial<AsyncDisposable> {
  measure(tool: Tool): Promise<RegistryUsage | undefined>;
}

export const workloads: readonly RegistryWorkload[] = [
  workload('push-gzip', 'push 1 GiB, gzip', pushTools, (place) => preparePush(place, 'gzip')),
  workload('push-zstd', 'push 1 GiB, zstd', pushTools, (place) => preparePush(place, 'zstd')),
  workload('push-again', 'push again, everything there', pushTools, preparePushAgain),
  workload('pull-unpack', 'pull and unpack Debian and 20,000 files', pullUnpackTools, async (place) => ({
    measure: await preparePullUnpack(place),
  })),
  workload('copy-between', 'copy between two registries', copyTools, prepareCopyBetween),
];

/** Tools are known by name outside: which ones there are is for each workload to say. */
function workload<Tool extends string>(
  id: string,
  name: string,
  tools: readonly Tool[],
  prepare: (place: RegistryPlace) => Promise<Prepared<Tool>>,
): RegistryWorkload {
  return {
    id,
    name,
    tools,
    async prepare(place) {
      const prepared = await prepare(place);
      return {
        async measure(asked) {
          const tool = tools.find((known) => known === asked);
          return tool === undefined ? undefined : prepared.measure(tool);
        },
        [Symbol.asyncDispose]: async () => prepared[Symbol.asyncDispose]?.(),
      };
    },
  };
}
