// npm run quickstart: Kiln's main job from end to end, as its user would type it. A Debian with nginx and a site is
// built, pushed to a registry on this machine (kiln serve), pulled into an empty store, and run. What is made stays below
// ~/.cache/kiln-quickstart, so that the second time is quick; everything that was started is stopped.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';

const packageRoot = path.dirname(import.meta.dirname);
const project = path.relative(process.cwd(), path.join(packageRoot, 'fixtures', 'projects', 'site'));
const folder = path.join(process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache'), 'kiln-quickstart');
const firstStore = path.join(folder, 'store');
const secondStore = path.join(folder, 'another-machine');
const started: ChildProcess[] = [];

process.once('SIGINT', () => void stopAll().then(() => process.exit(130)));
try {
  await quickstart();
} catch (error) {
  console.error(`\nquickstart: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await stopAll();
  await emptySecondStore();
}

async function quickstart(): Promise<void> {
  mkdirSync(folder, { recursive: true });
  const registry = await startRegistry();
  const image = `${registry}/site:1`;

  say('Build: Debian from its own packages, nginx with apt, and a page. The first time takes a minute or two.');
  // The checkout stays as it is, and next month's Debian is welcome.
  await kiln(firstStore, ['build', '--no-lock', '-t', image, project]);

  say('Push it to the registry that was just started on this machine.');
  await kiln(firstStore, ['push', image]);

  say('On another machine (a second, empty store), pull it.');
  await emptySecondStore();
  await kiln(secondStore, ['pull', image]);
  await kiln(secondStore, ['images']);

  say('Run it, on the network of this machine, and ask it for its page.');
  const port = await freePort();
  const server = start(secondStore, ['run', '--rm', '--network', 'host', '-e', `PORT=${port}`, image]);
  const address = `http://127.0.0.1:${port}/`;
  const page = await firstAnswer(address, server);
  console.log(`\n$ GET ${address}\n${page}`);

  say('That is the main job. Stop the container, forget the name (its registry ends here) and stop the registry.');
  await stop(server);
  await kiln(firstStore, ['rmi', image]);
}

/** Kiln's own registry, on any port that is free, with its data in our folder. Gives its `host:port`. */
async function startRegistry(): Promise<string> {
  const data = path.join(folder, 'registry');
  rmSync(data, { recursive: true, force: true });
  const args = ['serve', '--quiet', '--json', '--listen', '127.0.0.1:0', '--root', data];
  const { stdout } = start(firstStore, args, 'pipe');
  if (stdout === null) throw new Error('kiln serve could not be started');
  // Its first line, once it listens.
  for await (const line of createInterface({ input: stdout })) return (JSON.parse(line) as { host: string }).host;
  throw new Error('kiln serve ended');
}

async function kiln(store: string, args: readonly string[]): Promise<void> {
  const child = start(store, args);
  const [status] = await once(child, 'exit');
  if (status !== 0) throw new Error(`kiln ${args[0]} ended with ${status}`);
}

function start(store: string, args: readonly string[], stdout: 'inherit' | 'pipe' = 'inherit'): ChildProcess {
  console.log(`\n$ KILN_HOME=${store} npx kiln ${args.join(' ')}`);
  const env = { ...process.env, KILN_HOME: store };
  const child = spawn(path.join(packageRoot, 'bin', 'kiln'), args, { env, stdio: ['ignore', stdout, 'inherit'] });
  started.push(child);
  return child;
}

/** The text at `address`, as soon as somebody serves it. */
async function firstAnswer(address: string, server: ChildProcess): Promise<string> {
  for (let tries = 0; tries < 300 && !hasEnded(server); tries++) {
    const answer = await fetch(address).catch(() => undefined);
    if (answer?.ok) return await answer.text();
    await delay(100);
  }
  throw new Error(`nothing answered at ${address}`);
}

/** A port of the loopback interface that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  if (address === null || typeof address === 'string') throw new Error('there is no free port on 127.0.0.1');
  return address.port;
}

async function stopAll(): Promise<void> {
  for (const child of started.reverse()) await stop(child);
}

async function stop(child: ChildProcess): Promise<void> {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
}

/** Unprivileged, files of subordinate ids can be removed only from inside a user namespace that maps them. */
async function emptySecondStore(): Promise<void> {
  const isRoot = process.getuid?.() === 0;
  const argv = [...(isRoot ? [] : ['unshare', '--map-root-user', '--map-auto']), 'rm', '-rf', secondStore];
  const [program = '', ...args] = argv;
  await once(spawn(program, args, { stdio: 'inherit' }), 'exit');
}

function say(sentence: string): void {
  console.log(`\n# ${sentence}`);
}
