/** Remembers where uploads were left, by what they are of. What it says is checked, not trusted. */
export interface UploadMemory {
  find(key: string): Promise<string | undefined>;
  /** `location` opens the upload to whoever also has the registry's credentials. */
  keep(key: string, location: string): Promise<void>;
  forget(key: string): Promise<void>;
}

/** For as long as this process lives; what may be known to others is given on to `lasting`. */
export class UploadLocations {
  readonly #here = new Map<string, URL>();
  readonly #lasting: UploadMemory | undefined;

  constructor(lasting: UploadMemory | undefined) {
    this.#lasting = lasting;
  }

  async find(key: string): Promise<URL | undefined> {
    const here = this.#here.get(key);
    if (here !== undefined) return here;
    const text = (await this.#lasting?.find(key)) ?? '';
    const location = URL.canParse(text) ? new URL(text) : undefined;
    return location?.protocol === 'https:' || location?.protocol === 'http:' ? location : undefined;
  }

  /** @param isSecret the location alone opens the upload */
  async keep(key: string, location: URL, { isSecret }: { readonly isSecret: boolean }): Promise<void> {
    this.#here.set(key, location);
    if (!isSecret) await this.#lasting?.keep(key, location.href);
  }

  async forget(key: string): Promise<void> {
    this.#here.delete(key);
    await this.#lasting?.forget(key);
  }
}
