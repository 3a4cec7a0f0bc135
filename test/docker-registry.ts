import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** The user that `htpasswd` lets in; the hash is bcrypt's of the password. */
export const registryUser = { username: 'kiln', secret: 'correct horse' } as const;
export const registryHtpasswd = 'kiln:$2b$04$y9l.cyGSguEjo48fu4cpTO58.JAeacnvdiNQeFl1fbscmuBOqjXoO\n';

export interface DockerRegistryOptions {
  /** `htpasswd`: only `registryUser`, by basic authentication; a token service: bearer tokens signed by its key. */
  readonly auth?: 'htpasswd' | TokenAuth;
  readonly tls?: ServerTls;
}

/** Files, PEM. */
export interface ServerTls {
  readonly certificate: string;
  readonly key: string;
  /** Authorities of clients: who has no certificate of theirs is turned away. */
  readonly clientAuthorities?: readonly string[];
}

export interface TokenAuth {
  readonly realm: string;
  readonly service: string;
  readonly issuer: string;
  /** File with the PEM certificate of the key that signs. */
  readonly rootcertbundle: string;
}

export interface DockerRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
}

/** Starts Debian's docker-registry on a free loopback port, empty; disposing ends it and removes its data. */
export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-registry-'));
  const host = `127.0.0.1:${await freePort()}`;
  await writeFile(path.join(folder, 'htpasswd'), registryHtpasswd);
  // JSON is YAML.
  await writeFile(path.join(folder, 'config.yml'), JSON.stringify(configuration(folder, host, options)));
  const child = spawn('docker-registry', ['serve', path.join(folder, 'config.yml')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = `${log}${chunk.toString()}`.slice(-4096);
  });
  const ended = once(child, 'exit');
  const registry = {
    host,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) break;
    if (options.tls === undefined ? await answers(host) : await accepts(host)) return registry;
    await delay(25);
  }
  await registry[Symbol.asyncDispose]();
  throw new Error(`docker-registry did not start: ${log}`);
}

function configuration(folder: string, host: string, { auth, tls }: DockerRegistryOptions): object {
  return {
    version: 0.1,
    log: { level: 'error', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: path.join(folder, 'data') }, delete: { enabled: true } },
    http: {
      addr: host,
      ...(tls === undefined
        ? {}
        : { tls: { certificate: tls.certificate, key: tls.key, clientcas: tls.clientAuthorities ?? [] } }),
    },
    ...(auth === 'htpasswd' ? { auth: { htpasswd: { realm: 'kiln', path: path.join(folder, 'htpasswd') } } } : {}),
    ...(typeof auth === 'object' ? { auth: { token: auth } } : {}),
  };
}

async function answers(host: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${host}/v2/`);
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** Whether it takes connections: who it speaks to is another question. */
async function accepts(host: string): Promise<boolean> {
  const [hostname = '', port = ''] = host.split(':');
  const socket = connect(Number(port), hostname);
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return address.port;
}
