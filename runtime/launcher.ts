import { execFile } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { type CallOptions, ToolError } from '../core/index.ts';
import { OutsideNetwork } from './network/outside-network.ts';

/** The native program in runtime/native: what only a process with a single thread can do. */
export interface Launcher {
  /** Absolute path. */
  readonly file: string;
  /** How the sandboxes it makes reach the outside. */
  readonly outside: OutsideNetwork;
}

export interface LauncherOptions extends CallOptions {
  /** Told, once each, what a sandbox lacks of what it was to have. */
  readonly onWarning?: (text: string) => void;
}

/**
 * Finds the launcher that `npm ci` built, or builds it when that was skipped (`--ignore-scripts`).
 * @throws ToolError LAUNCHER_MISSING
 */
export async function openLauncher(options: LauncherOptions = {}): Promise<Launcher> {
  options.signal?.throwIfAborted();
  const root = findPackageRoot(import.meta.dirname);
  const file = path.join(root, 'dist', 'native', 'kiln-launcher');
  if (!isExecutable(file)) await build(root, options);
  return { file, outside: new OutsideNetwork(options.onWarning) };
}

async function build(root: string, options: CallOptions): Promise<void> {
  const script = path.join(root, 'scripts', 'build-native.mjs');
  try {
    await promisify(execFile)(process.execPath, [script], { signal: options.signal });
  } catch (cause) {
    options.signal?.throwIfAborted();
    const said = typeof cause === 'object' && cause !== null && 'stderr' in cause ? String(cause.stderr).trim() : '';
    throw new ToolError('LAUNCHER_MISSING', `the native launcher could not be built: ${said || String(cause)}`, {
      cause,
      hint: `install a C compiler (Debian: apt-get install -y gcc libc6-dev), then run: node ${script}`,
    });
  }
}

/** Sources and the bundle lie at different depths below the package's own folder. */
function findPackageRoot(from: string): string {
  for (let folder = from; ; folder = path.dirname(folder)) {
    if (packageName(path.join(folder, 'package.json')) === 'kiln') return folder;
    if (folder === path.dirname(folder)) {
      throw new ToolError('LAUNCHER_MISSING', `no package.json of kiln is found above ${from}`, {
        hint: 'install kiln again',
      });
    }
  }
}

function packageName(file: string): unknown {
  try {
    const document: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return typeof document === 'object' && document !== null && 'name' in document ? document.name : undefined;
  } catch {
    return undefined;
  }
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
