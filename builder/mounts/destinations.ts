import path from 'node:path';
import { ToolError } from '../../core/index.ts';
import { byteString, bytesOf, type RootView } from '../../runtime/index.ts';

/** Where sockets of ssh agents are. */
export const agentFolder = '/run/ssh-agent';

/** A place to mount on: as the Buildfile means it, absolute, and where that is in the image, links followed. */
export interface Destination {
  readonly written: string;
  readonly resolved: string;
}

/** A mount's place as an absolute path; `cwd` is the step's working directory. */
export function absoluteDestination(folder: string, cwd: string): string {
  return path.posix.resolve('/', cwd, folder);
}

/**
 * Finds out where in the image mounts go. Links of the image are followed, save below another mount: what is there the
 * image does not show. One element for each path, in the same order.
 * @throws ToolError MOUNT_DESTINATION_INVALID, MOUNT_DESTINATION_TAKEN
 */
export async function resolveDestinations(view: RootView, paths: readonly string[]): Promise<readonly Destination[]> {
  const found = new Map<string, string>();
  for (const written of paths.toSorted((a, b) => a.length - b.length)) {
    const [outer] = [...found.keys()].filter((other) => written.startsWith(`${other}/`)).toSorted(longestFirst);
    const resolved =
      outer === undefined ? await resolvedIn(view, written) : `${found.get(outer)}${written.slice(outer.length)}`;
    if (isKernels(resolved)) {
      throw new ToolError('MOUNT_DESTINATION_INVALID', `nothing can be mounted on ${written}`, {
        hint: 'choose a folder other than /, /dev, /proc and /sys',
      });
    }
    if ([...found.values()].includes(resolved)) {
      throw new ToolError('MOUNT_DESTINATION_TAKEN', `two mounts of this step lead to ${resolved}`, {
        hint: 'give each a place of its own',
      });
    }
    found.set(written, resolved);
  }
  return paths.map((written) => ({ written, resolved: found.get(written) ?? written }));
}

async function resolvedIn(view: RootView, written: string): Promise<string> {
  const { path: resolved } = await view.resolve(byteString(written));
  const text = bytesOf(resolved).toString('utf8');
  // The launcher takes text only; through a link it gets there all the same.
  return byteString(text) === resolved ? `/${text}` : written;
}

function isKernels(place: string): boolean {
  return place === '/' || place === '/dev' || /^\/(?:proc|sys)(?:\/|$)/.test(place);
}

function longestFirst(a: string, b: string): number {
  return b.length - a.length;
}
