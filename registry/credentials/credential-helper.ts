import { execFile } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { type CallOptions, errorCode, streamOf, ToolError } from '../../core/index.ts';
import { registryKey } from './auth-file.ts';
import type { Credential } from './credentials.ts';

const run = promisify(execFile);

/** What helpers print, with exit status 1, when they know nothing. */
const notFound = 'credentials not found in native keychain';
/** The user name that says the secret is an identity token. */
const tokenUser = '<token>';
const maxAnswerBytes = 1024 * 1024;
/** Some ask a person for the password of a keychain. */
const patienceMs = 120_000;

export interface HelperOptions extends CallOptions {
  /** How long a helper may take; 2 minutes unless said. */
  readonly patienceMs?: number;
}

/**
 * Asks `docker-credential-<suffix>`. Undefined when it knows nothing of the registry.
 * https://github.com/docker/docker-credential-helpers#development
 * @throws ToolError REGISTRY_CREDENTIAL_HELPER
 */
export async function findWithHelper(
  suffix: string,
  registry: string,
  options: HelperOptions = {},
): Promise<Credential | undefined> {
  const answer = await call(suffix, 'get', registryKey(registry), options);
  return answer === undefined ? undefined : parseAnswer(answer, suffix);
}

/** @throws ToolError REGISTRY_CREDENTIAL_HELPER */
export async function storeWithHelper(
  suffix: string,
  registry: string,
  credential: Credential,
  options: HelperOptions = {},
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
export async function eraseWithHelper(suffix: string, registry: string, options: HelperOptions = {}): Promise<boolean> {
  if ((await call(suffix, 'get', registryKey(registry), options)) === undefined) return false;
  await call(suffix, 'erase', registryKey(registry), options);
  return true;
}

/**
 * The registries a helper knows.
 * @throws ToolError REGISTRY_CREDENTIAL_HELPER
 */
export async function listWithHelper(suffix: string, options: HelperOptions = {}): Promise<readonly string[]> {
  const answer = parseObject((await call(suffix, 'list', '', options)) ?? '{}', suffix);
  return Object.keys(answer);
}

async function call(
  suffix: string,
  verb: 'get' | 'store' | 'erase' | 'list',
  input: string,
  options: HelperOptions,
): Promise<string | undefined> {
  // The suffix comes out of a file and becomes the name of a program: no paths.
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(suffix)) throw failed(suffix, 'is no name of a helper');
  const tooLong = AbortSignal.timeout(options.patienceMs ?? patienceMs);
  const running = run(`docker-credential-${suffix}`, [verb], {
    maxBuffer: maxAnswerBytes,
    signal: AbortSignal.any(options.signal === undefined ? [tooLong] : [tooLong, options.signal]),
    windowsHide: true,
  });
  const { stdin } = running.child;
  // A helper that does not read its input still answers with its exit status.
  const feeding = stdin === null ? undefined : pipeline(streamOf(Buffer.from(input)), stdin);
  const [ran] = await Promise.allSettled([running, feeding]);
  // The signal ends it by SIGTERM, which it may ignore.
  if (running.child.exitCode === null && running.child.signalCode === null) running.child.kill('SIGKILL');
  if (ran.status === 'fulfilled') return ran.value.stdout;
  options.signal?.throwIfAborted();
  if (tooLong.aborted) throw failed(suffix, `did not ${verb} credentials in time`);
  // What else it printed is not shown: it may be the secret.
  if (printed(ran.reason).includes(notFound)) return undefined;
  throw failed(suffix, errorCode(ran.reason) === 'ENOENT' ? 'is not installed' : `failed to ${verb} credentials`);
}

function printed(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { stdout, stderr } = error as { stdout?: unknown; stderr?: unknown };
  return `${typeof stdout === 'string' ? stdout : ''}${typeof stderr === 'string' ? stderr : ''}`;
}

function parseAnswer(text: string, suffix: string): Credential | undefined {
  const { Username: username, Secret: secret } = parseObject(text, suffix);
  if (typeof username !== 'string' || typeof secret !== 'string') throw failed(suffix, 'gave no Username and Secret');
  if (username === '' && secret === '') return undefined;
  return username === tokenUser ? { identityToken: secret } : { username, secret };
}

function parseObject(text: string, suffix: string): Readonly<Record<string, unknown>> {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // Not kept as a cause: the message would quote the secret.
    throw failed(suffix, 'did not answer with JSON');
  }
  return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {};
}

function failed(suffix: string, why: string): ToolError {
  return new ToolError('REGISTRY_CREDENTIAL_HELPER', `the credential helper docker-credential-${suffix} ${why}`, {
    hint: 'install it, or take it out of credsStore and credHelpers in the Docker config',
  });
}
