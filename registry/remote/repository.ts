import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  describe,
  formatReference,
  IntegrityError,
  isDigest,
  type Mounter,
  maxManifestBytes,
  mediaTypes,
  parseDigest,
  parseReference,
  type Reference,
  readVerified,
  repositoryName,
  type Target,
  ToolError,
} from '../../core/index.ts';
import { isManifestLike, manifestTypeOf } from '../manifest-type.ts';
import { type Asked, responseError } from './errors.ts';
import { discard, type HttpResponse, readCapped } from './http.ts';
import { resumable } from './resumable.ts';
import { RegistrySession, type RemoteOptions } from './session.ts';
import { plainText } from './shown.ts';
import { BlobUpload } from './upload.ts';

const manifestAccept = [
  mediaTypes.index,
  mediaTypes.manifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
].join(', ');

/** One repository of one registry as a Target. References are tags or digests. */
export function openRepository(
  reference: Pick<Reference, 'registry' | 'repository'>,
  options: RemoteOptions,
): RemoteRepository {
  return new RemoteRepository(reference, options);
}

/** distribution-spec. Made by `openRepository`. */
export class RemoteRepository implements Target, Mounter {
  /** `host/path` */
  readonly name: string;
  readonly #reference: Pick<Reference, 'registry' | 'repository'>;
  readonly #session: RegistrySession;
  readonly #upload: BlobUpload;
  /** Blobs that were asked for and missing: who writes one now need not ask again. */
  readonly #absent = new Set<Digest>();
  /** The manifest written last: to tag it is to write it once more under the tag. */
  #lastManifest: { readonly descriptor: Descriptor; readonly bytes: Buffer } | undefined;

