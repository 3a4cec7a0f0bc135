import {
  type CallOptions,
  type Descriptor,
  type Digest,
  describe,
  digestAlgorithm,
  digestHex,
  errorCode,
  type Index,
  isIndexType,
  maxManifestBytes,
  mediaTypes,
  parseIndex,
  readVerified,
  serializeManifest,
  sleep,
  streamOf,
  type Target,
  ToolError,
} from '../../core/index.ts';

/** What of a Target a list of referrers needs. */
export type PlaceOfLists = Pick<Target, 'resolve' | 'read' | 'write' | 'tag'>;

const maxAttempts = 20;
/** How long others may take between their last look and their writing: as long as this, or a few times our own. */
const settleMs = 50;
const settleFactor = 5;

/**
 * The tag under which the referrers of a manifest are listed where no API tells of them.
 * distribution-spec, #referrers-tag-schema
 */
export function referrersTag(subject: Digest): string {
  return `${digestAlgorithm(subject)}-${digestHex(subject).slice(0, 64)}`;
}

/** The entries of the list; none when there is no list. @throws ToolError MANIFEST_INVALID */
export async function listedReferrers(
  place: Pick<PlaceOfLists, 'resolve' | 'read'>,
  subject: Digest,
  options: CallOptions = {},
): Promise<readonly Descriptor[]> {
  const list = await findList(place, referrersTag(subject), options);
  return list === undefined ? [] : (await readIndex(place, list, options)).manifests;
}

/** Adds to the list what is not in it; entries of others stay. Content of the referrer must be there already. */
export function addListedReferrer(
  place: PlaceOfLists,
  subject: Digest,
  referrer: Descriptor,
  options: CallOptions = {},
): Promise<void> {
  return changeList(
    place,
    subject,
    (entries) => (entries.some(({ digest }) => digest === referrer.digest) ? entries : [...entries, referrer]),
    options,
  );
}

/** Takes a manifest that was deleted out of the list. */
export function removeListedReferrer(
  place: PlaceOfLists,
  subject: Digest,
  referrer: Digest,
  options: CallOptions = {},
): Promise<void> {
  return changeList(
    place,
    subject,
    (entries) =>
      entries.some(({ digest }) => digest === referrer) ? entries.filter(({ digest }) => digest !== referrer) : entries,
    options,
  );
}

/**
 * Registries cannot replace a tag only if it still is what was read. So it is looked at once more right before it is
 * replaced, and again when others who looked at the same moment have replaced it as well: who turns out to have lost begins
 * anew.
 */
async function changeList(
  place: PlaceOfLists,
  subject: Digest,
  change: (entries: readonly Descriptor[]) => readonly Descriptor[],
  options: CallOptions,
): Promise<void> {
  const tag = referrersTag(subject);
  for (let attempt = 1; ; attempt++) {
    const before = await findList(place, tag, options);
    const index = before === undefined ? emptyList : await readIndex(place, before, options);
    const manifests = change(index.manifests);
    if (manifests === index.manifests) return;
    if (attempt > maxAttempts) throw crowded(subject);
    const bytes = serializeManifest({ ...index, manifests });
    if (bytes.byteLength > maxManifestBytes) throw full(subject);
    const after = describe(index.mediaType, bytes);
    await place.write(after, streamOf(bytes), options);
    // Writers wait for different times, so that not all of them write at once again.
    const saltMs = attempt * (Number.parseInt(digestHex(after.digest).slice(0, 4), 16) % 64);
    const lookedMs = performance.now();
    if ((await findList(place, tag, options))?.digest === before?.digest) {
      await place.tag(after, tag, options);
      const openMs = performance.now() - lookedMs;
      await sleep(Math.max(settleMs, settleFactor * openMs) + saltMs, options);
    } else {
      await sleep(saltMs, options);
    }
  }
}

const emptyList: Index = { schemaVersion: 2, mediaType: mediaTypes.index, manifests: [] };

async function findList(
  place: Pick<PlaceOfLists, 'resolve'>,
  tag: string,
  options: CallOptions,
): Promise<Descriptor | undefined> {
  try {
    return await place.resolve(tag, options);
  } catch (error) {
    if (errorCode(error) === 'REFERENCE_NOT_FOUND') return undefined;
    throw error;
  }
}

async function readIndex(
  place: Pick<PlaceOfLists, 'read'>,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<Index> {
  if (!isIndexType(descriptor.mediaType)) {
    throw new ToolError('MANIFEST_INVALID', `${descriptor.digest}, under a tag for referrers, is no list of them`, {
      hint: 'the tag sha256-… is kept for what refers to a manifest; delete it, or give that image another',
    });
  }
  return parseIndex(await readVerified(place, descriptor, { ...options, maxBytes: maxManifestBytes }));
}

function full(subject: Digest): ToolError {
  return new ToolError('MANIFEST_INVALID', `the list of what refers to ${subject} is over ${maxManifestBytes} bytes`, {
    hint: 'delete what is no longer needed: kiln artifact discover, then kiln manifest rm',
  });
}

function crowded(subject: Digest): ToolError {
  return new ToolError(
    'REGISTRY_REFERRERS_CONTENDED',
    `others keep replacing the list of what refers to ${subject}: it was written ${maxAttempts} times and lost each time`,
    { hint: 'try again when fewer attach to this image at once' },
  );
}
