import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { openTerminal } from './terminal.ts';

it.each([
  [0, undefined],
  [undefined, undefined],
  [132, 132],
])('takes a terminal of %s columns and rows for one of %s', (said, known) => {
  const stream = {
    write: () => true,
    on: () => {},
    isTTY: true,
    ...(said === undefined ? {} : { columns: said, rows: said }),
  };

  const { err } = openTerminal({ stdin: Readable.from([]), stdout: stream, stderr: stream }, {});

  expect([err.columns, err.rows]).toEqual([known, known]);
});
