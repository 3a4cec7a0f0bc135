import { createCipheriv } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { usageOf } from '../engine/usage.ts';
import { output } from '../shell.ts';
import { openPushTool, type PushCompression, type PushTool, type PushToolName } from './push-tools.ts';
import type { RegistryPlace, RegistryUsage } from './workloads.ts';

const layerBytes = 1024 ** 3;
const smallBytes = 16 * 1024 ** 2;
const blockBytes = 256 * 1024;

/** Push of a layer that nobody compressed before, to a registry that has nothing. */
export async function preparePush(place: RegistryPlace, compression: PushCompression) {
  const loaded = await loading(place, layerBytes, `large-${compression}`);
  return {
    async measure(name: PushToolName): Promise<RegistryUsage | undefined> {
      const { tool, image } = await loaded(name);
      const command = tool.push(image, compression);
      if (command === undefined) return undefined;
      await tool.forget();
      place.registry.empty();
      const usage = await usageOf(command);
      return { ...usage, bytes: await sizeOf(path.join(place.workspace.folder, 'registry')) };
    },
  };
}

export async function preparePushAgain(place: RegistryPlace) {
  const loaded = await loading(place, smallBytes, 'small');
  return {
    async measure(name: PushToolName): Promise<RegistryUsage | undefined> {
      const { tool, image } = await loaded(name);
      const command = tool.push(image, 'gzip');
      if (command === undefined) return undefined;
      await usageOf(command);
      return usageOf(command);
    },
  };
}

/** Gives each tool its image once. */
async function loading(place: RegistryPlace, bytes: number, name: string) {
  const context = path.join(place.workspace.folder, name);
  mkdirSync(context);
  await writeHalfCompressible(path.join(context, 'data'), bytes);
  writeFileSync(path.join(context, 'Buildfile'), 'from = "scratch"\n[[steps]]\ncopy = "data"\nto = "/data"\n');
  writeFileSync(path.join(context, 'Dockerfile'), 'FROM scratch\nCOPY data /data\n');
  const loaded = new Map<PushToolName, { readonly tool: PushTool; readonly image: string }>();
  return async (toolName: PushToolName) => {
    const found = loaded.get(toolName);
    if (found !== undefined) return found;
    const tool = openPushTool(place.workspace, toolName, name);
    const image = `${place.registry.host}/${toolName}-${name}:1`;
    await tool.load(context, image);
    loaded.set(toolName, { tool, image });
    return { tool, image };
  };
}

/** Noise and programs in turn, which gzip makes about 70 % of; the same every time on one machine. */
async function writeHalfCompressible(file: string, bytes: number): Promise<void> {
  const programs = `${file}.tar`;
  const half = bytes / 2;
  await output('sh', '-c', `tar -C / -cf - usr/lib usr/share usr/bin 2>/dev/null | head -c ${half} >'${programs}'`);
  const noise = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16));
  const [from, to] = [openSync(programs, 'r'), openSync(file, 'w')];
  const block = Buffer.alloc(blockBytes);
  for (let at = 0; at < half; at += blockBytes) {
    writeSync(to, noise.update(Buffer.alloc(blockBytes)));
    readSync(from, block, 0, blockBytes, at);
    writeSync(to, block);
  }
  for (const handle of [from, to]) closeSync(handle);
  rmSync(programs);
}

async function sizeOf(folder: string): Promise<number> {
  return Number((await output('du', '-sb', folder))?.split('\t')[0] ?? 0);
}
