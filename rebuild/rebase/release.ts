import type { OsRelease } from '../../builder/index.ts';

/** How many components of VERSION_ID name a release; the rest counts its updates. All of them unless listed. */
const releaseComponents: Readonly<Record<string, number>> = {
  alpine: 2,
  almalinux: 1,
  centos: 1,
  debian: 1,
  ol: 1,
  rhel: 1,
  rocky: 1,
};

/** `debian 12`: what may not change below an image, since libraries and programs fit one release. */
export function releaseName({ id, versionId }: OsRelease): string {
  const count = Object.hasOwn(releaseComponents, id) ? releaseComponents[id] : undefined;
  return `${id} ${count === undefined ? versionId : versionId.split('.', count).join('.')}`;
}
