import { randomBytes } from 'node:crypto';
import { realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type CallOptions,
  type Descriptor,
  digestHex,
  errorCode,
  formatReference,
  type LockFolder,
  parseReference,
  type Reference,
  sha256,
  type Target,
  ToolError,
  unreachable,
  withDefaultTag,
} from '../../core/index.ts';
import { imageNameAnnotation } from '../archive/image-archive.ts';
import { ImageArchive, OciFolder } from '../archive/index.ts';
import { type LayoutIndex, layoutDescriptors, refNameAnnotation, withName } from '../layout/oci-index.ts';
import { openRepository } from '../remote/index.ts';
import { tryParseReference } from './find-image.ts';
import { type FilePlace, type Place, placeText } from './place.ts';
import { type PlaceOptions, storeOf } from './place-source.ts';

export interface DestinationOptions extends PlaceOptions {
  /** Guards folders against other Kilns that write to them. */
  readonly locks: LockFolder;
}

export interface FinishOptions extends CallOptions {
  /** Further tags, or names, beside the one of the place. */
  readonly tags?: readonly string[];
  /** What refers to the image and is there now: layouts list it, so that it is found again. */
  readonly referrers?: readonly Descriptor[];
}

/**
 * A place that an image is on its way to. Archives and new folders appear when it is finished, whole; disposing one that
 * was not leaves no trace of them.
 */
export interface OpenedDestination extends AsyncDisposable {
  readonly target: Target;
  /** As it can be written on a command line again. */
  readonly name: string;
  /** Gives the image, which is here now, the name of the place. */
  finish(root: Descriptor, options?: FinishOptions): Promise<void>;
}

/**
 * Opens a place to copy an image to: `copyImage` to its `target`, then `finish`.
 * @throws ToolError LAYOUT_INVALID, REFERENCE_INVALID, OUTPUT_FAILED
 */
export function openDestination(place: Place, options: DestinationOptions): Promise<OpenedDestination> {
  switch (place.kind) {
    case 'registry':
      return openRegistry(place.reference, options);
    case 'store':
      return openStore(place.name, options);
    case 'oci':
      return openFolder(place, options);
    case 'oci-archive':
    case 'docker-archive':
      return openArchive(place);
    default:
      throw unreachable(place);
  }
}

