import type { CallOptions } from '../../core/index.ts';
import { findUser, maxAccountFileBytes, RootView, type Snapshot, type UserIds } from '../../runtime/index.ts';
import type { BuildContext } from './build-context.ts';
import type { StageState } from './stage-state.ts';

/** Looks a user up in the image's own account files. */
export async function userIn(
  { workshop }: Pick<BuildContext, 'workshop'>,
  snapshot: Snapshot,
  user: string,
  options: CallOptions = {},
): Promise<UserIds> {
  options.signal?.throwIfAborted();
  const view = new RootView(workshop.options.launcher, snapshot);
  const passwd = await view.readFile('etc/passwd', maxAccountFileBytes);
  const group = await view.readFile('etc/group', maxAccountFileBytes);
  return findUser(user, { passwd, group });
}

/** Ids that `owner` of a step means. Docker gives `--chown 5` the group 5 as well, unlike `user = "5"`. */
export async function ownerIn(
  context: Pick<BuildContext, 'workshop'>,
  { layers }: Pick<StageState, 'layers'>,
  owner: string,
  options: CallOptions,
): Promise<{ readonly uid: number; readonly gid: number }> {
  const numbers = /^([0-9]+)(?::([0-9]+))?$/.exec(owner);
  if (numbers !== null) return { uid: Number(numbers[1]), gid: Number(numbers[2] ?? numbers[1]) };
  const { uid, gid } = await userIn(context, await context.workshop.snapshotOf(layers, options), owner, options);
  return { uid, gid };
}
