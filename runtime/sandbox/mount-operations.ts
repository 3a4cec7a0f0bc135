import { unreachable } from '../../core/index.ts';
import type { Operation } from './operations.ts';
import type { SandboxMount } from './spec.ts';

/** Where mounts are put together. */
interface MountPlace {
  readonly userNamespace: boolean;
  /** Folder of mount points for each overlay: its lowest layer. */
  readonly overlaySkeletons: ReadonlyMap<SandboxMount, string>;
  /** As many folders as `stagingFoldersFor` says. */
  readonly staging: readonly string[];
}

/** One for all files, and one for each overlay; none when there are neither. */
export function stagingFoldersFor(mounts: readonly SandboxMount[]): number {
  const overlays = mounts.filter(({ kind }) => kind === 'overlay').length;
  return overlays > 0 || mounts.some(({ kind }) => kind === 'file') ? 1 + overlays : 0;
}

/** What has to be done for mounts, in their order. */
export function mountOperations(mounts: readonly SandboxMount[], place: MountPlace): readonly Operation[] {
  const [memory = '', ...overlays] = place.staging;
  const operations: Operation[] = mounts.some(({ kind }) => kind === 'file') ? [['memory', memory]] : [];
  let files = 0;
  let overlaid = 0;
  for (const mount of mounts) {
    switch (mount.kind) {
      case 'bind':
        operations.push(['bind', mount.source, mount.destination, mount.readOnly ? 'ro,nodev' : 'nodev']);
        break;
      case 'tmpfs': {
        const size = mount.sizeBytes === undefined ? '' : `,size=${mount.sizeBytes}`;
        operations.push(['mount', 'tmpfs', mount.destination, 'nosuid,nodev', `mode=1777${size}`]);
        break;
      }
      case 'file':
        operations.push(...fileOperations(mount, `${memory}/${files++}`));
        break;
      case 'overlay':
        operations.push(
          ...overlayMount(mount, overlays[overlaid] ?? '', {
            userNamespace: place.userNamespace,
            skeleton: place.overlaySkeletons.get(mount) ?? '',
          }),
        );
        overlaid += 1;
        break;
      default:
        throw unreachable(mount);
    }
  }
  return operations;
}

/** What every overlay is mounted with. */
export function overlayOptions({ userNamespace }: Pick<MountPlace, 'userNamespace'>): readonly Operation[] {
  return [
    // Without these a layer would hold references to the layers below it, which its tar could not express.
    ['overlay-option', 'redirect_dir', 'nofollow', 'optional'],
    ['overlay-option', 'metacopy', 'off', 'optional'],
    ['overlay-option', 'index', 'off', 'optional'],
    ['overlay-option', 'xino', 'off', 'optional'],
    // A user namespace cannot write trusted.* attributes.
    ...(userNamespace ? [['overlay-option', 'userxattr', '', 'required'] as const] : []),
  ];
}

function fileOperations(mount: Extract<SandboxMount, { kind: 'file' }>, file: string): Operation[] {
  const { content, mode, uid, gid, destination } = mount;
  return [
    ['file', file, mode.toString(8), `${uid}:${gid}`, Buffer.from(content).toString('hex')],
    ['bind', file, destination, 'ro,nosuid,nodev,noexec'],
  ];
}

function overlayMount(
  mount: Extract<SandboxMount, { kind: 'overlay' }>,
  folder: string,
  { userNamespace, skeleton }: { readonly userNamespace: boolean; readonly skeleton: string },
): Operation[] {
  const { layers, source, destination, writable } = mount;
  return [
    ...[skeleton, ...layers].map((layer) => ['layer', layer] as const),
    ...(writable === undefined ? [] : [['upper', writable.upper, writable.work] as const]),
    ...overlayOptions({ userNamespace }),
    ...(writable === undefined ? [] : [['overlay-option', 'volatile', '', 'optional'] as const]),
    ['overlay', folder],
    [
      'bind',
      source === '' ? folder : `${folder}/${source}`,
      destination,
      writable === undefined ? 'ro,nodev' : 'nodev',
    ],
  ];
}
