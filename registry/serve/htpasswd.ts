import { createHmac, randomBytes } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { type Clock, InFlight, limiter, ToolError } from '../../core/index.ts';
import { type Authenticator, everybody, type Sender } from './access.ts';
import { bcryptHash, matchesHash } from './bcrypt.ts';
import { RequestError } from './request-error.ts';

const cacheMs = 5 * 60_000;
const maxCached = 10_000;
const maxWaiting = 64;
const maxFileBytes = 4 * 1024 * 1024;
/** bcrypt reads no further. */
const maxSecretBytes = 1024;
/** Salt and hash that the secret of an unknown user is compared with. */
const nobody = 'abcdefghijklmnopqrstuuUcfVHRC3aWn1Ylg6DeT7jHE5gXxjbZe';

/**
 * Reads a password file: `USER:HASH` per line, hashes of bcrypt only; empty lines and those that begin with # are
 * passed over.
 * @param where named in errors, which repeat nothing of the line
 * @throws ToolError SERVE_HTPASSWD_INVALID
 */
export function parseHtpasswd(text: string, where: string): ReadonlyMap<string, string> {
  const users = new Map<string, string>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const colon = line.indexOf(':');
    const [user, hash] = [line.slice(0, Math.max(colon, 0)), line.slice(colon + 1)];
    if (user === '' || !bcryptHash.test(hash)) {
      throw new ToolError('SERVE_HTPASSWD_INVALID', `line ${index + 1} of ${where} is not a user with a bcrypt hash`, {
        hint: `write it with: htpasswd -B ${where} USER`,
      });
    }
    // As with docker-registry, the last of two lines counts.
    users.set(user, hash);
  }
  return users;
}

/** Reads the `Authorization` header of basic authentication. RFC 7617 */
export function parseBasic(header: string): { readonly user: string; readonly secret: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+={0,2})$/i.exec(header.trim()) ?? [];
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  return { user: text.slice(0, colon), secret: text.slice(colon + 1) };
}

/** Lets those in whose password is in a file, which is read again when it changed. */
export class HtpasswdAuthenticator implements Authenticator {
  readonly #file: string;
  readonly #clock: Clock;
  readonly #onWarning: (text: string) => void;
  /** Passwords are kept only as what this key, which dies with the process, makes of them. */
  readonly #key = randomBytes(32);
  readonly #verified = new Map<string, number>();
  readonly #checking = new InFlight<boolean>();
  readonly #oneAtATime = limiter(1);
  #waiting = 0;
  #users: ReadonlyMap<string, string> = new Map();
  #seen = '';

  private constructor(file: string, clock: Clock, onWarning: (text: string) => void) {
    this.#file = file;
    this.#clock = clock;
    this.#onWarning = onWarning;
  }

  /** @throws ToolError SERVE_HTPASSWD_INVALID, SERVE_HTPASSWD_UNREADABLE */
  static async open(
    file: string,
    options: { readonly clock: Clock; readonly onWarning?: (text: string) => void },
  ): Promise<HtpasswdAuthenticator> {
    const made = new HtpasswdAuthenticator(file, options.clock, options.onWarning ?? (() => {}));
    await made.#read();
    return made;
  }

  async admit(authorization: string | undefined): Promise<Sender> {
    const given = authorization === undefined ? undefined : parseBasic(authorization);
    if (given === undefined) throw unauthorized('authentication required');
    await this.#readAgain();
    if (!(await this.#isRight(given))) throw unauthorized('the user or the password is wrong');
    return { ...everybody, name: given.user };
  }

  async #isRight({ user, secret }: { readonly user: string; readonly secret: string }): Promise<boolean> {
    if (Buffer.byteLength(secret) > maxSecretBytes) return false;
    const known = this.#users.get(user);
    const hash = known ?? this.#nobody();
    const key = createHmac('sha256', this.#key)
      .update(JSON.stringify([user, hash, secret]))
      .digest('base64');
    if ((this.#verified.get(key) ?? 0) > this.#clock.now()) return true;
    const matches = (await this.#compare(key, secret, hash)) && known !== undefined;
    if (matches) this.#remember(key);
    return matches;
  }

  /** Of the same cost as the others': names cannot be told by the time it takes. */
  #nobody(): string {
    const [first = '$2b$10$'] = this.#users.values();
    return `${first.slice(0, 7)}${nobody}`;
  }

  /** The same question is asked once; others wait for their turn, and too many are sent away. */
  #compare(key: string, secret: string, hash: string): Promise<boolean> {
    return this.#checking.run(key, async () => {
      if (this.#waiting >= maxWaiting) {
        const problem = { code: 'TOOMANYREQUESTS', message: 'too many log in at once' } as const;
        throw new RequestError(429, problem, { 'Retry-After': '5' });
      }
      this.#waiting++;
      try {
        return await this.#oneAtATime(() => matchesHash(secret, hash));
      } finally {
        this.#waiting--;
      }
    });
  }

  #remember(key: string): void {
    const now = this.#clock.now();
    if (this.#verified.size >= maxCached) {
      for (const [old, untilMs] of this.#verified) if (untilMs <= now) this.#verified.delete(old);
      if (this.#verified.size >= maxCached) this.#verified.clear();
    }
    this.#verified.set(key, now + cacheMs);
  }

  /** A file that was damaged while it is in use does not lock everybody out: who was let in still is. */
  async #readAgain(): Promise<void> {
    try {
      await this.#read();
    } catch (error) {
      if (!(error instanceof ToolError)) throw error;
      this.#onWarning(`${error.message}; the users of before still count`);
    }
  }

  async #read(): Promise<void> {
    try {
      const { ino, size, mtimeNs, ctimeNs } = await stat(this.#file, { bigint: true });
      const seen = `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
      if (seen === this.#seen) return;
      if (size > maxFileBytes) throw new ToolError('SERVE_HTPASSWD_INVALID', `${this.#file} is too large`);
      // Said once about one state of the file.
      this.#seen = seen;
      this.#users = parseHtpasswd(await readFile(this.#file, 'utf8'), this.#file);
    } catch (cause) {
      if (cause instanceof ToolError) throw cause;
      throw new ToolError('SERVE_HTPASSWD_UNREADABLE', `the password file ${this.#file} cannot be read`, { cause });
    }
  }
}

function unauthorized(message: string): RequestError {
  const problem = { code: 'UNAUTHORIZED', message } as const;
  return new RequestError(401, problem, { 'WWW-Authenticate': 'Basic realm="kiln", charset="UTF-8"' });
}
