import { findSizeBytes } from '../buildfile/mount-formats.ts';
import { type MountContent, mountVerbs } from '../buildfile/mount-schema.ts';
import { quoted } from '../buildfile/problems.ts';
import type { TomlPath } from '../buildfile/toml.ts';
import { findVerb } from '../buildfile/verbs.ts';
import { copySource, reportValue, type SourceContext } from './base-source.ts';
import type { Mount } from './plan.ts';

/** What a step mounts; what is wrong is reported and left out. */
export function planMounts(contents: readonly MountContent[], at: TomlPath, context: SourceContext): readonly Mount[] {
  const targets = new Set<string>();
  return contents.flatMap((content, index) => {
    const mountAt = [...at, index];
    const mount = planMount(content, mountAt, context);
    if (mount === undefined) return [];
    const target = targetOf(mount);
    if (target !== undefined && targets.has(target))
      reportValue(`two mounts of this step are at ${quoted(target)}`, mountAt, context);
    if (target !== undefined) targets.add(target);
    return [mount];
  });
}

function planMount(content: MountContent, at: TomlPath, context: SourceContext): Mount | undefined {
  const { cache, id, sharing = 'shared', secret, to, env, required = false, tmpfs, size, ssh } = content;
  if (findVerb(mountVerbs, Object.keys(content)).kind !== 'one') return undefined;
  if (cache !== undefined)
    return { kind: 'cache', folder: cache, ...(id === undefined ? {} : { id }), sharing: sharingOf(sharing) };
  if (secret !== undefined) {
    const places = { ...(to === undefined ? {} : { to }), ...(env === undefined ? {} : { env }) };
    return { kind: 'secret', id: secret, ...places, required };
  }
  if (content.bind !== undefined) return bindMount(content.bind, content, at, context);
  if (tmpfs !== undefined) {
    const sizeBytes = typeof size === 'string' ? findSizeBytes(size) : size;
    return { kind: 'tmpfs', folder: tmpfs, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
  }
  return ssh === undefined ? undefined : { kind: 'ssh', id: ssh };
}

function bindMount(
  source: string,
  { from, to, rw = false }: MountContent,
  at: TomlPath,
  context: SourceContext,
): Mount | undefined {
  const found = copySource(from, [...at, 'from'], context);
  if (to === undefined) {
    if (!context.document.has([...at, 'to'])) {
      const message = `${quoted('to')} is missing: where the step sees it`;
      context.report({ code: 'BUILDFILE_MISSING_KEY', message, position: context.document.keyPosition(at) });
    }
    return undefined;
  }
  return found === undefined ? undefined : { kind: 'bind', from: found, source, to, writable: rw };
}

function sharingOf(text: string): 'shared' | 'private' | 'locked' {
  return text === 'private' || text === 'locked' ? text : 'shared';
}

/** Where a mount is seen, when it is seen in the file system. */
function targetOf(mount: Mount): string | undefined {
  switch (mount.kind) {
    case 'cache':
    case 'tmpfs':
      return mount.folder;
    case 'bind':
      return mount.to;
    case 'secret':
      return mount.to ?? (mount.env === undefined ? `/run/secrets/${mount.id}` : undefined);
    default:
      return undefined;
  }
}
