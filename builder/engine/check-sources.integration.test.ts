import { symlinkSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { missing } from '../../test/requirements.ts';
import { openTestWorkshop } from '../../test/workshop.ts';
import type { BuildEvent } from '../events.ts';

describe.skipIf(missing('busybox', 'overlay'))('what copies name', () => {
  it('is looked for before any step is carried out, and all that is missing is said at once', async () => {
    await using bench = await openTestWorkshop();
    await bench.put({ appp: '' });
    symlinkSync('/etc', path.join(bench.context, 'out'));
    const events: BuildEvent[] = [];
    const buildfile = `
default = "main"

[stages.main]
from = "busybox"
steps = [
  { run = "touch /ran" },
  { copy = ["app", "*.none"], to = "/x/" },
  { copy = "out/passwd", to = "/y" },
  { copy = "gone", to = "/z", optional = true },
]

[stages.other]
from = "scratch"
steps = [{ copy = "never", to = "/" }]
`;

    const building = bench.build(buildfile, { onEvent: (event) => events.push(event) });

    await expect(building).rejects.toMatchObject({
      code: 'COPY_SOURCE_NOT_FOUND',
      position: { line: 8 },
      message: expect.stringMatching(/^the context has nothing that matches "app"\nBuildfile:9: .*out.*$/),
      hint: 'did you mean "appp"?',
    });
    expect(events).toEqual([]);
  });
});
