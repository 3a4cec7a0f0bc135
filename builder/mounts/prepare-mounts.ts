import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { formatPlatform, ToolError, unreachable } from '../../core/index.ts';
import { byteString, type RootView, type SandboxMount, type UserIds } from '../../runtime/index.ts';
import { CacheStore } from '../caches/cache-store.ts';
import type { BuildContext, StepScope } from '../engine/build-context.ts';
import type { Mount } from '../plan/plan.ts';
import { openAgentProxy } from './agent-proxy.ts';
import { type FoundBind, openBind, prepareBind } from './bind-mounts.ts';
import { absoluteDestination, agentFolder, resolveDestinations } from './destinations.ts';
import { type FoundSecret, findSecrets, secretFile, secretFileMount, secretVariables } from './secret-mounts.ts';

/** What a step's mounts need to know of it. */
export interface MountedStep {
  readonly mounts: readonly Mount[];
  readonly binds: readonly FoundBind[];
  readonly cwd: string;
  readonly user: UserIds;
  /** The root file system the step starts from. */
  readonly view: RootView;
  /** Existing folder of this step alone, on the store's file system. */
  readonly scratch: string;
}

/** Mounts that are ready; disposing gives caches back and hangs up on agents. */
export interface PreparedMounts extends AsyncDisposable {
  readonly mounts: readonly SandboxMount[];
  readonly env: Readonly<Record<string, string>>;
  /** Values that the output must not show. */
  readonly secrets: readonly Buffer[];
  /** Where in the root file system something is mounted. */
  readonly destinations: readonly string[];
}

/** A mount with its place as the Buildfile means it, absolute; one in the environment only has none. */
interface Placed {
  readonly mount: Mount;
  readonly written: string;
}

/**
 * Makes the mounts of a step ready: secrets and agents are asked for first, and caches waited for last.
 * @throws ToolError SECRET_MISSING, SECRET_INVALID, SSH_AGENT_MISSING, SSH_AGENT_UNREACHABLE, MOUNT_DESTINATION_*,
 * COPY_*
 */
export async function prepareMounts(
  context: BuildContext,
  step: MountedStep,
  scope: StepScope,
): Promise<PreparedMounts> {
  await using held = new AsyncDisposableStack();
  const secrets = await findSecrets(step.mounts, context.options.secrets, scope);
  const placed = placesOf(step, secrets);
  const destinations = await resolveDestinations(
    step.view,
    placed.map(({ written }) => written),
  );
  const at = new Map(destinations.map(({ resolved }, index) => [placed[index], resolved]));
  const mounts = new Map<Placed, SandboxMount>();
  const agents = new Map<string, string>();
  for (const place of placed) {
    const { mount } = place;
    const destination = at.get(place) ?? place.written;
    switch (mount.kind) {
      case 'secret': {
        const value = secrets.find((secret) => secret.mount === mount)?.value ?? Buffer.alloc(0);
        mounts.set(place, secretFileMount(value, destination, step.user));
        break;
      }
      case 'ssh': {
        const proxy = held.use(await openAgent(context, mount.id, step, scope));
        mounts.set(place, { kind: 'bind', source: proxy.socket, destination, readOnly: true });
        agents.set(mount.id, destination);
        break;
      }
      case 'tmpfs': {
        const size = mount.sizeBytes === undefined ? {} : { sizeBytes: mount.sizeBytes };
        mounts.set(place, { kind: 'tmpfs', destination, ...size });
        break;
      }
      case 'bind':
      case 'cache':
        break;
      default:
        throw unreachable(mount);
    }
  }
  await prepareBinds();
  await openCaches(context, placed, at, step, mounts, held, scope);
  await checkKinds(step.view, [...mounts.values()]);
  const undo = held.move();
  return {
    mounts: placed.flatMap((place) => mounts.get(place) ?? []),
    env: { ...agentVariable(agents), ...secretVariables(secrets) },
    secrets: secrets.map(({ value }) => value),
    destinations: destinations.map(({ resolved }) => resolved),
    [Symbol.asyncDispose]: () => undo.disposeAsync(),
  };

  async function prepareBinds(): Promise<void> {
    const binds = [];
    for (const bind of step.binds) binds.push(await openBind(context, bind, scope));
    const files = new Set<Mount>(binds.flatMap(({ mount, isFolder }) => (isFolder ? [] : [mount])));
    for (const [index, bind] of binds.entries()) {
      const place = placed.find(({ mount }) => mount === bind.mount);
      if (place === undefined) continue;
      const destination = at.get(place) ?? place.written;
      const folder = path.join(step.scratch, `bind-${index}`);
      await mkdir(folder);
      const inner = [...at].flatMap(([other, resolved]) =>
        other !== undefined && resolved.startsWith(`${destination}/`)
          ? [{ path: resolved.slice(destination.length), isFolder: isFolder(other.mount, files) }]
          : [],
      );
      mounts.set(place, await prepareBind(context, bind, { destination, folder, inner, held }, scope));
    }
  }
}

