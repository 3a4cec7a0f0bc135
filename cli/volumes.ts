import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, findByteSize, ToolError } from '../core/index.ts';
import type { SandboxMount } from '../runtime/index.ts';

type Bind = Extract<SandboxMount, { kind: 'bind' }>;
type Tmpfs = Extract<SandboxMount, { kind: 'tmpfs' }>;

/**
 * `SRC:DST[:ro|:rw]`; SRC is a path of this machine that is there, relative ones begin with a dot.
 * @throws ToolError USAGE_VOLUME
 */
export async function parseVolume(text: string, folder: string): Promise<Bind> {
  const [source = '', destination = '', mode = 'rw', ...rest] = text.split(':');
  if (source === '' || destination === '' || rest.length > 0) throw invalid(text, 'it is not SRC:DST[:ro]');
  if (mode !== 'ro' && mode !== 'rw') throw invalid(text, `${JSON.stringify(mode)} is neither ro nor rw`);
  if (!path.isAbsolute(source) && !/^\.\.?(?:\/|$)/.test(source)) {
    throw invalid(text, 'named volumes are not part of this version', `for a folder here, write ./${source}`);
  }
  return {
    kind: 'bind',
    source: await existing(text, path.resolve(folder, source)),
    destination: absolute(text, destination),
    readOnly: mode === 'ro',
  };
}

/**
 * `DIR[:size=N[k|m|g]]`.
 * @throws ToolError USAGE_VOLUME
 */
export function parseTmpfs(text: string): Tmpfs {
  const colon = text.indexOf(':');
  const destination = absolute(text, colon === -1 ? text : text.slice(0, colon));
  if (colon === -1) return { kind: 'tmpfs', destination };
  const [, size = ''] = /^size=(.+)$/i.exec(text.slice(colon + 1)) ?? [];
  const sizeBytes = findByteSize(size);
  if (sizeBytes === undefined) throw invalid(text, 'after DIR only size=N[k|m|g] is known');
  return { kind: 'tmpfs', destination, sizeBytes };
}

async function existing(text: string, source: string): Promise<string> {
  try {
    return await realpath(source);
  } catch (cause) {
    throw invalid(text, `${source} cannot be used (${errorCode(cause)})`, 'make the folder first', cause);
  }
}

function absolute(text: string, destination: string): string {
  const normal = path.posix.normalize(destination);
  if (!normal.startsWith('/')) throw invalid(text, `${JSON.stringify(destination)} is not an absolute path`);
  if (normal === '/') throw invalid(text, 'nothing can be mounted over the root');
  return normal.replace(/\/$/, '');
}

function invalid(text: string, why: string, hint?: string, cause?: unknown): ToolError {
  return new ToolError('USAGE_VOLUME', `${JSON.stringify(text)} cannot be mounted: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    cause,
  });
}
