import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { endOfArchive, member } from '../../runtime/layer/raw-tar.testing.ts';

export interface StallingRegistry extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string;
  /** A layer is half sent, and its rest will not come. */
  readonly stalled: Promise<void>;
}

/** A registry with one image, whatever its name, whose only layer never arrives. */
export async function startStallingRegistry(): Promise<StallingRegistry> {
  const layer = Buffer.concat([member({ name: 'large', content: Buffer.alloc(4 << 20, 1) }), endOfArchive]);
  const digest = (bytes: Buffer) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digest(layer)] },
    }),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const part = (type: string, bytes: Buffer) => ({ mediaType: type, digest: digest(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: part('application/vnd.oci.image.config.v1+json', config),
      layers: [part('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  const reached = Promise.withResolvers<void>();
  const send = (response: ServerResponse, bytes: Buffer, type = 'application/octet-stream') =>
    response
      .writeHead(200, { 'content-type': type, 'content-length': bytes.length, 'docker-content-digest': digest(bytes) })
      .end(bytes);
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url.includes('/manifests/')) send(response, manifest, mediaType);
    else if (url.endsWith(digest(config))) send(response, config);
    else if (!url.endsWith(digest(layer))) response.writeHead(url === '/v2/' ? 200 : 404).end();
    else {
      response.writeHead(200, { 'content-length': layer.length });
      if (request.method === 'HEAD') response.end();
      else response.write(layer.subarray(0, layer.length >> 1), () => reached.resolve());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return {
    host: `127.0.0.1:${address.port}`,
    stalled: reached.promise,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
