import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { NativeProcess } from '../layer/native-process.ts';

/** Writes everything of the file system that holds `directory` to the disk. @throws ToolError SYNC_FAILED */
export async function syncFileSystem(launcher: Launcher, directory: string, options: CallOptions = {}): Promise<void> {
  await using native = new NativeProcess(launcher, ['apply', '--syncfs', directory], options);
  native.end();
  native.output.resume();
  const { code, message } = await native.exit();
  if (code !== 0) throw new ToolError('SYNC_FAILED', `${directory} could not be synced: ${message || code}`);
}
