import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  describe,
  formatReference,
  type IngestedBlob,
  IntegrityError,
  isDigest,
  type Mounter,
  maxManifestBytes,
  mediaTypes,
  type PartialBlob,
  parseDigest,
  parseReference,
  type ReadOptions,
  type Reference,
  type ReferrerLister,
  type Remover,
  type Resumer,
  readVerified,
  repositoryName,
  sleep,
  type TagLister,
  type Target,
  ToolError,
} from '../../core/index.ts';
import { referrerOf } from '../artifact/referrer.ts';
import {
  addListedReferrer,
  listedReferrers,
  type PlaceOfLists,
  removeListedReferrer,
} from '../artifact/referrers-tag.ts';
import { isManifestLike, manifestTypeOf } from '../manifest-type.ts';
import { describeBlob } from './blob-size.ts';
import { type Asked, responseError } from './errors.ts';
import { discard, type HttpResponse, readCapped } from './http.ts';
import type { IngestOptions } from './ingest.ts';
import { askReferrers, type ReferrerOptions } from './referrers.ts';
import { deleteBlob, deleteManifest } from './removal.ts';
import { type RepositoryCalls, repositoryScope } from './repository-calls.ts';
import { openResumable } from './resumable.ts';
import { RegistrySession, type RemoteOptions, type SessionRequest } from './session.ts';
import { plainText } from './shown.ts';
import { listTags, type TagOptions } from './tags.ts';
import { BlobUpload } from './upload.ts';

const manifestAccept = [
  mediaTypes.index,
  mediaTypes.manifest,
  mediaTypes.dockerManifestList,
  mediaTypes.dockerManifest,
].join(', ');

type PullOptions = Pick<SessionRequest, 'signal' | 'purpose' | 'resumes'>;

const manifestAttempts = 3;

/** One repository of one registry as a Target. References are tags or digests. */
export function openRepository(
  reference: Pick<Reference, 'registry' | 'repository'>,
  options: RemoteOptions,
): RemoteRepository {
  return new RemoteRepository(reference, options);
}

/** distribution-spec. Made by `openRepository`. */
export class RemoteRepository implements Target, Mounter, Resumer, TagLister, ReferrerLister, Remover {
  /** `host/path` */
  readonly name: string;
  readonly #reference: Pick<Reference, 'registry' | 'repository'>;
  readonly #session: RegistrySession;
  readonly #upload: BlobUpload;
  readonly #calls: RepositoryCalls;
  /** Blobs that were asked for and missing: who writes one now need not ask again. */
  readonly #absent = new Set<Digest>();
  /** Manifests with a subject that are in the list of what refers to it. */
  readonly #listed = new Set<Digest>();
  /** The manifest written last: to tag it is to write it once more under the tag. */
  #lastManifest: { readonly descriptor: Descriptor; readonly bytes: Buffer } | undefined;

  constructor(reference: Pick<Reference, 'registry' | 'repository'>, options: RemoteOptions) {
    // The path becomes part of URLs: whoever made the reference, it is checked here.
    const { registry, repository } = parseReference(repositoryName(reference));
    this.#reference = { registry, repository };
    this.name = repositoryName(this.#reference);
    this.#session = new RegistrySession(registry, options, repository);
    this.#upload = new BlobUpload(this.#session, repository, options.uploads);
    this.#calls = {
      name: this.name,
      ask: (method, path, { access, ...rest }) =>
        this.#session.send({ method, to: this.#path(path), scopes: [repositoryScope(repository, access)], ...rest }),
      failure: (response, method, notFound) => this.#failure(response, method, notFound),
    };
  }

  async has(descriptor: Descriptor, options: CallOptions = {}): Promise<boolean> {
    // Where it would be written: that a mirror has it is no reason not to.
    const response = await this.#pull('HEAD', pathOf(descriptor), { ...options, purpose: 'push' });
    if (response.status !== 404 && response.status !== 200) throw await this.#failure(response, 'HEAD');
    await discard(response);
    if (response.status === 404) this.#absent.add(descriptor.digest);
    return response.status === 200;
  }