  constructor(reference: Pick<Reference, 'registry' | 'repository'>, options: RemoteOptions) {
    // The path becomes part of URLs: whoever made the reference, it is checked here.
    const { registry, repository } = parseReference(repositoryName(reference));
    this.#reference = { registry, repository };
    this.name = repositoryName(this.#reference);
    this.#session = new RegistrySession(registry, options);
    this.#upload = new BlobUpload(this.#session, repository);
  }

  async has(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    const response = await this.#pull('HEAD', pathOf(descriptor), options);
    if (response.status !== 404 && response.status !== 200) throw await this.#failure(response, 'HEAD');
    await discard(response);
    if (response.status === 404) this.#absent.add(descriptor.digest);
    return response.status === 200;
  }

  async read(descriptor: Descriptor, options: CallOptions = {}): Promise<Readable> {
    const get = async (from: number): Promise<HttpResponse> => {
      const range: Record<string, string> = from === 0 ? {} : { Range: `bytes=${from}-` };
      const response = await this.#pull('GET', pathOf(descriptor), options, range);
      if (response.status === (from === 0 ? 200 : 206)) return response;
      if (response.status !== 200 && response.status !== 206) {
        throw await this.#failure(response, 'GET', {
          code: 'BLOB_NOT_FOUND',
          message: `${descriptor.digest} is not in ${this.name}`,
        });
      }
      response.body.destroy();
      throw new ToolError('REGISTRY_UNEXPECTED_ANSWER', `${this.name} did not send the range that was asked for`);
    };
    return resumable(await get(0), get, options);
  }

  /** Asks with HEAD, and with GET where that does not tell type, digest and size. */
  async resolve(reference: string, options: CallOptions = {}): Promise<Descriptor> {
    const wanted = isDigest(reference) ? reference : undefined;
    const path = `manifests/${this.#checkedName(reference)}`;
    const head = await this.#pull('HEAD', path, options);
    if (head.status !== 200) throw await this.#failure(head, 'HEAD', this.#noSuchName(reference));
    await discard(head);
    const described = describeHeaders(head);
    if (described !== undefined && (wanted === undefined || wanted === described.digest)) return described;

    const response = await this.#pull('GET', path, options);
    if (response.status !== 200) throw await this.#failure(response, 'GET', this.#noSuchName(reference));
    return this.#describeBody(response, wanted);
  }

  async write(descriptor: Descriptor, content: Readable, options: CallOptions = {}): Promise<void> {
    if (!isManifestLike(descriptor)) {
      if (this.#absent.delete(descriptor.digest) || !(await this.has(descriptor, options)))
        return this.#upload.write(descriptor, content, options);
      content.destroy();
      return;
    }
    const bytes = await readVerified({ read: async () => content }, descriptor, {
      signal: options.signal,
      maxBytes: maxManifestBytes,
    });
    await this.#putManifest(descriptor, bytes, descriptor.digest, options);
    this.#lastManifest = { descriptor, bytes };
  }

  async tag(descriptor: Descriptor, reference: string, options: CallOptions = {}): Promise<void> {
    if (isDigest(reference)) {
      throw new ToolError('REFERENCE_INVALID', `${reference} is a digest: it cannot be given to an image as a tag`);
    }
    const last = this.#lastManifest?.descriptor.digest === descriptor.digest ? this.#lastManifest : undefined;
    const bytes = last?.bytes ?? (await readVerified(this, descriptor, { ...options, maxBytes: maxManifestBytes }));
    await this.#putManifest(descriptor, bytes, this.#checkedName(reference), options);
  }

  mount(descriptor: Descriptor, fromRepository: string, options: CallOptions = {}): Promise<boolean> {
    const { repository } = parseReference(`${this.#reference.registry}/${fromRepository}`);
    return this.#upload.mount(descriptor, repository, options);
  }

  async #putManifest(descriptor: Descriptor, bytes: Buffer, name: string, options: CallOptions): Promise<void> {
    const response = await this.#session.send({
      method: 'PUT',
      to: this.#path(`manifests/${name}`),
      scopes: [`repository:${this.#reference.repository}:pull,push`],
      headers: { 'Content-Type': descriptor.mediaType },
      body: bytes,
      signal: options.signal,
    });
    if (response.status < 200 || response.status > 299) throw await this.#failure(response, 'PUT');
    await discard(response);
    const stored = response.headers.get('docker-content-digest');
    if (stored !== undefined && stored !== descriptor.digest && isDigest(stored)) {
      throw new IntegrityError(
        'BLOB_DIGEST_MISMATCH',
        `${this.name} stored the manifest ${descriptor.digest} as ${stored}`,
      );
    }
  }

  async #describeBody(response: HttpResponse, wanted: Digest | undefined): Promise<Descriptor> {
    const { bytes, whole } = await readCapped(response.body, maxManifestBytes);
    if (!whole) throw new ToolError('MANIFEST_INVALID', `${this.name} sent a manifest over ${maxManifestBytes} bytes`);
    const mediaType = manifestTypeOf(bytes) ?? contentType(response) ?? 'application/octet-stream';
    const descriptor = describe(mediaType, bytes);
    const claimed = wanted ?? response.headers.get('docker-content-digest');
    if (claimed?.startsWith('sha256:') && claimed !== descriptor.digest) {
      throw new IntegrityError(
        'BLOB_DIGEST_MISMATCH',
        `${this.name} sent ${descriptor.digest} where ${plainText(claimed)} was to be`,
      );
    }
    if (!isManifestLike(descriptor)) {
      throw new ToolError('MANIFEST_INVALID', `${this.name} sent ${plainText(mediaType)} where a manifest was to be`);
    }
    return wanted === undefined ? descriptor : { ...descriptor, digest: wanted };
  }

  #pull(method: 'GET' | 'HEAD', path: string, options: CallOptions, more: Readonly<Record<string, string>> = {}) {
    return this.#session.send({
      method,
      to: this.#path(path),
      scopes: [`repository:${this.#reference.repository}:pull`],
      headers: path.startsWith('manifests/') ? { ...more, Accept: manifestAccept } : more,
      signal: options.signal,
    });
  }

  #path(rest: string): string {
    return `${this.#reference.repository}/${rest}`;
  }

  /** A tag or digest, fit to be part of a URL. */
  #checkedName(reference: string): string {
    if (isDigest(reference)) return reference;
    const { tag } = parseReference(`${this.name}:${reference}`);
    if (tag !== reference) throw new ToolError('REFERENCE_INVALID', `${JSON.stringify(reference)} is not a tag`);
    return tag;
  }

  #noSuchName(reference: string): NonNullable<Asked['notFound']> {
    const name = isDigest(reference)
      ? formatReference({ ...this.#reference, digest: reference })
      : formatReference({ ...this.#reference, tag: reference });
    return { code: 'REFERENCE_NOT_FOUND', message: `there is no image ${name}` };
  }

  #failure(response: HttpResponse, method: string, notFound?: Asked['notFound']): Promise<ToolError> {
    return responseError(response, {
      method,
      registry: this.#reference.registry,
      redact: (text) => this.#session.redact(text),
      ...(notFound === undefined ? {} : { notFound }),
    });
  }
}

function pathOf(descriptor: Descriptor): string {
  return `${isManifestLike(descriptor) ? 'manifests' : 'blobs'}/${descriptor.digest}`;
}

/** What the headers alone tell; the bytes are checked against it when they are read. */
function describeHeaders(response: HttpResponse): Descriptor | undefined {
  const digest = response.headers.get('docker-content-digest') ?? '';
  const size = response.headers.get('content-length') ?? '';
  const mediaType = contentType(response);
  if (!isDigest(digest) || !/^\d{1,9}$/.test(size) || mediaType === undefined || !isManifestLike({ mediaType }))
    return undefined;
  if (Number(size) > maxManifestBytes) return undefined;
  return { mediaType, digest: parseDigest(digest), size: Number(size) };
}

function contentType(response: HttpResponse): string | undefined {
  return response.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase();
}
