import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type CallOptions, type Descriptor, errorCode, ToolError, verifying } from '../../core/index.ts';
import { responseError } from './errors.ts';
import { discard, type HttpResponse } from './http.ts';
import type { RegistrySession } from './session.ts';
import { showUrl } from './shown.ts';

/** Brings blobs into one repository: POST, then PUT of the whole. distribution-spec, #pushing-blobs */
export class BlobUpload {
  readonly #session: RegistrySession;
  readonly #repository: string;

  constructor(session: RegistrySession, repository: string) {
    this.#session = session;
    this.#repository = repository;
  }

  async write(descriptor: Descriptor, content: Readable, options: CallOptions): Promise<void> {
    try {
      const started = await this.#post('', [], options);
      if (started.status !== 202) throw await this.#failure(started, 'POST');
      const location = await this.#location(started);
      location.searchParams.append('digest', descriptor.digest);
      await this.#put(location, descriptor, content, options);
    } finally {
      content.destroy();
    }
  }

  /** True when the registry took the blob over from the other repository. distribution-spec, #mounting-a-blob */
  async mount(descriptor: Descriptor, fromRepository: string, options: CallOptions): Promise<boolean> {
    const query = `?${new URLSearchParams({ mount: descriptor.digest, from: fromRepository })}`;
    const response = await this.#post(query, [`repository:${fromRepository}:pull`], options);
    if (response.status === 201) {
      await discard(response);
      return true;
    }
    if (response.status !== 202) {
      await discard(response);
      return false;
    }
    // The registry began an upload instead; it is not used, so that mounting and writing stay two things.
    await this.#cancel(await this.#location(response), options);
    return false;
  }

  async #put(location: URL, descriptor: Descriptor, content: Readable, options: CallOptions): Promise<void> {
    const checked = verifying(descriptor);
    const feeding = pipeline(content, checked, { signal: options.signal });
    const sending = this.#session
      .send({
        method: 'PUT',
        to: location,
        scopes: this.#scopes(),
        body: { stream: checked, size: descriptor.size },
        signal: options.signal,
      })
      // An early answer leaves the rest unsent.
      .finally(() => checked.destroy());
    const [fed, sent] = await Promise.allSettled([feeding, sending]);
    // Wrong bytes are the reason why the sending failed; the other way round the stream just ended early.
    if (fed.status === 'rejected' && errorCode(fed.reason) !== 'ERR_STREAM_PREMATURE_CLOSE') {
      if (sent.status === 'fulfilled') await discard(sent.value);
      throw fed.reason;
    }
    if (sent.status === 'rejected') throw sent.reason;
    if (sent.value.status < 200 || sent.value.status > 299) throw await this.#failure(sent.value, 'PUT');
    await discard(sent.value);
  }

  #post(query: string, moreScopes: readonly string[], options: CallOptions): Promise<HttpResponse> {
    return this.#session.send({
      method: 'POST',
      to: `${this.#repository}/blobs/uploads/${query}`,
      scopes: [...this.#scopes(), ...moreScopes],
      signal: options.signal,
    });
  }

  async #cancel(location: URL, options: CallOptions): Promise<void> {
    const response = await this.#session.send({
      method: 'DELETE',
      to: location,
      scopes: this.#scopes(),
      signal: options.signal,
    });
    await discard(response);
  }

  /** Where the upload goes on: absolute or relative, with a query that must be kept. */
  async #location(response: HttpResponse): Promise<URL> {
    await discard(response);
    const text = response.headers.get('location') ?? '';
    if (text === '' || !URL.canParse(text, response.url.href)) {
      throw new ToolError(
        'REGISTRY_UNEXPECTED_ANSWER',
        `${showUrl(response.url)} began an upload and did not say where`,
      );
    }
    const location = new URL(text, response.url);
    // A registry behind a proxy that ends TLS may not know that it is spoken to by https.
    if (response.url.protocol === 'https:' && location.host === response.url.host) location.protocol = 'https:';
    const secure =
      location.protocol === 'https:' || (location.protocol === 'http:' && response.url.protocol === 'http:');
    if (!secure) {
      throw new ToolError(
        'REGISTRY_REDIRECT_REFUSED',
        `${showUrl(response.url)} wants the upload sent to ${showUrl(location)}, without encryption`,
      );
    }
    return location;
  }

  #scopes(): string[] {
    return [`repository:${this.#repository}:pull,push`];
  }

  #failure(response: HttpResponse, method: string): Promise<ToolError> {
    const { registry } = this.#session;
    return responseError(response, { method, registry, redact: (text) => this.#session.redact(text) });
  }
}
