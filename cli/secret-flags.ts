import { createReadStream, statSync } from 'node:fs';
import path from 'node:path';
import type { SecretSource } from '../builder/index.ts';
import { type CallOptions, errorCode, nearest, ToolError } from '../core/index.ts';
import type { Context } from './context.ts';

export const noSecrets: SecretSource = { find: async () => undefined };

/** As BuildKit's limit. */
const maxSecretBytes = 500 * 1024;

type SecretContext = Pick<Context, 'env' | 'folder'>;

/** Where one secret is: a file, absolute path, or a variable of the environment. */
type SecretPlace = { readonly kind: 'file'; readonly file: string } | { readonly kind: 'env'; readonly name: string };

/**
 * `--secret id=ID[,src=FILE|,env=NAME][,type=file|env]`, as docker takes it; with an id alone, the variable of that
 * name, else the file of that name. A file is read when a step asks for it, and once.
 * @throws ToolError USAGE_SECRET
 */
export function secretsOf(flags: readonly string[], context: SecretContext): SecretSource {
  const places = new Map<string, SecretPlace>();
  for (const text of flags) {
    const [id, place] = parseSecret(text, context);
    if (places.has(id)) throw wrongSecret(text, `the secret ${id} is given twice`);
    places.set(id, place);
  }
  const values = new Map<string, Promise<Buffer | undefined>>();
  return {
    find(id, options) {
      const place = places.get(id);
      if (place === undefined) return Promise.resolve(undefined);
      const value = values.get(id) ?? readSecret(id, place, context, options);
      values.set(id, value);
      return value;
    },
    absence(id) {
      const place = places.get(id);
      return place?.kind === 'env' && context.env[place.name] === undefined
        ? `the variable ${place.name} is not set`
        : undefined;
    },
  };
}

/**
 * `--ssh default|ID[=SOCKET]`; without a socket, that of SSH_AUTH_SOCK. Ids to absolute paths.
 * @throws ToolError USAGE_SSH
 */
export function sshAgentsOf(flags: readonly string[], { env, folder }: SecretContext): ReadonlyMap<string, string> {
  const agents = new Map<string, string>();
  for (const text of flags) {
    const equals = text.indexOf('=');
    const id = equals === -1 ? text : text.slice(0, equals);
    const given = equals === -1 ? env.SSH_AUTH_SOCK : text.slice(equals + 1);
    if (!isId(id)) throw wrongAgent(text, `${JSON.stringify(id)} is no id`, 'write default, or ID=SOCKET');
    if (agents.has(id)) throw wrongAgent(text, `the agent ${id} is given twice`, 'give each id once');
    if (given === undefined || given === '') {
      const hint = `start one (eval "$(ssh-agent)"; ssh-add), or name its socket: --ssh ${id}=SOCKET`;
      throw wrongAgent(text, 'SSH_AUTH_SOCK is not set: there is no ssh agent', hint);
    }
    agents.set(id, socketAt(path.resolve(folder, given), text));
  }
  return agents;
}

function parseSecret(text: string, { env, folder }: SecretContext): readonly [string, SecretPlace] {
  const keys = ['id', 'src', 'source', 'env', 'type'];
  const fields = new Map<string, string>();
  for (const field of byComma(text)) {
    const equals = field.indexOf('=');
    const key = (equals === -1 ? field : field.slice(0, equals)).trim().toLowerCase();
    if (equals === -1 || !keys.includes(key)) {
      const near = nearest(key, keys);
      throw wrongSecret(
        text,
        `it has ${JSON.stringify(shown(field))}${near === undefined ? '' : `; did you mean ${near}=…?`}`,
      );
    }
    fields.set(key === 'source' ? 'src' : key, field.slice(equals + 1));
  }
  const [id, type, src] = [fields.get('id'), fields.get('type'), fields.get('src')];
  const name = fields.get('env') ?? (type === 'env' ? src : undefined);
  const file = type === 'env' && !fields.has('env') ? undefined : src;
  if (id === undefined || !isId(id)) throw wrongSecret(text, 'it has no id that a step could name');
  if (type !== undefined && type !== 'file' && type !== 'env') throw wrongSecret(text, `type ${type} is unknown`);
  if (file !== undefined && name !== undefined) throw wrongSecret(text, 'it has a file and a variable');
  if (file === '' || name === '') throw wrongSecret(text, 'it names nothing');
  if (name !== undefined) return [id, { kind: 'env', name }];
  if (file === undefined && (type === 'env' || env[id] !== undefined)) return [id, { kind: 'env', name: id }];
  return [id, { kind: 'file', file: path.resolve(folder, file ?? id) }];
}

/** A variable that is not set is a secret that is not there; a file that is not there is a mistake. */
async function readSecret(
  id: string,
  place: SecretPlace,
  { env }: SecretContext,
  options: CallOptions = {},
): Promise<Buffer | undefined> {
  const value = place.kind === 'file' ? await readStart(id, place.file, options) : bytesOf(env[place.name]);
  if (value !== undefined && value.length > maxSecretBytes) {
    throw new ToolError('SECRET_TOO_LARGE', `the secret ${id} is larger than ${maxSecretBytes / 1024} KiB`, {
      hint: 'bind a file of that size instead of calling it a secret',
    });
  }
  return value;
}

function bytesOf(text: string | undefined): Buffer | undefined {
  return text === undefined ? undefined : Buffer.from(text);
}

/** One byte more than allowed at most. */
async function readStart(id: string, file: string, { signal }: CallOptions): Promise<Buffer> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of createReadStream(file, {
      end: maxSecretBytes,
      ...(signal === undefined ? {} : { signal }),
    }))
      chunks.push(chunk);
  } catch (cause) {
    signal?.throwIfAborted();
    throw new ToolError('SECRET_UNREADABLE', `the secret ${id} cannot be read from ${file} (${errorCode(cause)})`, {
      cause,
      hint: `name the right file: --secret id=${id},src=FILE`,
    });
  }
  return Buffer.concat(chunks);
}

/** Fields of a line of CSV, as docker splits it. */
function byComma(text: string): string[] {
  const fields = text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g);
  return [...fields].map(([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '');
}

function socketAt(file: string, text: string): string {
  let isSocket: boolean;
  try {
    isSocket = statSync(file).isSocket();
  } catch (cause) {
    throw wrongAgent(text, `there is nothing at ${file} (${errorCode(cause)})`, 'name the socket of a running agent');
  }
  if (!isSocket)
    throw wrongAgent(text, `${file} is no socket`, 'add a key to an agent with ssh-add, and give its socket');
  return file;
}

/** As the Buildfile's mounts take it. */
function isId(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(text);
}

function wrongSecret(text: string, problem: string): ToolError {
  return new ToolError('USAGE_SECRET', `--secret ${shown(text)}: ${problem}`, {
    hint: 'write id=ID,src=FILE or id=ID,env=NAME',
  });
}

function wrongAgent(text: string, problem: string, hint: string): ToolError {
  return new ToolError('USAGE_SSH', `--ssh ${text}: ${problem}`, { hint });
}

/** Somebody may have written the secret itself. */
function shown(text: string): string {
  return text.length > 24 ? `${text.slice(0, 16)}…` : text;
}
