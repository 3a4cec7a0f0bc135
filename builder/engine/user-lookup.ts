import type { CallOptions } from '../../core/index.ts';
import { findUser, maxAccountFileBytes, RootView, type Snapshot, type UserIds } from '../../runtime/index.ts';
import type { BuildContext } from './build-context.ts';

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
