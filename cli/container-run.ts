import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pullImage, type Workshop } from '../builder/index.ts';
import { errorCode, type Image, NotFoundError, openImage, platformOf, ToolError } from '../core/index.ts';
import {
  containerProcess,
  findUser,
  maxAccountFileBytes,
  RootView,
  runSandbox,
  type SandboxMount,
  type Snapshot,
  type UserIds,
} from '../runtime/index.ts';
import type { RunFlags } from './commands/run.ts';
import { openWorkshop } from './compose.ts';
import type { Context } from './context.ts';
import { assignment, parseEnvFile } from './environment-lines.ts';
import { withRootFileSystems } from './privilege.ts';
import { CopyProgress } from './progress/copy.ts';
import { findImageHere, referenceToPull } from './short-names.ts';
import { parseTmpfs, parseVolume } from './volumes.ts';

/** `kiln run`: resolves to the command's exit code. */
export async function runContainer(
  context: Context,
  flags: RunFlags,
  name: string,
  command: readonly string[],
): Promise<number> {
  const env = await requestedEnv(context, flags);
  const mounts = await requestedMounts(context, flags);
  return withRootFileSystems(context, async () => {
    await using workshop = await openWorkshop(context, flags);
    const image = await imageFor(context, workshop, name, flags.pull);
    const { argv, cwd, user, ...process } = containerProcess(image.config.config, {
      command,
      env,
      ...(flags.entrypoint === undefined ? {} : { entrypoint: flags.entrypoint }),
      ...(flags.workdir === undefined ? {} : { workdir: flags.workdir }),
      ...(flags.user === undefined ? {} : { user: flags.user }),
    });
    const { signal } = context;
    const parent = await workshop.snapshotOf(image.layers, { signal });
    const ids = await lookUpUser(workshop, parent, user);
    const hostname = flags.hostname ?? randomBytes(6).toString('hex');
    const snapshots = await workshop.snapshots();
    await using active = await snapshots.prepare(parent);
    await using scratch = await (await workshop.scratch()).make('run');
    using _passing = context.passSignalsOn();
    const { exitCode } = await runSandbox(
      workshop.options.launcher,
      {
        layers: parent.layers.map((layer) => layer.directory),
        writable: { upper: active.upper, work: active.work },
        readOnlyRoot: flags['read-only'],
        argv,
        env: {
          HOME: ids.home,
          HOSTNAME: hostname,
          ...(flags.tty ? { TERM: context.env.TERM ?? 'xterm' } : {}),
          ...process.env,
        },
        cwd,
        user: ids,
        hostname,
        network: flags.network === 'host' || flags.network === 'default' ? flags.network : 'none',
        mounts,
        terminal: flags.tty,
        volatile: true,
      },
      // Without -i and -t the command's input is empty.
      { stdio: flags.interactive || flags.tty ? 'inherit' : 'inherit-output' },
      { signal, scratch: scratch.path, forwardSignals: true },
    );
    return exitCode;
  });
}

async function imageFor(context: Context, workshop: Workshop, name: string, when = 'missing'): Promise<Image> {
  const { signal } = context;
  const platform = platformOf(process.arch);
  if (when !== 'always') {
    try {
      const { descriptor } = await findImageHere(context, workshop.content, name, { signal });
      return await openImage(workshop.content, descriptor, { signal, platform });
    } catch (error) {
      if (when === 'never' || !(error instanceof NotFoundError) || error.code !== 'IMAGE_NOT_FOUND') throw error;
    }
  }
  using progress = new CopyProgress('pull', context);
  if (when === 'missing') progress.note(`Unable to find image '${name}' locally`);
  const reference = await referenceToPull(context, name, { remote: workshop.options.remote, signal });
  return (await pullImage(workshop, reference, { platform, onEvent: progress.onEvent, signal })).image;
}

/** Looked up in the image's own account files. */
async function lookUpUser(workshop: Workshop, snapshot: Snapshot, user: string): Promise<UserIds> {
  const view = new RootView(workshop.options.launcher, snapshot);
  const passwd = await view.readFile('etc/passwd', maxAccountFileBytes);
  const group = await view.readFile('etc/group', maxAccountFileBytes);
  return findUser(user, { passwd, group });
}

async function readEnvFile(file: string, shown: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ToolError('USAGE_ENV_FILE', `--env-file ${shown} cannot be read (${errorCode(cause)})`, { cause });
  }
}

/** `--env-file` first, so that `--env` overrides it. */
async function requestedEnv({ env, folder }: Context, flags: RunFlags): Promise<string[]> {
  const lines: string[] = [];
  for (const file of flags['env-file']) {
    lines.push(...parseEnvFile(await readEnvFile(path.resolve(folder, file), file), file, env));
  }
  for (const text of flags.env) {
    const pair = assignment(text, '--env', env);
    if (pair !== undefined) lines.push(pair.join('='));
  }
  return lines;
}

async function requestedMounts({ folder }: Context, flags: RunFlags): Promise<SandboxMount[]> {
  const tmpfs = flags.tmpfs.map(parseTmpfs);
  const binds = await Promise.all(flags.volume.map((text) => parseVolume(text, folder)));
  return [...tmpfs, ...binds];
}