async function openRegistry(reference: Reference, options: DestinationOptions): Promise<OpenedDestination> {
  const wanted = withDefaultTag(reference);
  const target = openRepository(wanted, options.remote);
  const name = formatReference(wanted);
  return {
    target,
    name,
    async finish(root, { tags = [], signal } = {}) {
      requireDigest(root, wanted.digest, name);
      for (const tag of new Set([...(wanted.tag === undefined ? [] : [wanted.tag]), ...tags])) {
        await target.tag(root, tag, { signal });
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

async function openStore(text: string, options: DestinationOptions): Promise<OpenedDestination> {
  const target = storeOf(options);
  const wanted = withDefaultTag(parseReference(text));
  const name = formatReference(wanted);
  return {
    target,
    name,
    async finish(root, { tags = [], signal } = {}) {
      requireDigest(root, wanted.digest, name);
      for (const full of new Set([name, ...tags.map((tag) => furtherName(wanted, tag))])) {
        await target.tag(root, full, { signal });
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}

/** The lock for a folder that images are put into: the one who writes the index last must know of all others'. */
export function folderLock(folder: string): string {
  return `folder-${digestHex(sha256(folder))}`;
}

async function openFolder(place: FilePlace, options: DestinationOptions): Promise<OpenedDestination> {
  await using cleanup = new AsyncDisposableStack();
  const folder = path.resolve(place.path);
  cleanup.use(await options.locks.acquire(folderLock(folder), 'exclusive', { signal: options.signal }));
  const opened = cleanup.use(await OciFolder.open(folder, options));
  const kept = cleanup.move();
  return {
    target: opened.layout,
    name: placeText(place),
    finish: (root, { tags = [], referrers = [], signal } = {}) =>
      opened.finish(
        (index) => {
          const names = [...new Set([...(place.name === undefined ? [] : [place.name]), ...tags])];
          const named = names.reduce((before, name) => withName(before, name, annotated(root, name)), index);
          return [...(names.length === 0 ? [root] : []), ...referrers].reduce(listed, named);
        },
        { signal },
      ),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

async function openArchive(place: FilePlace): Promise<OpenedDestination> {
  const file = await fileToReplace(place.path);
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}`);
  const docker = place.kind === 'docker-archive';
  const archive = await createArchive(temporary, place.path, docker);
  return {
    target: archive,
    name: placeText(place),
    async finish(root, { tags = [], referrers = [], signal } = {}) {
      await archive.add(root);
      const names = [...(place.name === undefined ? [] : [place.name]), ...tags];
      for (const name of new Set(docker ? names.map(fullName) : names)) await archive.tag(root, name);
      for (const referrer of referrers) await archive.add(referrer);
      await archive.finish({ signal });
      try {
        await rename(temporary, file);
      } catch (cause) {
        await rm(temporary, { force: true });
        throw outputFailed(place.path, cause);
      }
    },
    [Symbol.asyncDispose]: () => archive[Symbol.asyncDispose](),
  };
}

async function createArchive(temporary: string, shown: string, docker: boolean): Promise<ImageArchive> {
  try {
    return await ImageArchive.create(temporary, { docker, ...(docker ? {} : { annotationsFor: nameAnnotations }) });
  } catch (cause) {
    throw outputFailed(shown, cause);
  }
}

/** What a symbolic link leads to is replaced, not the link. */
async function fileToReplace(file: string): Promise<string> {
  try {
    const found = await stat(file);
    if (found.isFile()) return await realpath(file);
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return path.resolve(file);
    throw outputFailed(file, cause);
  }
  throw new ToolError('OUTPUT_FAILED', `${file} is not a regular file, and an archive would replace it`, {
    hint: 'name a new file',
  });
}

function outputFailed(file: string, cause: unknown): ToolError {
  return new ToolError('OUTPUT_FAILED', `${file} cannot be written (${errorCode(cause)})`, { cause });
}

/** The name as Skopeo and umoci look for it; where it is a full one, as containerd, Docker and Podman do as well. */
function nameAnnotations(name: string): Readonly<Record<string, string>> {
  const reference = /[/:]/.test(name) ? tryParseReference(name) : undefined;
  if (reference === undefined) return { [refNameAnnotation]: name };
  return { [imageNameAnnotation]: formatReference(withDefaultTag(reference)), [refNameAnnotation]: name };
}

function annotated(root: Descriptor, name: string): Descriptor {
  return { ...root, annotations: { ...root.annotations, ...nameAnnotations(name) } };
}

/** An entry without a name; what has one already, or is listed, need not be. */
function listed(index: LayoutIndex, { mediaType, digest, size, artifactType }: Descriptor): LayoutIndex {
  if (layoutDescriptors(index).some((entry) => entry.digest === digest)) return index;
  const entry = { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) };
  return { ...index, entries: [...index.entries, entry] };
}

function fullName(text: string): string {
  return formatReference(withDefaultTag(parseReference(text)));
}

/** A tag of the same repository, or another name. */
function furtherName(reference: Reference, text: string): string {
  if (/[/:]/.test(text)) return fullName(text);
  const { registry, repository } = reference;
  return formatReference({ ...parseReference(`${registry}/${repository}:${text}`) });
}

function requireDigest(root: Descriptor, wanted: string | undefined, name: string): void {
  if (wanted === undefined || wanted === root.digest) return;
  throw new ToolError('REFERENCE_INVALID', `${name} names a digest, and the image is ${root.digest}`, {
    hint: 'name the destination by a tag',
  });
}
