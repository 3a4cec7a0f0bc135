import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type DiffId,
  type Digest,
  describe,
  errorCode,
  formatReference,
  maxConfigBytes,
  mediaTypes,
  NotFoundError,
  parseDigest,
  parseImageConfig,
  type ReadableContent,
  type ReadOptions,
  type Resolver,
  serializeManifest,
  streamOf,
  ToolError,
  withDefaultTag,
} from '../../core/index.ts';
import { refNameAnnotation } from '../layout/oci-index.ts';
import { tryParseReference } from '../places/find-image.ts';
import { imageNameAnnotation, memberStream } from './image-archive.ts';
import { ImageArchiveReader } from './index.ts';
import { type TarMember, tarMembers } from './tar-members.ts';

const maxListBytes = 16 * 1024 * 1024;
const maxImages = 1000;
const maxLinks = 10;

/** What `docker save` and its kin write: an archive that lists its images. */
export type DockerArchive = ReadableContent & Resolver & { readonly entries: readonly Descriptor[] };

/**
 * Opens what `docker save`, `podman save`, Skopeo or Kiln wrote. Where an OCI layout is in it (Docker since 25, Kiln),
 * that is read, so that images keep their digests; else images get a manifest of the config and layers there are.
 * @throws NotFoundError LAYOUT_NOT_FOUND; ToolError LAYOUT_INVALID, CONFIG_INVALID
 */
export async function openDockerArchive(file: string, options: CallOptions = {}): Promise<DockerArchive> {
  const members = await membersOf(file, options);
  if (members.has('index.json')) return ImageArchiveReader.open(file, options);
  const list = members.get('manifest.json');
  if (list === undefined) throw invalid(file, 'it has no manifest.json');
  const images = parseList(await textOf(file, list, maxListBytes), file);
  const reader = new DockerArchiveReader(file, members);
  for (const image of images) await reader.add(image, options);
  return reader;
}

interface ListedImage {
  readonly config: string;
  readonly tags: readonly string[];
  readonly layers: readonly string[];
}

class DockerArchiveReader implements ReadableContent, Resolver {
  readonly entries: Descriptor[] = [];
  readonly #file: string;
  readonly #members: ReadonlyMap<string, TarMember>;
  readonly #blobs = new Map<Digest, TarMember | Uint8Array>();
  /** By member: images of one archive share layers. */
  readonly #described = new Map<string, Descriptor>();

  constructor(file: string, members: ReadonlyMap<string, TarMember>) {
    this.#file = file;
    this.#members = members;
  }

  async has({ digest, size }: Descriptor): Promise<boolean> {
    const found = this.#blobs.get(digest);
    return found !== undefined && (found instanceof Uint8Array ? found.byteLength : found.size) === size;
  }

