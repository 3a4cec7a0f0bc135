import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Digest, parseReference } from '../../core/index.ts';
import { addBase } from '../../fixtures/bases/base-layout.ts';
import { busyboxBase } from '../../fixtures/bases/busybox-base.ts';
import { copyImage } from '../../registry/index.ts';
import { type DockerRegistry, startDockerRegistry } from '../../test/docker-registry.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { unanswered } from '../lock/ask-network.ts';
import { BuildPins } from '../lock/build-pins.ts';
import { changed, emptyLock } from '../lock/lock-content.ts';
import { noPins } from '../lock/pins.ts';
import { openImageBase } from './image-base.ts';
import { findLocal, pullImage } from './pull-image.ts';

const platform = { os: 'linux', architecture: 'amd64' };

let registry: DockerRegistry | undefined;
let bench: TestWorkshop;
let name: string;

describe.skipIf(missing('root', 'busybox', 'docker-registry'))('openImageBase with pins', () => {
  beforeEach(async () => {
    [registry, bench] = await Promise.all([startDockerRegistry(), openTestWorkshop()]);
    name = `${registry.host}/base:1`;
  });
  afterEach(async () => {
    await bench[Symbol.asyncDispose]();
    await registry?.[Symbol.asyncDispose]();
  });

  it('locks what the registry answered', async () => {
    const digest = await publish('1');
    const pins = new BuildPins();

    const { record } = await open(pins);

    expect(record).toEqual({ name, digest });
    expect(pins.changes).toEqual([{ kind: 'images', key: name, value: digest }]);
  });

  it('locks an image that was pulled before, and asks nobody for it', async () => {
    const digest = await publish('1');
    await pullImage(bench.workshop, parseReference(name), { platform });
    await stopRegistry();
    const pins = new BuildPins();

    await open(pins);

    expect(pins.find('images', name)).toBe(digest);
  });

  it('pulls what is locked when the tag has moved, and gives it the name', async () => {
    const [old, fresh] = [await publish('1'), await publish('2')];

    const { record } = await open(pinnedTo(old));

    expect(record.digest).toBe(old);
    expect(fresh).not.toBe(old);
    expect((await findLocal(bench.workshop, name))?.digest).toBe(old);
  });

  it('leaves a name alone that means another image here, and needs no registry the second time', async () => {
    const [old, fresh] = [await publish('1'), await publish('2')];
    await pullImage(bench.workshop, parseReference(name), { platform });

    await open(pinnedTo(old));
    await stopRegistry();
    const again = await open(pinnedTo(old));

    expect(again).toMatchObject({ record: { digest: old }, image: { descriptor: { digest: old } } });
    expect((await findLocal(bench.workshop, name))?.digest).toBe(fresh);
  });

  it('asks again with pull: locks the answer, and refuses it when the lock is frozen', async () => {
    const [old, fresh] = [await publish('1'), await publish('2')];
    const pins = pinnedTo(old);

    await open(pins, { pull: true });

    expect(pins.find('images', name)).toBe(fresh);
    await expect(open(pinnedTo(old, { frozen: true }), { pull: true })).rejects.toMatchObject({ code: 'LOCK_FROZEN' });
  });

  it('says what to do when the registry has what is locked no more', async () => {
    await publish('1');

    await expect(open(pinnedTo(`sha256:${'0'.repeat(64)}` as Digest))).rejects.toMatchObject({
      code: 'REFERENCE_NOT_FOUND',
      hint: expect.stringContaining(`kiln update . ${name}`),
    });
  });

  it('locks neither a digest nor an image that is only here', async () => {
    const digest = await publish('1');
    const pins = new BuildPins(emptyLock, { frozen: true });
    await addBase(bench.workshop.content, 'localhost/own:1', busyboxBase());
    const own = {
      kind: 'images',
      key: 'localhost/own:1',
      reference: parseReference('localhost/own:1'),
      platform,
    } as const;
    const other = { ...own, key: name, reference: parseReference(name) };

    await openImageBase(bench.workshop, parseReference(`${name}@${digest}`), { platform, pull: false, pins });
    await openImageBase(bench.workshop, parseReference('localhost/own:1'), { platform, pull: false, pins });

    expect(pins.changes).toEqual([]);
    expect(await unanswered(bench.workshop, [own, other], emptyLock)).toEqual([other]);
  });

  it('takes what is here without pins', async () => {
    const fresh = [await publish('1'), await publish('2')].at(-1);
    await pullImage(bench.workshop, parseReference(name), { platform });
    await stopRegistry();

    expect((await open(noPins)).record.digest).toBe(fresh);
  });
});

function open(pins: Pick<BuildPins, 'find' | 'keep'>, { pull = false } = {}) {
  return openImageBase(bench.workshop, parseReference(name), { platform, pull, pins });
}

function pinnedTo(digest: Digest, options: { readonly frozen?: boolean } = {}): BuildPins {
  return new BuildPins(changed(emptyLock, [{ kind: 'images', key: name, value: digest }]), options);
}

/** Another image under the name, at the registry alone. */
async function publish(version: string): Promise<Digest> {
  const { content } = bench.workshop;
  const scratchName = `localhost/scratch-${version}:1`;
  const image = await addBase(content, scratchName, busyboxBase(), {
    platform,
    config: { Env: [`VERSION=${version}`] },
  });
  const repository = bench.workshop.repository(parseReference(name));
  await copyImage(content, repository, image);
  await repository.tag(image, '1');
  await content.untag(scratchName);
  return image.digest;
}

async function stopRegistry(): Promise<void> {
  await registry?.[Symbol.asyncDispose]();
  registry = undefined;
}
