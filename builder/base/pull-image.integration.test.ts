import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  describe as describeBytes,
  formatPlatform,
  type Image,
  mediaTypes,
  type Platform,
  parseReference,
  streamOf,
} from '../../core/index.ts';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { busyboxBase } from '../../fixtures/bases/busybox-base.ts';
import { copyImage } from '../../registry/index.ts';
import { type DockerRegistry, startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { noPins } from '../lock/pins.ts';
import { openImageBase } from './image-base.ts';
import { pullImage } from './pull-image.ts';

const amd64: Platform = { os: 'linux', architecture: 'amd64' };
const arm64: Platform = { os: 'linux', architecture: 'arm64' };

let registry: DockerRegistry;
let bench: TestWorkshop;

describe.skipIf(missing('root', 'busybox', 'docker-registry'))('pullImage', () => {
  beforeEach(async () => {
    [registry, bench] = await Promise.all([startDockerRegistry(), openTestWorkshop()]);
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  it('does not take the image for another platform for the one that is wanted', async () => {
    const reference = parseReference(`${registry.host}/both:1`);
    await pushIndex(reference);
    const { workshop } = bench;

    const first = await pullImage(workshop, reference, { platform: arm64 });
    const second = await pullImage(workshop, reference, { platform: amd64 });
    const third = await pullImage(workshop, reference, { platform: amd64 });
    const base = await openImageBase(workshop, reference, { platform: arm64, pull: false, pins: noPins });

    expect([first, second, third].map(({ moved }) => moved)).toEqual([true, true, false]);
    expect([first, second, third, base].map(({ image }) => platformShown(image))).toEqual([
      'linux/arm64',
      'linux/amd64',
      'linux/amd64',
      'linux/arm64',
    ]);
  });
});

async function pushIndex(reference: ReturnType<typeof parseReference>): Promise<void> {
  const { content } = bench.workshop;
  const manifests = [];
  for (const platform of [amd64, arm64]) {
    const name = `localhost/${platform.architecture}:1`;
    manifests.push({ ...(await addBase(content, name, busyboxBase(), { platform })), platform });
  }
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }));
  const index = describeBytes(mediaTypes.index, bytes);
  await content.write(index, streamOf(bytes));
  const repository = bench.workshop.repository(reference);
  await copyImage(content, repository, index);
  await repository.tag(index, '1');
}

function platformShown({ config: { os, architecture } }: Image): string {
  return formatPlatform({ os, architecture });
}
