import { type CallOptions, ToolError } from '../core/index.ts';
import { type AuthFile, findInAuthFile, parseAuthFile, sameRegistry, withAuth, withoutAuth } from './auth-file.ts';
import { readAuthFile, writeAuthFile } from './auth-file-disk.ts';
import { eraseWithHelper, findWithHelper, storeWithHelper } from './credential-helper.ts';

/** What a registry accepts: a name with a password (or access token), or a token that stands for a login. */
export type Credential =
  | { readonly username: string; readonly secret: string }
  | { readonly username?: string; readonly identityToken: string };

export interface CredentialSource {
  /** For exactly this `host` or `host:port`; undefined when there is none. */
  find(registry: string, options?: CallOptions): Promise<Credential | undefined>;
}

export interface CredentialStore extends CredentialSource {
  /** @returns where the credential is now, for people: a file or a helper */
  save(registry: string, credential: Credential, options?: CallOptions): Promise<string>;
  /** @returns whether there was one */
  erase(registry: string, options?: CallOptions): Promise<boolean>;
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

  async find(registry: string, options: CallOptions = {}): Promise<Credential | undefined> {
    const { dockerAuthConfig, files } = this.#sources;
    if (dockerAuthConfig !== undefined) {
      const found = await findIn(parseAuthFile(dockerAuthConfig, 'DOCKER_AUTH_CONFIG'), registry, options);
      if (found !== undefined) return found;
    }
    for (const file of files) {
      const auths = await readAuthFile(file);
      const found = auths === undefined ? undefined : await findIn(auths, registry, options);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async save(registry: string, credential: Credential, options: CallOptions = {}): Promise<string> {
    const file = this.#saveFile();
    const auths = await readAuthFile(file);
    const helper = auths === undefined ? undefined : helperFor(auths, registry);
    if (helper !== undefined) {
      await storeWithHelper(helper, registry, credential, options);
      return `the credential helper docker-credential-${helper}`;
    }
    await writeAuthFile(file, withAuth(auths, registry, credential));
    return file;
  }

  async erase(registry: string, options: CallOptions = {}): Promise<boolean> {
    const file = this.#saveFile();
    const auths = await readAuthFile(file);
    if (auths === undefined) return false;
    const helper = helperFor(auths, registry);
    const erased = helper !== undefined && (await eraseWithHelper(helper, registry, options));
    const rest = withoutAuth(auths, registry);
    if (rest !== undefined) await writeAuthFile(file, rest);
    return erased || rest !== undefined;
  }

  #saveFile(): string {
    const file = this.#sources.files[0];
    if (file === undefined)
      throw new ToolError('REGISTRY_CREDENTIALS_INVALID', 'there is no file to keep credentials in');
    return file;
  }
}

async function findIn(auths: AuthFile, registry: string, options: CallOptions): Promise<Credential | undefined> {
  const helper = helperFor(auths, registry);
  const helped = helper === undefined ? undefined : await findWithHelper(helper, registry, options);
  return helped ?? findInAuthFile(auths, registry);
}

/** A helper for the host goes before the one for all. */
function helperFor(auths: AuthFile, registry: string): string | undefined {
  return auths.credHelpers.find(([key]) => sameRegistry(key, registry))?.[1] ?? auths.credsStore;
}
