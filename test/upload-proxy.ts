import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface UploadProxy extends AsyncDisposable {
  /** `127.0.0.1:port`; what is sent there goes to the registry. */
  readonly host: string;
  /** Bytes that clients sent through it so far. */
  sent(): number;
  /** Requests of this method that clients began so far. */
  requests(method: string): number;
  /** Resolves when the `count`th further PATCH begins; nothing that clients send is passed on from there until `drop`. */
  holdAtPatch(count: number): Promise<void>;
  /** Ends the connections that are held; what they sent meanwhile goes nowhere. */
  drop(): void;
  /** Breaks each connection once when this many further bytes have been sent through it. */
  cutAfter(bytes: number): void;
  cuts(): number;
}

/** Stands between clients and a registry, and counts, holds or cuts. */
export async function startUploadProxy(registry: string): Promise<UploadProxy> {
  const [address = '', port = ''] = registry.split(':');
  const sockets = new Set<Socket>();
  const methods = new Map<string, number>();
  let sent = 0;
  let cutLeft = Number.POSITIVE_INFINITY;
  let cuts = 0;
  let patchesLeft = Number.POSITIVE_INFINITY;
  let held: PromiseWithResolvers<void> | undefined;
  let released: PromiseWithResolvers<void> | undefined;

  const server = createServer((client) => {
    const upstream = connect(Number(port), address);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    upstream.pipe(client);
    client.on('close', () => upstream.destroy());
    void passOn(client, upstream).catch(() => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const own = server.address();

  async function passOn(client: Socket, upstream: Socket): Promise<void> {
    for await (const chunk of client as AsyncIterable<Buffer>) {
      const method = /^([A-Z]+) \/v2\//.exec(chunk.subarray(0, 32).toString('latin1'))?.[1];
      if (method !== undefined) methods.set(method, (methods.get(method) ?? 0) + 1);
      if (method === 'PATCH' && --patchesLeft === 0) {
        released = Promise.withResolvers<void>();
        held?.resolve();
      }
      if (released !== undefined) {
        await released.promise;
        client.destroy();
        break;
      }
      sent += chunk.byteLength;
      cutLeft -= chunk.byteLength;
      if (cutLeft <= 0) {
        cutLeft = Number.POSITIVE_INFINITY;
        cuts += 1;
        client.destroy();
        break;
      }
      if (!upstream.write(chunk)) await once(upstream, 'drain');
    }
    upstream.end();
  }

  return {
    host: `127.0.0.1:${typeof own === 'object' ? own?.port : ''}`,
    sent: () => sent,
    requests: (method) => methods.get(method) ?? 0,
    holdAtPatch(count) {
      patchesLeft = count;
      held = Promise.withResolvers<void>();
      return held.promise;
    },
    drop() {
      released?.resolve();
      released = undefined;
    },
    cutAfter(bytes) {
      cutLeft = bytes;
    },
    cuts: () => cuts,
    async [Symbol.asyncDispose]() {
      released?.resolve();
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
