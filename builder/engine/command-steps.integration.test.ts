import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop, type TestWorkshop } from '../../test/workshop.ts';
import { addedBy, secretsOf } from '../mounts/mounted-step.testing.ts';

let bench: TestWorkshop;

beforeEach(async () => {
  bench = await openTestWorkshop();
});
afterEach(() => bench[Symbol.asyncDispose]());

describe.skipIf(missing('root', 'overlay', 'busybox'))('test steps', () => {
  it('see their mounts and leave nothing', async () => {
    const text = `
      from = "busybox"
      [[steps]]
      run = "echo built > /out"
      [[steps]]
      test = "[ $(cat /out) = built ]; echo x > /cache/x; rm /out; touch /made; cat /run/secrets/t > /dev/null"
      mounts = [{ cache = "/cache" }, { secret = "t" }]
      [[steps]]
      run = "[ ! -e /made ]; cp /out /copy"`;
    const options = { secrets: secretsOf({ t: 'hidden' }) };

    const built = await bench.build(text, options);
    const again = await bench.build(text, options);

    expect(await addedBy(bench, built)).toEqual(['out', 'copy']);
    expect(built.image.config.history.map((line) => line.created_by).join()).not.toContain('TEST');
    expect(again.cached).toHaveLength(3);
    expect(again.descriptor.digest).toBe(built.descriptor.digest);
  });

  it('fail the build when they fail, and are run again next time', async () => {
    const text = 'from = "busybox"\n[[steps]]\ntest = "echo not yet; exit 4"';
    for (const _ of [1, 2]) {
      await expect(bench.build(text)).rejects.toMatchObject({
        code: 'STEP_FAILED',
        exitCode: 4,
        command: 'echo not yet; exit 4',
      });
    }
  });
});

describe.skipIf(missing('root', 'overlay', 'busybox'))('long scripts', () => {
  it.each([['a script'], ['one for another interpreter']])('run as short ones: %s', async (what) => {
    const filler = `# ${'x'.repeat(100)}\n`.repeat(2000);
    const script = `${filler}echo "$0"\nfalse || echo still > /out\nfalse\necho no > /out\n`;
    const shell = what === 'a script' ? '' : 'shell = ["/bin/awk-like", "-c"]\n';
    const text = `from = "busybox"\n[[steps]]\nrun = ["ln", "-s", "busybox", "/bin/awk-like"]\n[[steps]]\nrun = ${JSON.stringify(script)}\n${shell}`;

    const failure = bench.build(text);

    // It stops at its first failing line, as any script does; the other interpreter is no applet, and says so.
    await expect(failure).rejects.toMatchObject({ code: 'STEP_FAILED', exitCode: what === 'a script' ? 1 : 127 });
  });

  it('give the same bytes and leave nothing of their own', async () => {
    const filler = `: ${'x'.repeat(100)}\n`;
    const run = (times: number) =>
      `from = "busybox"\n[[steps]]\nrun = ${JSON.stringify(`${filler.repeat(times)}echo "$0 $#" > /out\n`)}`;

    const short = await bench.build(run(1));
    const long = await bench.build(run(3000));

    expect(await addedBy(bench, long)).toEqual(['out']);
    expect(long.image.layers.map(({ diffId }) => diffId)).toEqual(short.image.layers.map(({ diffId }) => diffId));
  });

  it('say what is wrong with an argument that is too long', async () => {
    const text = `from = "busybox"\n[[steps]]\nrun = ["echo", ${JSON.stringify('x'.repeat(140_000))}]`;

    await expect(bench.build(text)).rejects.toMatchObject({ code: 'STEP_ARGUMENT_TOO_LONG' });
  });
});
