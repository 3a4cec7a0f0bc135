import { once } from 'node:events';
import { chmod, chown, constants, open } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import path from 'node:path';
import { type CallOptions, errorCode, ToolError } from '../../core/index.ts';

/** Requests that use keys and change none. draft-miller-ssh-agent, section 7.1: list, sign, extension */
const allowedRequests: ReadonlySet<number> = new Set([11, 13, 27]);
/** SSH_AGENT_FAILURE */
const refusal = Buffer.from([0, 0, 0, 1, 5]);
/** As OpenSSH's AGENT_MAX_LEN. */
const longestMessageBytes = 256 * 1024;

/** A socket that leads to an ssh agent, for one user. */
export interface AgentProxy extends AsyncDisposable {
  /** Absolute path. */
  readonly socket: string;
}

/**
 * Opens a socket in `folder` that only `owner` may use, since the agent's own admits its owner alone. Requests to list
 * keys and to sign reach the agent; those that would add, remove or lock keys are refused.
 * @throws ToolError SSH_AGENT_UNREACHABLE
 */
export async function openAgentProxy(
  agent: string,
  folder: string,
  owner: { readonly uid: number; readonly gid: number },
  options: CallOptions = {},
): Promise<AgentProxy> {
  await checkAgent(agent, options);
  const connections = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(agent);
    for (const socket of [client, upstream]) {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
      // Whoever hangs up ends the conversation, and nothing else.
      socket.on('error', () => {});
    }
    void converse(client, upstream).finally(() => {
      client.destroy();
      upstream.destroy();
    });
  });
  const socket = path.join(folder, 'agent.sock');
  // A socket's path may have 107 bytes, and that of a store any length.
  const directory = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  const close = async (): Promise<void> => {
    for (const connection of connections) connection.destroy();
    await closed(server);
    await directory.close();
  };
  try {
    server.listen(`/proc/self/fd/${directory.fd}/agent.sock`);
    await once(server, 'listening', { signal: options.signal });
    await chown(socket, owner.uid, owner.gid);
    await chmod(socket, 0o600);
  } catch (error) {
    await close();
    throw error;
  }
  return { socket, [Symbol.asyncDispose]: close };
}

/** One request after the other, as the protocol has no numbers to tell answers apart by. */
async function converse(client: Socket, agent: Socket): Promise<void> {
  const requests = messages(client);
  const answers = messages(agent);
  try {
    for await (const request of requests) {
      if (!allowedRequests.has(request[4] ?? 0)) {
        client.write(refusal);
        continue;
      }
      agent.write(request);
      const answer = await answers.next();
      if (answer.done) return;
      client.write(answer.value);
    }
  } catch {
    // A broken connection or a message without end: the other side is hung up on.
  }
}

/** Whole messages with their lengths in front. */
async function* messages(socket: Socket): AsyncGenerator<Buffer, void> {
  let held = Buffer.alloc(0);
  for await (const bytes of socket) {
    held = Buffer.concat([held, bytes as Buffer]);
    while (held.length >= 4) {
      const length = held.readUInt32BE(0);
      if (length === 0 || length > longestMessageBytes) return;
      if (held.length < 4 + length) break;
      yield held.subarray(0, 4 + length);
      held = held.subarray(4 + length);
    }
  }
}

async function checkAgent(agent: string, options: CallOptions): Promise<void> {
  const socket = connect(agent);
  try {
    await once(socket, 'connect', { signal: options.signal });
  } catch (cause) {
    options.signal?.throwIfAborted();
    throw new ToolError('SSH_AGENT_UNREACHABLE', `no ssh agent answers at ${agent} (${errorCode(cause)})`, {
      cause,
      hint: 'start one (eval "$(ssh-agent)"; ssh-add), or name the right socket: --ssh ID=SOCKET',
    });
  } finally {
    socket.destroy();
  }
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return;
  const ended = once(server, 'close');
  server.close();
  await ended;
}
