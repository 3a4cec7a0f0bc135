import { once } from 'node:events';
import { mkdir, mkdtempDisposable, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { openAgentProxy } from './agent-proxy.ts';

const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

function temporary() {
  return mkdtempDisposable(path.join(tmpdir(), 'kiln-agent-'));
}

/** Answers each message with itself, type and all, and remembers what it got. */
async function echoAgent(file: string): Promise<AsyncDisposable & { readonly types: number[] }> {
  const types: number[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      types.push(bytes[4] ?? 0);
      socket.write(bytes);
    });
  }).listen(file);
  await once(server, 'listening');
  return {
    types,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

function message(type: number, body = ''): Buffer {
  const bytes = Buffer.concat([Buffer.from([0, 0, 0, 0, type]), Buffer.from(body)]);
  bytes.writeUInt32BE(bytes.length - 4);
  return bytes;
}

describe('openAgentProxy', () => {
  it('lets keys be listed and used, and refuses to add, remove or lock them', async () => {
    await using folder = await temporary();
    await using agent = await echoAgent(path.join(folder.path, 'agent'));
    await using proxy = await openAgentProxy(path.join(folder.path, 'agent'), folder.path, owner);
    const client = connect(proxy.socket);
    const answers: Buffer[] = [];

    for (const type of [11, 17, 13, 19, 22, 27]) {
      client.write(message(type, 'body'));
      const [answer] = await once(client, 'data');
      answers.push(answer);
    }
    client.destroy();

    expect(answers.map((answer) => answer[4])).toEqual([11, 5, 13, 5, 5, 27]);
    expect(agent.types).toEqual([11, 13, 27]);
  });

  it('puts messages together that come in pieces, and hangs up on one without end', async () => {
    await using folder = await temporary();
    await using _agent = await echoAgent(path.join(folder.path, 'agent'));
    await using proxy = await openAgentProxy(path.join(folder.path, 'agent'), folder.path, owner);
    const client = connect(proxy.socket);
    const whole = message(13, 'x'.repeat(1000));
    client.write(whole.subarray(0, 2));
    client.write(whole.subarray(2, 700));
    client.write(whole.subarray(700));
    const [answer] = await once(client, 'data');

    client.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 13]));
    await once(client, 'close');

    expect(answer).toEqual(whole);
  });

  it('is there for its owner only, and gone when it is closed, conversations too', async () => {
    await using folder = await temporary();
    await using _agent = await echoAgent(path.join(folder.path, 'agent'));
    const proxy = await openAgentProxy(path.join(folder.path, 'agent'), folder.path, owner);
    const { mode, uid } = await stat(proxy.socket);
    const client = connect(proxy.socket);
    client.write(message(11));
    await once(client, 'data');

    const hungUp = once(client, 'close');
    await proxy[Symbol.asyncDispose]();
    await hungUp;

    expect({ mode: mode & 0o777, uid }).toEqual({ mode: 0o600, uid: owner.uid });
    await expect(stat(proxy.socket)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('works below a folder with a long name', async () => {
    await using folder = await temporary();
    await using _agent = await echoAgent(path.join(folder.path, 'agent'));
    const long = path.join(folder.path, 'x'.repeat(200));
    await mkdir(long);

    await using proxy = await openAgentProxy(path.join(folder.path, 'agent'), long, owner);

    expect((await stat(proxy.socket)).isSocket()).toBe(true);
  });

  it('says so when no agent answers', async () => {
    await using folder = await temporary();

    const opening = openAgentProxy(path.join(folder.path, 'none'), folder.path, owner);

    await expect(opening).rejects.toMatchObject({ code: 'SSH_AGENT_UNREACHABLE' });
  });
});