  read(descriptor: Descriptor, options: ReadOptions = {}): Promise<Readable> {
    const { from = 0, signal } = options;
    return openResumable(
      async ({ headers, resumes }): Promise<HttpResponse> => {
        const response = await this.#pull('GET', pathOf(descriptor), { signal, resumes }, headers);
        if (response.status === 200 || (response.status === 206 && 'Range' in headers)) return response;
        throw await this.#failure(response, 'GET', {
          code: 'BLOB_NOT_FOUND',
          message: `${descriptor.digest} is not in ${this.name}`,
        });
      },
      {
        from,
        size: descriptor.size,
        signal,
        backoff: (failures) => sleep(this.#session.backoffMs(failures), { signal }),
      },
    );
  }

  /**
   * Asks with HEAD, and with GET where that does not tell type, digest and size.
   * @param options.purpose `push` for what a name means where it would be written, whatever mirrors say
   */
  async resolve(reference: string, options: Pick<SessionRequest, 'signal' | 'purpose'> = {}): Promise<Descriptor> {
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

  /** Goes on with an upload of the blob that broke off. */
  async resume(descriptor: Descriptor, options: CallOptions = {}): Promise<PartialBlob | undefined> {
    const isAbsent = this.#absent.delete(descriptor.digest) || !(await this.has(descriptor, options));
    return isAbsent ? this.#upload.resume(descriptor, options) : undefined;
  }

  /** Takes in a blob while it is made. @throws ToolError REGISTRY_CHUNKS_REFUSED, REGISTRY_UPLOAD_LOST */
  ingest(content: Readable, options: IngestOptions): Promise<IngestedBlob> {
    return this.#upload.ingest(content, options);
  }

  mount(descriptor: Descriptor, fromRepository: string, options: CallOptions = {}): Promise<boolean> {
    const { repository } = parseReference(`${this.#reference.registry}/${fromRepository}`);
    return this.#upload.mount(descriptor, repository, options);
  }

  tags(options: TagOptions = {}): AsyncIterable<string> {
    return listTags(this.#calls, options);
  }

  /** By the registry's API; where it has none, by the tag that lists them. distribution-spec, #listing-referrers */
  async referrers(subject: Digest, options: ReferrerOptions = {}): Promise<readonly Descriptor[]> {
    const told = await askReferrers(this.#calls, subject, options);
    if (told !== undefined) return told;
    const { artifactType } = options;
    const listed = await listedReferrers(this.#placeOfLists('registry'), subject, options);
    return listed.filter((entry) => artifactType === undefined || entry.artifactType === artifactType);
  }

  /**
   * A digest goes with all its tags, and out of the list of what refers to its subject, where the registry does not
   * keep that itself.
   * @throws NotFoundError REFERENCE_NOT_FOUND; ToolError REGISTRY_CANNOT_DELETE
   */
  async remove(reference: string, options: CallOptions = {}): Promise<void> {
    const name = this.#checkedName(reference);
    const subject = isDigest(reference) ? await this.#listingSubject(reference, options) : undefined;
    await deleteManifest(this.#calls, name, this.#noSuchName(reference), options);
    if (this.#lastManifest?.descriptor.digest === reference) this.#lastManifest = undefined;
    if (subject === undefined || !isDigest(reference)) return;
    await removeListedReferrer(this.#placeOfLists('push'), subject, reference, options);
  }

  /** @throws NotFoundError BLOB_UNKNOWN; ToolError REGISTRY_CANNOT_DELETE */
  removeBlob(digest: Digest, options: CallOptions = {}): Promise<void> {
    return deleteBlob(this.#calls, digest, options);
  }

  /** What is known of a blob by its digest alone. @throws NotFoundError BLOB_UNKNOWN */
  describeBlob(digest: Digest, options: CallOptions = {}): Promise<Descriptor> {
    return describeBlob(this.#calls, digest, options);
  }

  /** A mirror's list may be old: what is not in it would be lost by writing it anew. */
  #placeOfLists(purpose: 'push' | 'registry'): PlaceOfLists {
    return {
      resolve: (reference, { signal } = {}) => this.resolve(reference, { signal, purpose }),
      read: (descriptor, options) => this.read(descriptor, options),
      write: (descriptor, content, options) => this.write(descriptor, content, options),
      tag: (descriptor, reference, options) => this.tag(descriptor, reference, options),
    };
  }

  /** The subject of a manifest that is about to go, where a tag lists what refers to it. */
  async #listingSubject(digest: Digest, options: CallOptions): Promise<Digest | undefined> {
    const descriptor = await this.resolve(digest, options);
    const bytes = await readVerified(this, descriptor, { ...options, maxBytes: maxManifestBytes });
    const subject = referrerOf(descriptor, bytes)?.subject;
    if (subject === undefined || (await askReferrers(this.#calls, subject, options)) !== undefined) return undefined;
    return subject;
  }

  async #putManifest(descriptor: Descriptor, bytes: Buffer, name: string, options: CallOptions): Promise<void> {
    const response = await this.#sendManifest(descriptor, bytes, name, options);
    await discard(response);
    const stored = response.headers.get('docker-content-digest');
    if (stored !== undefined && stored !== descriptor.digest && isDigest(stored)) {
      throw new IntegrityError(
        'BLOB_DIGEST_MISMATCH',
        `${this.name} stored the manifest ${descriptor.digest} as ${stored}`,
      );
    }
    const told = response.headers.has('oci-subject');
    if (!told) await this.#listReferrer(descriptor, bytes, options);
  }

  /**
   * Registries take a moment to know a blob that was just written, Docker's also while somebody else writes the same one:
   * what they miss is asked for once more.
   */
  async #sendManifest(
    descriptor: Descriptor,
    bytes: Buffer,
    name: string,
    options: CallOptions,
  ): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      const response = await this.#session.send({
        method: 'PUT',
        to: this.#path(`manifests/${name}`),
        scopes: [`repository:${this.#reference.repository}:pull,push`],
        headers: { 'Content-Type': descriptor.mediaType },
        body: bytes,
        signal: options.signal,
      });
      if (response.status >= 200 && response.status <= 299) return response;
      const error = await this.#failure(response, 'PUT');
      if (attempt >= manifestAttempts || !/\bMANIFEST_BLOB_UNKNOWN\b/.test(error.message)) throw error;
      await sleep(this.#session.backoffMs(attempt), options);
    }
  }

  /** A registry that says nothing of the subject keeps no list. distribution-spec, #pushing-manifests-with-subject */
  async #listReferrer(descriptor: Descriptor, bytes: Buffer, options: CallOptions): Promise<void> {
    const referrer = referrerOf(descriptor, bytes);
    if (referrer === undefined || this.#listed.has(descriptor.digest)) return;
    await addListedReferrer(this.#placeOfLists('push'), referrer.subject, referrer.entry, options);
    this.#listed.add(descriptor.digest);
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

  #pull(method: 'GET' | 'HEAD', path: string, options: PullOptions, more: Readonly<Record<string, string>> = {}) {
    return this.#session.send({
      method,
      to: this.#path(path),
      scopes: [`repository:${this.#reference.repository}:pull`],
      headers: path.startsWith('manifests/') ? { ...more, Accept: manifestAccept } : more,
      ...options,
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