function placesOf(step: MountedStep, secrets: readonly FoundSecret[]): readonly Placed[] {
  return step.mounts.flatMap((mount) => {
    const folder = folderOf(mount, secrets);
    return folder === undefined ? [] : [{ mount, written: absoluteDestination(folder, step.cwd) }];
  });
}

function folderOf(mount: Mount, secrets: readonly FoundSecret[]): string | undefined {
  switch (mount.kind) {
    case 'cache':
    case 'tmpfs':
      return mount.folder;
    case 'bind':
      return mount.to;
    case 'secret':
      return secrets.some((secret) => secret.mount === mount) ? secretFile(mount) : undefined;
    case 'ssh':
      return `${agentFolder}/${mount.id}.sock`;
    default:
      throw unreachable(mount);
  }
}

/**
 * In the order of their locks, so that two steps which lock the same caches cannot wait for each other. A cache that a
 * step mounts twice is opened once.
 */
async function openCaches(
  context: BuildContext,
  placed: readonly Placed[],
  at: ReadonlyMap<Placed | undefined, string>,
  step: MountedStep,
  mounts: Map<Placed, SandboxMount>,
  held: AsyncDisposableStack,
  scope: StepScope,
): Promise<void> {
  const caches = new CacheStore(context.workshop);
  const platform = formatPlatform(context.platform);
  const wanted = Map.groupBy(
    placed.flatMap((place) => (place.mount.kind === 'cache' ? [{ place, mount: place.mount }] : [])),
    ({ place, mount }) => mount.id ?? place.written,
  );
  for (const id of [...wanted.keys()].sort()) {
    const uses = wanted.get(id) ?? [];
    const sharing = uses.map(({ mount }) => mount.sharing).find((kind) => kind !== 'shared') ?? 'shared';
    const cache = held.use(
      await caches.open({ id, platform }, sharing, {
        owner: step.user,
        onWait: () =>
          context.options.onEvent({
            type: 'status',
            vertex: scope.vertex,
            text: `waiting for the cache ${id}, which another step uses`,
          }),
        signal: scope.signal,
      }),
    );
    for (const { place } of uses) {
      const destination = at.get(place) ?? place.written;
      mounts.set(place, { kind: 'bind', source: cache.folder, destination, readOnly: false });
    }
  }
}

async function openAgent(context: BuildContext, id: string, step: MountedStep, scope: StepScope) {
  const agent = context.options.sshAgents.get(id);
  if (agent === undefined) {
    throw new ToolError('SSH_AGENT_MISSING', `the step needs the ssh agent ${id}, which was not given`, {
      hint: id === 'default' ? 'give it: --ssh default' : `give it: --ssh ${id}=SOCKET`,
    });
  }
  const folder = path.join(step.scratch, `agent-${id}`);
  await mkdir(folder);
  return openAgentProxy(agent, folder, step.user, scope);
}

/** ssh knows one agent; of several the default one, else the first. */
function agentVariable(agents: ReadonlyMap<string, string>): Record<string, string> {
  const socket = agents.get('default') ?? [...agents.values()][0];
  return socket === undefined ? {} : { SSH_AUTH_SOCK: socket };
}

function isFolder(mount: Mount, files: ReadonlySet<Mount>): boolean {
  return mount.kind !== 'secret' && mount.kind !== 'ssh' && !files.has(mount);
}

/** The kernel mounts a folder on a folder only, and a file on a file. @throws ToolError MOUNT_DESTINATION_INVALID */
async function checkKinds(view: RootView, mounts: readonly SandboxMount[]): Promise<void> {
  const outer = mounts.map(({ destination }) => `${destination}/`);
  for (const mount of mounts) {
    const { destination } = mount;
    if (outer.some((folder) => destination.startsWith(folder))) continue;
    const found = await view.lookup(byteString(destination));
    if (found === undefined) continue;
    const isFolderMount = await givesFolder(mount);
    if (isFolderMount === (found.type === 'directory')) continue;
    const [what, there] = isFolderMount ? ['a folder', 'a file'] : ['a file', 'a folder'];
    throw new ToolError('MOUNT_DESTINATION_INVALID', `${what} is mounted on ${destination}, which is ${there}`);
  }
}

async function givesFolder(mount: SandboxMount): Promise<boolean> {
  switch (mount.kind) {
    case 'bind':
      return (await stat(mount.source)).isDirectory();
    case 'overlay':
      return mount.isFolder;
    case 'tmpfs':
      return true;
    case 'file':
      return false;
    default:
      throw unreachable(mount);
  }
}
