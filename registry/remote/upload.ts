import type { Readable } from 'node:stream';
import {
  type CallOptions,
  type Descriptor,
  type Digest,
  type IngestedBlob,
  IntegrityError,
  type PartialBlob,
  ToolError,
} from '../../core/index.ts';
import { responseError } from './errors.ts';
import { discard, type HttpResponse } from './http.ts';
import { Ingest, type IngestOptions } from './ingest.ts';
import { PartialUpload } from './partial-upload.ts';
import type { RegistrySession } from './session.ts';
import { UploadLocations, type UploadMemory } from './upload-memory.ts';
import { lost, refused, UploadSession } from './upload-session.ts';

/** Brings blobs into one repository. distribution-spec, #pushing-blobs */
export class BlobUpload {
  readonly #session: RegistrySession;
  readonly #repository: string;
  readonly #locations: UploadLocations;
  #refusesChunks = false;

  constructor(session: RegistrySession, repository: string, memory?: UploadMemory) {
    this.#session = session;
    this.#repository = repository;
    this.#locations = new UploadLocations(memory);
  }

  /** POST, then PUT of the whole. */
  async write(descriptor: Descriptor, content: Readable, options: CallOptions): Promise<void> {
    await using upload = new PartialUpload(this, descriptor, undefined);
    await upload.append(content, options);
  }

  /** For a large blob: goes on where an earlier upload of it broke off, if the registry still has that. */
  async resume(descriptor: Descriptor, options: CallOptions): Promise<PartialBlob> {
    return new PartialUpload(this, descriptor, await this.find(descriptor.digest, options));
  }

  /**
   * Takes in bytes whose digest becomes known at their end: in chunks, while they are made.
   * @throws ToolError REGISTRY_CHUNKS_REFUSED when the registry does not take blobs in parts; REGISTRY_UPLOAD_LOST when
   * what it had is lost: then the same bytes can be sent once more, as after any broken connection
   */
  async ingest(content: Readable, options: IngestOptions): Promise<IngestedBlob> {
    try {
      if (this.#refusesChunks) throw refused(this.#session.registry);
      return await new Ingest(this, options).take(content);
    } catch (error) {
      if (error instanceof ToolError && error.code === 'REGISTRY_CHUNKS_REFUSED') this.#refusesChunks = true;
      throw error;
    } finally {
      content.destroy();
    }
  }

  /** True when the registry took the blob over from the other repository. distribution-spec, #mounting-a-blob */
  async mount(descriptor: Descriptor, fromRepository: string, options: CallOptions): Promise<boolean> {
    const query = `?${new URLSearchParams({ mount: descriptor.digest, from: fromRepository })}`;
    const response = await this.#post(query, [`repository:${fromRepository}:pull`], options);
    if (response.status !== 202) {
      await discard(response);
      return response.status === 201;
    }
    // The registry began an upload instead; it is not used, so that mounting and writing stay two things.
    const upload = await UploadSession.begun(this.#session, this.#scopes(), response);
    await upload.cancel(options);
    return false;
  }

  /** @throws ToolError REGISTRY_* */
  async begin(options: CallOptions): Promise<UploadSession> {
    const started = await this.#post('', [], options);
    if (started.status !== 202) throw await this.failure(started, 'POST');
    return UploadSession.begun(this.#session, this.#scopes(), started);
  }

  /** An upload of this content that broke off; undefined when there is none, or the registry does not know it. */
  async find(content: string, options: CallOptions): Promise<UploadSession | undefined> {
    const key = this.#key(content);
    const location = await this.#locations.find(key);
    if (location === undefined) return undefined;
    const upload = await UploadSession.found(this.#session, this.#scopes(), location, options);
    if (upload === undefined || upload.offset === 0) await this.#locations.forget(key);
    return upload?.offset === 0 ? undefined : upload;
  }

  async remember(content: string, upload: UploadSession): Promise<void> {
    await this.#locations.keep(this.#key(content), upload.location, upload);
  }

  async forget(content: string): Promise<void> {
    await this.#locations.forget(this.#key(content));
  }

  /**
   * Makes the blob of what was sent.
   * @throws IntegrityError when the registry found other bytes; ToolError REGISTRY_UPLOAD_LOST
   */
  async finish(upload: UploadSession, blob: IngestedBlob, bytes: Buffer, options: CallOptions): Promise<void> {
    const response = await upload.finish(blob.digest, bytes.byteLength === 0 ? undefined : bytes, options);
    if (response.status === 404 || response.status === 416) {
      await discard(response);
      // The answer to an earlier try may have been lost, and with it the upload.
      if (await this.has(blob.digest, options)) return;
      throw lost(this.#session.registry);
    }
    await this.accept(response, blob.digest);
  }

  /** What PUT was answered with. @throws IntegrityError; ToolError REGISTRY_* */
  async accept(response: HttpResponse, digest: Digest): Promise<void> {
    if (response.status < 200 || response.status > 299) throw await this.failure(response, 'PUT');
    await discard(response);
    checkStored(response, digest);
  }

  failure(response: HttpResponse, method: string): Promise<ToolError> {
    const { registry } = this.#session;
    return responseError(response, { method, registry, redact: (text) => this.#session.redact(text) });
  }

  /** Whether the repository has the blob. */
  async has(digest: Digest, { signal }: CallOptions): Promise<boolean> {
    const to = `${this.#repository}/blobs/${digest}`;
    const response = await this.#session.send({ method: 'HEAD', to, scopes: this.#scopes(), signal });
    await discard(response);
    return response.status === 200;
  }

  #post(query: string, moreScopes: readonly string[], options: CallOptions): Promise<HttpResponse> {
    return this.#session.send({
      method: 'POST',
      to: `${this.#repository}/blobs/uploads/${query}`,
      scopes: [...this.#scopes(), ...moreScopes],
      signal: options.signal,
    });
  }

  #scopes(): string[] {
    return [`repository:${this.#repository}:pull,push`];
  }

  #key(content: string): string {
    return `${this.#session.registry}/${this.#repository} ${content}`;
  }
}

/** What the registry says it stored the blob as, where it says so. */
function checkStored(response: HttpResponse, digest: Digest): void {
  const stored = response.headers.get('docker-content-digest');
  if (stored === undefined || !stored.startsWith('sha256:') || stored === digest) return;
  throw new IntegrityError(
    'BLOB_DIGEST_MISMATCH',
    `${response.url.host} stored the blob ${digest} under another digest`,
  );
}
