import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Descriptor, openImage, parsePlatform } from '../../core/index.ts';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestBuild, type TestWorkshop } from '../../test/workshop.ts';

let bench: TestWorkshop;

const ranSteps = (build: TestBuild): string[] => build.ran.filter((title) => /RUN/.test(title));

describe.skipIf(missing('root', 'overlay', 'busybox'))('stages and builds side by side', () => {
  beforeEach(async () => {
    bench = await openTestWorkshop();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it('runs independent stages at once: each waits until all the others have begun', async () => {
    // A fifo of each stage lies in a cache that all of them see.
    const stage = (name: string, others: readonly string[]) => `
      [stages.${name}]
      from = "busybox"
      steps = [{ mounts = [{ cache = "/meet" }], run = """
        touch /meet/${name}
        for other in ${others.join(' ')}; do
          tries=0
          until test -e /meet/$other; do sleep 0.05; tries=$((tries + 1)); test $tries -lt 200; done
        done
        echo ${name} > /met
      """ }]
    `;
    const names = ['a', 'b', 'c', 'd'];
    const copies = names.map((name) => `{ copy = "/met", from = "${name}", to = "/${name}" }`).join(', ');
    const text = `${names.map((name) => stage(name, names)).join('\n')}\n[stages.all]\nfrom = "scratch"\nsteps = [${copies}]`;

    const build = await bench.build(text, { jobs: 4 });

    expect(ranSteps(build)).toHaveLength(4);
  });

  it('ends the others when one fails, and says why that one did', async () => {
    const text = `
      [stages.slow]
      from = "busybox"
      steps = [{ run = "echo > /begun; sleep 600" }]
      [stages.bad]
      from = "busybox"
      steps = [{ run = "sleep 0.2; exit 9" }]
      [stages.both]
      from = "scratch"
      steps = [{ copy = "/begun", from = "slow" }, { copy = "/x", from = "bad" }]
    `;
    const startedMs = performance.now();

    await expect(bench.build(text)).rejects.toMatchObject({ code: 'STEP_FAILED', exitCode: 9 });

    // A minute, not the ten that the other would have slept; how fast it really is, the benchmark says.
    expect(performance.now() - startedMs).toBeLessThan(60_000);
  });

  it('does identical steps of two stages once', async () => {
    const step = '{ run = "sleep 0.3; cat /proc/sys/kernel/random/uuid > /id" }';
    const text = `
      [stages.one]
      from = "busybox"
      steps = [${step}]
      [stages.two]
      from = "busybox"
      steps = [${step}]
      [stages.both]
      from = "busybox"
      steps = [
        { copy = "/id", from = "one", to = "/one" }, { copy = "/id", from = "two", to = "/two" },
        { run = "cmp /one /two" },
      ]
    `;

    const build = await bench.build(text);

    expect(ranSteps(build).filter((title) => title.includes('uuid'))).toHaveLength(1);
  });

  it('does identical steps of two processes once: the second waits for the first', async () => {
    const text = 'from = "busybox"\nsteps = [{ run = "sleep 0.5; cat /proc/sys/kernel/random/uuid > /id" }]';
    // Another Workshop shares nothing with this one but the folder, as another process does.
    await using elsewhere = await bench.another();

    const [here, there] = await Promise.all([bench.build(text), bench.buildIn(elsewhere, text)]);

    expect(here.descriptor.digest).toBe(there.descriptor.digest);
    expect([...ranSteps(here), ...ranSteps(there)]).toHaveLength(1);
  });

  it('builds several targets and platforms in one run, and shares what they share', async () => {
    const text = `
      [stages.base]
      from = "busybox"
      steps = [{ run = "cat /proc/sys/kernel/random/uuid > /id" }]
      [stages.one]
      from = "base"
      image = { cmd = ["one"] }
      [stages.two]
      from = "base"
      image = { cmd = ["two"] }
    `;

    const build = await bench.build(text, { targets: 'all' });

    expect(build.targets.map(({ target }) => target)).toEqual(['base', 'one', 'two']);
    expect(new Set(build.targets.map(({ descriptor }) => descriptor.digest)).size).toBe(3);
    expect(ranSteps(build)).toHaveLength(1);
  });

  it('gives an index for several platforms, whose images know theirs', async () => {
    await bench.put({ 'a.txt': 'x' });
    const text = `from = "scratch"\nsteps = [{ copy = "a.txt", to = "/\${TARGETARCH}.txt" }]`;

    const build = await bench.build(text, { platforms: ['linux/amd64', 'linux/arm64/v8'] });

    const { descriptor, images } = build.targets[0] ?? {};
    expect(descriptor?.mediaType).toBe('application/vnd.oci.image.index.v1+json');
    const arm = await openImage(bench.workshop.content, descriptor as Descriptor, {
      platform: parsePlatform('linux/arm64'),
    });
    expect(arm.descriptor.digest).toBe(images?.[1]?.descriptor.digest);
    expect(arm.config).toMatchObject({ os: 'linux', architecture: 'arm64', variant: 'v8' });
    expect(await bench.workshop.content.resolve('docker.io/library/result:latest')).toEqual(descriptor);
  });

  it('stops the ripple where a changed input gave the same result', async () => {
    await bench.put({ 'a.txt': 'one' });
    const staged = `
      [stages.make]
      from = "busybox"
      steps = [{ copy = "a.txt", to = "/tmp/a.txt" }, { run = "wc -c < /tmp/a.txt > /size" }]
      [stages.use]
      from = "busybox"
      steps = [{ copy = "/size", from = "make", to = "/size" }, { run = "cat /size > /copy" }]
    `;
    await bench.build(staged);
    await bench.put({ 'a.txt': 'two' });

    const again = await bench.build(staged);

    expect(ranSteps(again).map((title) => title.replace(/^\[.*?\] /, ''))).toEqual(['RUN wc -c < /tmp/a.txt > /size']);
  });
});
