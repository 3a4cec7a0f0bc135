import { createReadStream } from 'node:fs';
import { forEachEntry } from '../../runtime/index.ts';
import type { TestBuild, TestWorkshop } from '../../test/workshop.ts';
import type { SecretSource } from '../engine/build-context.ts';

/** A Buildfile of one `run` step with mounts, on the image of busybox; `more` is TOML of the step. */
export function mountedStep(run: string, mounts: string, more = ''): string {
  return `from = "busybox"\n[[steps]]\nrun = ${JSON.stringify(run)}\nmounts = [${mounts}]\n${more}`;
}

/** Secrets that remember who asked. */
export function secretsOf(values: Readonly<Record<string, string>>): SecretSource & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    find: async (id: string) => {
      asked.push(id);
      return values[id] === undefined ? undefined : Buffer.from(values[id]);
    },
  };
}

/** Paths in the layers that a build put on the base. */
export async function addedBy({ workshop }: TestWorkshop, build: TestBuild): Promise<string[]> {
  const paths: string[] = [];
  for (const { descriptor } of build.image.layers.slice(1)) {
    await forEachEntry(createReadStream(workshop.content.blobFile(descriptor.digest)), (entry) => {
      paths.push(`${entry.type === 'whiteout' ? '-' : ''}${entry.path}`);
    });
  }
  return paths;
}

/** Text of a file in a built image; undefined when no layer has it. */
export async function contentOf(
  { workshop }: TestWorkshop,
  build: TestBuild,
  path: string,
): Promise<string | undefined> {
  let text: string | undefined;
  for (const { descriptor } of build.image.layers) {
    await forEachEntry(createReadStream(workshop.content.blobFile(descriptor.digest)), async (entry) => {
      if (entry.path !== path || entry.type !== 'file') return;
      const { content } = entry;
      if (content.kind === 'bytes') text = content.bytes.toString();
      if (content.kind === 'stream') text = Buffer.concat(await Array.fromAsync(content.stream)).toString();
    });
  }
  return text;
}
