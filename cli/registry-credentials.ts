import { type Reference, ToolError } from '../core/index.ts';
import type { Credential, CredentialSource, FindOptions, HostConfiguration } from '../registry/index.ts';
import type { Context } from './context.ts';
import { ask, readSecret } from './prompt.ts';
import type { Terminal } from './terminal.ts';
import { warn } from './warn.ts';

/** What a command line says of a login. */
export interface GivenLogin {
  /** `user` or `user:password` */
  readonly creds?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly 'password-stdin'?: boolean;
}

/** stdin can be read once: both sides of a copy mean the same password by it. */
const secrets = new WeakMap<Terminal['input'], Promise<string>>();

/**
 * The user name and password that flags name; what they leave out is asked for on the terminal.
 * @throws ToolError USAGE_CREDENTIALS, USAGE_NO_TERMINAL
 */
export async function askForLogin(context: Context, given: GivenLogin): Promise<{ username: string; secret: string }> {
  const { terminal, signal } = context;
  const { username: name, password, fromStdin } = checkLogin(given);
  if (password !== undefined)
    warn(context, 'a password on the command line is visible to others; use --password-stdin');
  const hint = 'give --username NAME and --password-stdin';
  const username = name ?? (await ask(terminal, 'Username', { signal, hint }));
  const secret = fromStdin
    ? await secretFromStdin(context)
    : (password ?? (await ask(terminal, 'Password', { signal, hint, secret: true })));
  if (username === '' || secret === '') {
    throw new ToolError('USAGE_CREDENTIALS', `the ${username === '' ? 'username' : 'password'} is empty`);
  }
  return { username, secret };
}

/** All of stdin, also when it is asked for twice. */
export function secretFromStdin({ terminal, signal }: Context): Promise<string> {
  const known = secrets.get(terminal.input);
  if (known !== undefined) return known;
  const reading = readSecret(terminal, { signal });
  secrets.set(terminal.input, reading);
  return reading;
}

function checkLogin(given: GivenLogin): { username?: string; password?: string; fromStdin: boolean } {
  const { creds, username, password } = given;
  const fromStdin = given['password-stdin'] ?? false;
  const refuse = (message: string, hint?: string): ToolError => new ToolError('USAGE_CREDENTIALS', message, { hint });
  if (fromStdin && password !== undefined) throw refuse('--password and --password-stdin exclude each other');
  if (creds !== undefined && (username !== undefined || fromStdin)) {
    throw refuse('--creds excludes --username and --password-stdin');
  }
  if (fromStdin && username === undefined) throw refuse('--password-stdin needs --username', 'add --username NAME');
  if (creds === undefined) {
    return {
      fromStdin,
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }
  const colon = creds.indexOf(':');
  return colon === -1
    ? { fromStdin, username: creds }
    : { fromStdin, username: creds.slice(0, colon), password: creds.slice(colon + 1) };
}

/** The login that flags name, for one registry; for all others what is saved. */
export class FlagCredentials implements CredentialSource {
  readonly #context: Context;
  readonly #given: GivenLogin;
  readonly #saved: CredentialSource;
  #registry: string | undefined;
  #login: Promise<Credential> | undefined;

  private constructor(context: Context, given: GivenLogin, saved: CredentialSource) {
    this.#context = context;
    this.#given = given;
    this.#saved = saved;
  }

  /** Undefined when the flags name none. */
  static from(context: Context, given: GivenLogin, saved: CredentialSource): FlagCredentials | undefined {
    const { creds, username } = given;
    checkLogin(given);
    if (creds === undefined && username === undefined) return undefined;
    return new FlagCredentials(context, given, saved);
  }

  /** Takes the first registry that is asked for as the one that was meant. */
  watching(hosts: HostConfiguration): HostConfiguration {
    return {
      endpoints: (reference: Pick<Reference, 'registry' | 'repository'>, options) => {
        this.#registry ??= reference.registry;
        return hosts.endpoints(reference, options);
      },
    };
  }

  find(registry: string, options?: FindOptions): Promise<Credential | undefined> {
    if (registry !== this.#registry) return this.#saved.find(registry, options);
    this.#login ??= askForLogin(this.#context, this.#given);
    return this.#login;
  }
}