  async read({ digest }: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    options.signal?.throwIfAborted();
    const { from = 0 } = options;
    const found = this.#blobs.get(digest);
    if (found === undefined) throw new NotFoundError('BLOB_NOT_FOUND', `${digest} is not in ${this.#file}`);
    if (found instanceof Uint8Array) return streamOf(found.subarray(from));
    return memberStream(this.#file, found, from);
  }

  async resolve(reference: string): Promise<Descriptor> {
    const found = this.entries.find(({ digest }) => digest === reference);
    if (found !== undefined) return { mediaType: found.mediaType, digest: found.digest, size: found.size };
    throw new NotFoundError('REFERENCE_NOT_FOUND', `there is no image ${JSON.stringify(reference)} in ${this.#file}`);
  }

  async add({ config, tags, layers }: ListedImage, options: CallOptions): Promise<void> {
    const bytes = await bytesOf(this.#file, this.#member(config), maxConfigBytes);
    const { diffIds } = parseImageConfig(bytes);
    if (diffIds.length !== layers.length) {
      throw invalid(this.#file, `an image has ${layers.length} layers and its config ${diffIds.length} diff_ids`);
    }
    const described: Descriptor[] = [];
    for (const [position, diffId] of diffIds.entries()) {
      described.push(await this.#layer(layers[position] ?? '', diffId, options));
    }
    const configDescriptor = describe(mediaTypes.config, bytes);
    const manifest = serializeManifest({
      schemaVersion: 2,
      mediaType: mediaTypes.manifest,
      config: configDescriptor,
      layers: described,
    });
    const descriptor = describe(mediaTypes.manifest, manifest);
    this.#blobs.set(configDescriptor.digest, bytes);
    this.#blobs.set(descriptor.digest, manifest);
    this.entries.push(...(tags.length === 0 ? [descriptor] : tags.map((tag) => named(descriptor, tag))));
  }

  /** Of an uncompressed tar the digest is known: who copies it finds out whether that is true. */
  async #layer(name: string, diffId: DiffId, options: CallOptions): Promise<Descriptor> {
    const member = this.#member(name);
    const key = `${member.offset} ${diffId}`;
    const known = this.#described.get(key);
    if (known !== undefined) return known;
    const mediaType = await layerType(this.#file, member);
    const digest = mediaType === mediaTypes.layer ? parseDigest(diffId) : await digestOf(this.#file, member, options);
    const descriptor = { mediaType, digest, size: member.size };
    this.#blobs.set(digest, member);
    this.#described.set(key, descriptor);
    return descriptor;
  }

  #member(name: string): TarMember {
    const found = this.#members.get(path.posix.normalize(name));
    if (found === undefined) throw invalid(this.#file, `it lists ${JSON.stringify(name)}, which is not in it`);
    return found;
  }
}

/** By name; a link, as Docker before 25 writes it for a layer that is there twice, has what it leads to. */
async function membersOf(file: string, options: CallOptions): Promise<Map<string, TarMember>> {
  const members = new Map<string, TarMember>();
  const links = new Map<string, string>();
  await using handle = await openRegular(file);
  const onLink = ({ name, target, isSymbolic }: { name: string; target: string; isSymbolic: boolean }): void => {
    const place = isSymbolic ? path.posix.join(path.posix.dirname(name), target) : path.posix.normalize(target);
    links.set(path.posix.normalize(name), place);
  };
  for await (const member of tarMembers(handle, file, { ...options, onLink })) {
    members.set(path.posix.normalize(member.name), member);
  }
  for (const name of links.keys()) {
    let target: string | undefined = name;
    for (let hops = 0; hops < maxLinks && target !== undefined && !members.has(target); hops++) {
      target = links.get(target);
    }
    const found = target === undefined ? undefined : members.get(target);
    if (found !== undefined) members.set(name, found);
  }
  return members;
}

async function openRegular(file: string) {
  try {
    const handle = await open(file, 'r');
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause;
    throw new NotFoundError('LAYOUT_NOT_FOUND', `there is no file ${file}`, { cause });
  }
  throw new ToolError('LAYOUT_INVALID', `${file} is not a regular file`);
}

/** https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format */
function parseList(text: string, file: string): ListedImage[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, 'its manifest.json is not JSON', cause);
  }
  if (!Array.isArray(list) || list.length > maxImages) throw invalid(file, 'its manifest.json is not a list of images');
  return list.map((image: unknown) => {
    const { Config, RepoTags, Layers } = (image ?? {}) as Record<string, unknown>;
    if (typeof Config !== 'string' || !isTexts(Layers) || !(RepoTags == null || isTexts(RepoTags))) {
      throw invalid(file, 'its manifest.json lists an image without Config and Layers');
    }
    return { config: Config, tags: RepoTags ?? [], layers: Layers };
  });
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((text) => typeof text === 'string');
}

function named(descriptor: Descriptor, tag: string): Descriptor {
  const reference = tryParseReference(tag);
  const full = reference && { [imageNameAnnotation]: formatReference(withDefaultTag(reference)) };
  return { ...descriptor, annotations: { ...full, [refNameAnnotation]: tag } };
}

async function layerType(file: string, member: TarMember): Promise<string> {
  const start = await bytesOf(file, { ...member, size: Math.min(member.size, 4) }, 4);
  if (start.length < 4) return mediaTypes.layer;
  if (start.readUInt16BE(0) === 0x1f8b) return mediaTypes.layerGzip;
  return start.readUInt32LE(0) === 0xfd2fb528 ? mediaTypes.layerZstd : mediaTypes.layer;
}

async function digestOf(file: string, member: TarMember, { signal }: CallOptions): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of memberStream(file, member) as AsyncIterable<Buffer>) {
    signal?.throwIfAborted();
    hash.update(chunk);
  }
  return parseDigest(`sha256:${hash.digest('hex')}`);
}

async function textOf(file: string, member: TarMember, maxBytes: number): Promise<string> {
  return (await bytesOf(file, member, maxBytes)).toString('utf8');
}

async function bytesOf(file: string, member: TarMember, maxBytes: number): Promise<Buffer> {
  if (member.size > maxBytes) throw invalid(file, `${member.name} is over ${maxBytes} bytes`);
  return Buffer.concat(await memberStream(file, member).toArray());
}

function invalid(file: string, why: string, cause?: unknown): ToolError {
  return new ToolError('LAYOUT_INVALID', `${file} is not an archive of docker save: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
  });
}
