import { type CallOptions, ToolError } from '../../core/index.ts';
import {
  type AuthFile,
  findInAuthFile,
  parseAuthFile,
  sameRegistry,
  withAuth,
  withoutAuth,
  withoutAuths,
} from './auth-file.ts';
import { readAuthFile, writeAuthFile } from './auth-file-disk.ts';
import { eraseWithHelper, findWithHelper, listWithHelper, storeWithHelper } from './credential-helper.ts';

/** What a registry accepts: a name with a password (or access token), or a token that stands for a login. */
export type Credential =
  | { readonly username: string; readonly secret: string }
  | { readonly username?: string; readonly identityToken: string };

export interface FindOptions extends CallOptions {
  /** What the credential is for: one that is kept for a part of the registry goes before that of the whole. */
  readonly repository?: string;
}

export interface CredentialSource {
  /** For exactly this `host` or `host:port`; undefined when there is none. */
  find(registry: string, options?: FindOptions): Promise<Credential | undefined>;
}

/** Keys are registries, or with a path (`quay.io/team`) parts of them. */
export interface CredentialStore extends CredentialSource {
  /** @returns where the credential is now, for people: a file or a helper */
  save(key: string, credential: Credential, options?: CallOptions): Promise<string>;
  /** @returns whether there was one */
  erase(key: string, options?: CallOptions): Promise<boolean>;
  /** All that `save` would keep in the same file and its helpers. @returns what there was, by key */
  eraseAll(options?: CallOptions): Promise<readonly string[]>;
  /** The file or variable that knows a registry, for people; undefined when none does. */
  whereFound(registry: string, options?: FindOptions): Promise<string | undefined>;
}

export interface CredentialFiles {
  /** The JSON of a Docker config.json, as DOCKER_AUTH_CONFIG has it; asked first. */
  readonly dockerAuthConfig?: string;
  /** Docker's config.json and containers' auth.json, in the order to ask; the first is where logins are saved. */
  readonly files: readonly string[];
}

/** Credentials as Docker and containers tools keep them. Nothing is read before it is asked for. */
export function openCredentials(sources: CredentialFiles): CredentialStore {
  return new CredentialFileStore(sources);
}

class CredentialFileStore implements CredentialStore {
  readonly #sources: CredentialFiles;

  constructor(sources: CredentialFiles) {
    this.#sources = sources;
  }

  async find(registry: string, options: FindOptions = {}): Promise<Credential | undefined> {
    return (await this.#firstThatKnows(registry, options))?.credential;
  }

  async whereFound(registry: string, options: FindOptions = {}): Promise<string | undefined> {
    return (await this.#firstThatKnows(registry, options))?.where;
  }

  async save(key: string, credential: Credential, options: CallOptions = {}): Promise<string> {
    const file = this.#saveFile();
    const auths = await readAuthFile(file);
    const helper = auths === undefined ? undefined : helperFor(auths, key);
    if (helper !== undefined) {
      if (isPartOfRegistry(key)) {
        throw new ToolError(
          'REGISTRY_CREDENTIAL_HELPER',
          `docker-credential-${helper} keeps credentials of registries only, not of ${key}`,
          { hint: `log in to ${hostOf(key)}, or give a file without helpers: --authfile FILE` },
        );
      }
      await storeWithHelper(helper, key, credential, options);
      return `the credential helper docker-credential-${helper}`;
    }
    await writeAuthFile(file, withAuth(auths, key, credential));
    return file;
  }

  async erase(key: string, options: CallOptions = {}): Promise<boolean> {
    const file = this.#saveFile();
    const auths = await readAuthFile(file);
    if (auths === undefined) return false;
    const helper = isPartOfRegistry(key) ? undefined : helperFor(auths, key);
    const erased = helper !== undefined && (await eraseWithHelper(helper, key, options));
    const rest = withoutAuth(auths, key);
    if (rest !== undefined) await writeAuthFile(file, rest);
    return erased || rest !== undefined;
  }

  async eraseAll(options: CallOptions = {}): Promise<readonly string[]> {
    const file = this.#saveFile();
    const auths = await readAuthFile(file);
    if (auths === undefined) return [];
    const erased = new Set(auths.auths.map(([key]) => key));
    for (const [registry, helper] of auths.credHelpers) {
      if (await eraseWithHelper(helper, registry, options)) erased.add(registry);
    }
    if (auths.credsStore !== undefined) {
      for (const registry of await listWithHelper(auths.credsStore, options)) {
        if (await eraseWithHelper(auths.credsStore, registry, options)) erased.add(registry);
      }
    }
    if (auths.auths.length > 0) await writeAuthFile(file, withoutAuths(auths));
    return [...erased].sort();
  }

  async #firstThatKnows(
    registry: string,
    options: FindOptions,
  ): Promise<{ readonly credential: Credential; readonly where: string } | undefined> {
    const { dockerAuthConfig, files } = this.#sources;
    if (dockerAuthConfig) {
      const where = 'DOCKER_AUTH_CONFIG';
      const credential = await findIn(parseAuthFile(dockerAuthConfig, where), registry, options);
      if (credential !== undefined) return { credential, where };
    }
    for (const file of files) {
      const auths = await readAuthFile(file);
      const credential = auths === undefined ? undefined : await findIn(auths, registry, options);
      if (credential !== undefined) return { credential, where: file };
    }
    return undefined;
  }

  #saveFile(): string {
    const file = this.#sources.files[0];
    if (file === undefined)
      throw new ToolError('REGISTRY_CREDENTIALS_INVALID', 'there is no file to keep credentials in');
    return file;
  }
}

async function findIn(auths: AuthFile, registry: string, options: FindOptions): Promise<Credential | undefined> {
  const helper = helperFor(auths, registry);
  const helped = helper === undefined ? undefined : await findWithHelper(helper, registry, options);
  return helped ?? findInAuthFile(auths, registry, options.repository);
}

/** A helper for the host goes before the one for all. */
function helperFor(auths: AuthFile, key: string): string | undefined {
  const host = hostOf(key);
  return auths.credHelpers.find(([found]) => sameRegistry(found, host))?.[1] ?? auths.credsStore;
}

function isPartOfRegistry(key: string): boolean {
  return key.includes('/');
}

function hostOf(key: string): string {
  return key.split('/', 1)[0] ?? key;
}
