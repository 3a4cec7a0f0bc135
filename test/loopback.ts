import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new TypeError('no port was given');
  return address.port;
}

/** The text at `address` as soon as somebody serves it. @throws Error after `timeoutMs` */
export async function firstAnswer(address: string, timeoutMs = 15_000): Promise<string> {
  const endMs = performance.now() + timeoutMs;
  while (performance.now() < endMs) {
    const answer = await fetch(address).catch(() => undefined);
    if (answer?.ok) return await answer.text();
    await delay(50);
  }
  throw new Error(`nothing answered at ${address}`);
}
