import { enterUserNamespace, openLauncher } from '../runtime/index.ts';
import type { Context } from './context.ts';
import { currentUser } from './paths.ts';
import { homeOf } from './store.ts';

/**
 * Carries out what needs root file systems: here when this is root, be it of a user namespace; else this process is
 * replaced by the same command, once, as root of a user namespace made of the user's subordinate ids.
 * @throws ToolError ENVIRONMENT_USER_NAMESPACE when there is no such namespace to be had
 */
export async function withRootFileSystems(context: Context, task: () => Promise<number>): Promise<number> {
  if (currentUser().uid === 0) return task();
  const launcher = await openLauncher({ signal: context.signal });
  // After --, Node takes no option of ours for its own.
  const argv = [process.execPath, ...process.execArgv, '--', process.argv[1] ?? '', ...context.words];
  const env = Object.entries(context.env).filter((pair): pair is [string, string] => pair[1] !== undefined);
  // Inside, the user is root: where the store is must not be asked there again.
  return enterUserNamespace(launcher, argv, { ...Object.fromEntries(env), KILN_HOME: homeOf(context) });
}
