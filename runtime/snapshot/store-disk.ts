import { type CallOptions, ToolError } from '../../core/index.ts';
import type { Launcher } from '../launcher.ts';
import { NativeProcess } from '../layer/native-process.ts';
import { scan } from '../layer/scan.ts';
import { typeOfMode } from '../layer/scanned-entry.ts';

/** Writes everything of the file system that holds `directory` to the disk. @throws ToolError SYNC_FAILED */
export async function syncFileSystem(launcher: Launcher, directory: string, options: CallOptions = {}): Promise<void> {
  await using native = new NativeProcess(launcher, ['apply', '--syncfs', directory], options);
  native.end();
  native.output.resume();
  const { code, message } = await native.exit();
  if (code !== 0) throw new ToolError('SYNC_FAILED', `${directory} could not be synced: ${message || code}`);
}

/** Sum of the sizes of all files in a directory; a file with several names counts once. */
export async function sizeOnDisk(launcher: Launcher, directory: string, options: CallOptions = {}): Promise<number> {
  const counted = new Set<string>();
  let size = 0;
  for await (const record of scan(launcher, directory, options)) {
    if (typeOfMode(record.mode) !== 'file' || counted.has(record.identity)) continue;
    if (record.links > 1) counted.add(record.identity);
    size += record.size;
  }
  return size;
}
