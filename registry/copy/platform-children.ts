import {
  type Descriptor,
  formatPlatform,
  isIndexType,
  NotFoundError,
  type Platform,
  samePlatform,
} from '../../core/index.ts';

/** BuildKit's attestations name the image they are about so. */
const attestedDigest = 'vnd.docker.reference.digest';

/**
 * The entries of an index for these platforms, with what attests to them, and indexes that do not say what they hold.
 * @throws NotFoundError PLATFORM_NOT_FOUND
 */
export function childrenForPlatforms(children: readonly Descriptor[], platforms: readonly Platform[]): Descriptor[] {
  const isWanted = ({ platform }: Descriptor): boolean =>
    platform !== undefined && platforms.some((wanted) => samePlatform(wanted, platform));
  const chosen = new Set(children.filter(isWanted).map(({ digest }) => digest as string));
  const isOpen = ({ mediaType, platform }: Descriptor): boolean => platform === undefined && isIndexType(mediaType);
  for (const wanted of platforms) {
    const isThere = children.some(({ platform }) => platform !== undefined && samePlatform(wanted, platform));
    if (isThere || children.some(isOpen)) continue;
    const there = children.flatMap(({ platform }) => (platform === undefined ? [] : [formatPlatform(platform)]));
    throw new NotFoundError(
      'PLATFORM_NOT_FOUND',
      `there is no image for ${formatPlatform(wanted)}; the index has ${there.join(', ') || 'none'}`,
    );
  }
  return children.filter(
    (child) => chosen.has(child.digest) || chosen.has(child.annotations?.[attestedDigest] ?? '') || isOpen(child),
  );
}
