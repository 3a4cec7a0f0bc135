import { execFile } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { type CallOptions, errorCode, streamOf, ToolError } from '../core/index.ts';
import { registryKey } from './auth-file.ts';
import type { Credential } from './credentials.ts';

const run = promisify(execFile);

/** What helpers print, with exit status 1, when they know nothing. */
const notFound = 'credentials not found in native keychain';
/** The user name that says the secret is an identity token. */
const tokenUser = '<token>';
const maxAnswerBytes = 1024 * 1024;

/**
 * Asks `docker-credential-<suffix>`. Undefined when it knows nothing of the registry.
 * https://github.com/docker/docker-credential-helpers#development
 * @throws ToolError REGISTRY_CREDENTIAL_HELPER
 */
export async function findWithHelper(
  suffix: string,
  registry: string,
  options: CallOptions = {},
): Promise<Credential | undefined> {
  const answer = await call(suffix, 'get', registryKey(registry), options);
  return answer === undefined ? undefined : parseAnswer(answer, suffix);
}

/** @throws ToolError REGISTRY_CREDENTIAL_HELPER */
export async function storeWithHelper(
  suffix: string,
  registry: string,
  credential: Credential,
  options: CallOptions = {},
): Promise<void> {
  const [username, secret] =
    'identityToken' in credential ? [tokenUser, credential.identityToken] : [credential.username, credential.secret];
  await call(
    suffix,
    'store',
    JSON.stringify({ ServerURL: registryKey(registry), Username: username, Secret: secret }),
    options,
  );
}

/**
 * False when there was nothing to erase.
 * @throws ToolError REGISTRY_CREDENTIAL_HELPER
 */
export async function eraseWithHelper(suffix: string, registry: string, options: CallOptions = {}): Promise<boolean> {
  if ((await call(suffix, 'get', registryKey(registry), options)) === undefined) return false;
  await call(suffix, 'erase', registryKey(registry), options);
  return true;
}

async function call(
  suffix: string,
  verb: 'get' | 'store' | 'erase',
  input: string,
  options: CallOptions,
): Promise<string | undefined> {
  // The suffix comes out of a file and becomes the name of a program: no paths.
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(suffix)) throw failed(suffix, 'is no name of a helper');
  const running = run(`docker-credential-${suffix}`, [verb], {
    maxBuffer: maxAnswerBytes,
    signal: options.signal,
    windowsHide: true,
  });
  const { stdin } = running.child;
  // A helper that does not read its input still answers with its exit status.
  const feeding = stdin === null ? undefined : pipeline(streamOf(Buffer.from(input)), stdin);
  const [ran] = await Promise.allSettled([running, feeding]);
  if (ran.status === 'fulfilled') return ran.value.stdout;
  options.signal?.throwIfAborted();
  if (printed(ran.reason).includes(notFound)) return undefined;
  throw failed(suffix, errorCode(ran.reason) === 'ENOENT' ? 'is not installed' : `failed to ${verb} credentials`);
}

function printed(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stdout, stderr } = error as { stdout?: unknown; stderr?: unknown };
  return `${typeof stdout === 'string' ? stdout : ''}${typeof stderr === 'string' ? stderr : ''}`;
}

function parseAnswer(text: string, suffix: string): Credential | undefined {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // Not kept as a cause: the message would quote the secret.
    throw failed(suffix, 'did not answer with JSON');
  }
  const { Username: username, Secret: secret } = (
    typeof answer === 'object' && answer !== null ? answer : {}
  ) as Record<string, unknown>;
  if (typeof username !== 'string' || typeof secret !== 'string') throw failed(suffix, 'gave no Username and Secret');
  if (username === '' && secret === '') return undefined;
  return username === tokenUser ? { identityToken: secret } : { username, secret };
}

function failed(suffix: string, why: string): ToolError {
  return new ToolError('REGISTRY_CREDENTIAL_HELPER', `the credential helper docker-credential-${suffix} ${why}`, {
    hint: 'install it, or take it out of credsStore and credHelpers in the Docker config',
  });
}
