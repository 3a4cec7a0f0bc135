import path from 'node:path';
import { errorCode, LockFolder, makeFolder, ToolError } from '../core/index.ts';
import { OciLayout } from '../registry/index.ts';
import type { Context } from './context.ts';
import { currentUser, storeHome } from './paths.ts';

/** Where this context's store is. */
export function homeOf({ env, folder }: Pick<Context, 'env' | 'folder'>): string {
  return storeHome(env, currentUser(), folder);
}

/** The store's content alone, for commands that only name and show images. */
export async function openContent(context: Context): Promise<OciLayout> {
  const home = await makeHome(homeOf(context));
  return OciLayout.open(path.join(home, 'content'), { locks: new LockFolder(path.join(home, 'locks')) });
}

/**
 * Makes the store's folder, closed to other users.
 * @throws ToolError ENVIRONMENT_STORE_UNWRITABLE
 */
export async function makeHome(home: string): Promise<string> {
  try {
    await makeFolder(home, 0o700);
    return home;
  } catch (cause) {
    throw new ToolError(
      'ENVIRONMENT_STORE_UNWRITABLE',
      `the store folder ${home} cannot be made (${errorCode(cause)})`,
      {
        cause,
        hint: 'set KILN_HOME to a folder that you may write',
      },
    );
  }
}
