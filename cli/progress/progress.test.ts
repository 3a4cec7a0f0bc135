import { describe, expect, it } from 'vitest';
import type { BuildEvent, Vertex } from '../../builder/events.ts';
import { parseDigest } from '../../core/index.ts';
import { HandClock, RecordingSink, recordingTerminal } from './fake-terminal.ts';
import { PlainProgress } from './plain.ts';
import { openProgress, progressMode } from './progress.ts';
import { openTtyProgress } from './tty.ts';

const base: Vertex = { id: 10, stage: 'app', title: '[app] FROM debian:bookworm' };
const copy: Vertex = { id: 20, stage: 'app', title: '[app 1/2] COPY . /app' };
const run: Vertex = { id: 30, stage: 'app', title: '[app 2/2] RUN npm ci' };
const digest = parseDigest(`sha256:${'ab'.repeat(32)}`);

/** Milliseconds to wait before each event. */
type Recording = readonly (readonly [number, BuildEvent])[];

const build: Recording = [
  [0, { type: 'start', vertex: base }],
  [100, { type: 'status', vertex: base, text: 'resolving' }],
  [400, { type: 'done', vertex: base, cached: false, durationMs: 500 }],
  [0, { type: 'start', vertex: copy }],
  [0, { type: 'done', vertex: copy, cached: true, durationMs: 0 }],
  [0, { type: 'start', vertex: run }],
  [421, output(run, 'added 3 pack')],
  [10, output(run, 'ages\nsecond line\n')],
  [69, output(run, 'no line break')],
  [500, { type: 'done', vertex: run, cached: false, durationMs: 1000 }],
  [0, { type: 'result', digest, names: ['registry.example/site:1'] }],
];

describe('plain progress', () => {
  it('prints one line per happening', () => {
    expect(plain(build).text).toBe(`#1 [app] FROM debian:bookworm
#1 resolving
#1 DONE 0.5s

#2 [app 1/2] COPY . /app
#2 CACHED

#3 [app 2/2] RUN npm ci
#3 0.431 added 3 packages
#3 0.431 second line
#3 1.000 no line break
#3 DONE 1.0s

named registry.example/site:1
`);
  });

  it('says of what was called off that it was, and not the error of what failed', () => {
    const error = new Error('[lib 1/1] RUN make ended with exit code 2');

    const { text } = plain([
      [0, { type: 'start', vertex: run }],
      [0, { type: 'error', vertex: run, error, isCalledOff: true, durationMs: 0 }],
    ]);

    expect(text).toBe('#1 [app 2/2] RUN npm ci\n#1 CANCELED\n\n');
  });

  it('repeats the title when another vertex spoke in between', () => {
    const other: Vertex = { id: 31, title: '[lib 1/1] RUN make' };

    const { text } = plain([
      [0, { type: 'start', vertex: run }],
      [0, { type: 'start', vertex: other }],
      [100, output(run, 'a\n')],
      [0, { type: 'warning', text: 'be careful', position: { file: 'Buildfile', line: 3, column: 1 } }],
      [100, output(other, 'b\n')],
      [0, { type: 'error', vertex: other, error: new Error('it\nbroke'), durationMs: 200 }],
    ]);

    expect(text).toBe(`#1 [app 2/2] RUN npm ci
#1 ...

#2 [lib 1/1] RUN make
#2 ...

#1 [app 2/2] RUN npm ci
#1 0.100 a
#1 ...

WARNING: Buildfile:3: be careful
#2 [lib 1/1] RUN make
#2 0.200 b
#2 ERROR: it broke

`);
  });

  it('keeps the bytes of output as they are', () => {
    const bytes = Buffer.from([0xff, 0x1b, 0x5b, 0x33, 0x31, 0x6d, 0x0d, 0x0a]);

    const { bytes: written } = plain([
      [0, { type: 'start', vertex: run }],
      [0, { type: 'output', vertex: run, stream: 'stderr', bytes }],
    ]);

    expect(written.includes(Buffer.concat([Buffer.from('#1 0.000 '), bytes]))).toBe(true);
  });

  it('breaks a line that never ends', () => {
    const sink = plain([
      [0, { type: 'start', vertex: run }],
      ...Array.from({ length: 200 }, () => [0, output(run, 'x'.repeat(1000))] as const),
    ]);

    expect(sink.text.split('\n').filter((line) => line.startsWith('#1 0.000 '))).toHaveLength(4);
    expect(sink.text.match(/x/g)).toHaveLength(200_000);
  });
});

describe('tty progress', () => {
  it('leaves the final state on the screen', () => {
    expect(tty(build).screen).toEqual(
      [
        ' => [app] FROM debian:bookworm                        0.5s',
        ' => CACHED [app 1/2] COPY . /app                      0.0s',
        ' => [app 2/2] RUN npm ci                              1.0s',
        ' => named registry.example/site:1',
        '[+] Building 1.5s FINISHED',
      ].map((line) => (/\d\.\ds$/.test(line) ? fill(line) : line)),
    );
  });

  it('shows the last lines of a running step below it', () => {
    const lines = Array.from({ length: 9 }, (_, index) => `line ${index + 1}`).join('\n');

    const sink = tty(
      [
        [0, { type: 'start', vertex: run }],
        [1000, output(run, `${lines}\nnot yet`)],
      ],
      { close: false },
    );

    expect(sink.screen).toEqual([
      '[+] Building 1.0s (0/1)',
      fill(' => [app 2/2] RUN npm ci 1.0s'),
      ' => => # line 5',
      ' => => # line 6',
      ' => => # line 7',
      ' => => # line 8',
      ' => => # line 9',
      ' => => # not yet',
    ]);
  });

  it('fits into few rows and columns', () => {
    const vertices = Array.from(
      { length: 10 },
      (_, id): Vertex => ({ id, title: `[stage ${id}] RUN ${'long '.repeat(30)}` }),
    );

    const sink = tty(
      vertices.map((vertex) => [200, { type: 'start', vertex }] as const),
      { close: false, columns: 30, rows: 6 },
    );

    expect(sink.screen.length).toBeLessThanOrEqual(5);
    for (const line of sink.screen) expect(line.length).toBeLessThan(30);
  });

  it('draws over the old lines after the terminal became narrower', () => {
    const clock = new HandClock();
    const terminal = recordingTerminal({ columns: 60, rows: 20 });
    const sink = terminal.err;
    const progress = openTtyProgress(terminal, clock);
    clock.advance(200);
    progress.onEvent({ type: 'start', vertex: run });
    const before = sink.text.length;

    sink.columns = 30;
    clock.advance(200);
    progress.onEvent(output(run, 'x\n'));

    // The header fits one row of 30; the step's 59 columns now take two.
    expect(sink.text.slice(before)).toMatch(/^\x1b\[3A\r\x1b\[J/);
    progress.close();
  });

  it('draws at most ten times a second', () => {
    const clock = new HandClock();
    const terminal = recordingTerminal({ columns: 60, rows: 20 });
    const sink = terminal.err;
    const progress = openTtyProgress(terminal, clock);
    progress.onEvent({ type: 'start', vertex: run });
    for (let at = 0; at < 1000; at++) {
      clock.advance(1);
      progress.onEvent(output(run, `${at}\n`));
    }

    expect(sink.text.match(/\[\+\] Building/g)?.length).toBeLessThanOrEqual(11);
    progress.close();
  });

  it('does not let output move the cursor or change the title', () => {
    const sink = tty(
      [
        [0, { type: 'start', vertex: { ...run, title: '[x] RUN a\n\x1b[2Jb' } }],
        [200, output(run, 'up \x1b[10A here\x07\n10%\r20%\r\nwide \u202eoops\n')],
      ],
      { close: false },
    );

    expect(sink.screen.slice(1)).toEqual([
      fill(' => [x] RUN a b 0.2s'),
      ' => => # up  here\\x07',
      ' => => # 20%',
      ' => => # wide \\u202eoops',
    ]);
  });

  it('puts lines of others above what it draws', () => {
    const clock = new HandClock();
    const terminal = recordingTerminal({ columns: 60, rows: 20 });
    const progress = openTtyProgress(terminal, clock);
    progress.onEvent({ type: 'start', vertex: run });
    terminal.say('kiln: warning: the registry says hello');
    clock.advance(200);
    progress.onEvent(output(run, 'x\n'));

    expect(terminal.err.screen[0]).toBe('kiln: warning: the registry says hello');
    expect(terminal.err.screen).toHaveLength(4);
    progress.close();
    terminal.say('afterwards');
    expect(terminal.err.screen.at(-1)).toBe('afterwards');
  });

  it('says that a build failed', () => {
    const sink = tty([
      [0, { type: 'start', vertex: run }],
      [300, { type: 'error', vertex: run, error: new Error('x'), durationMs: 300 }],
    ]);

    expect(sink.screen).toEqual([fill(' => ERROR [app 2/2] RUN npm ci 0.3s'), '[+] Building 0.3s FAILED']);
  });
});

describe('progressMode', () => {
  const pipe = { terminal: recordingTerminal(), env: {} };
  const screen = { terminal: recordingTerminal({ columns: 60, rows: 20 }), env: {} };

  it.each([
    { title: 'a pipe', flag: undefined, context: pipe, mode: 'plain' },
    { title: 'a terminal', flag: undefined, context: screen, mode: 'tty' },
    { title: 'plain on a terminal', flag: 'plain', context: screen, mode: 'plain' },
    {
      title: 'KILN_PROGRESS',
      flag: undefined,
      context: { ...screen, env: { KILN_PROGRESS: 'plain', BUILDKIT_PROGRESS: 'quiet' } },
      mode: 'plain',
    },
    {
      title: 'BUILDKIT_PROGRESS',
      flag: undefined,
      context: { ...screen, env: { BUILDKIT_PROGRESS: 'quiet' } },
      mode: 'quiet',
    },
    {
      title: 'a mode that Kiln does not have',
      flag: undefined,
      context: { ...screen, env: { BUILDKIT_PROGRESS: 'rawjson' } },
      mode: 'tty',
    },
    {
      title: 'tty wished for by the environment of a pipe',
      flag: undefined,
      context: { ...pipe, env: { BUILDKIT_PROGRESS: 'tty' } },
      mode: 'plain',
    },
  ])('is $mode for $title', ({ flag, context, mode }) => {
    expect(progressMode(flag, context)).toBe(mode);
  });

  it('refuses tty without a terminal', () => {
    expect(() => progressMode('tty', pipe)).toThrow(expect.objectContaining({ code: 'USAGE_FLAG_VALUE' }));
  });

  it('is silent when quiet', async () => {
    const terminal = recordingTerminal();
    const progress = await openProgress('quiet', { terminal, clock: new HandClock() });
    for (const [, event] of build) progress.onEvent(event);
    progress.close();

    expect(terminal.err.text + terminal.out.text).toBe('');
  });
});

describe('PlainProgress on a terminal', () => {
  it('does not let a step steer it; in a log the bytes stay', () => {
    const vertex = { id: 1, title: 'RUN x' };
    const bytes = '\x1b]0;owned\x07a\x1b[2J\x1b[10Ab\n';
    const sink = new RecordingSink({ columns: 80, rows: 24 });
    const progress = new PlainProgress(sink, new HandClock());
    progress.onEvent({ type: 'start', vertex });
    progress.onEvent(output(vertex, bytes));

    expect(sink.text).toBe('#1 RUN x\n#1 0.000 ab\n');
    expect(plain([[0, output(vertex, bytes)]]).text).toContain(bytes);
  });
});

function output(vertex: Vertex, text: string): BuildEvent {
  return { type: 'output', vertex, stream: 'stdout', bytes: Buffer.from(text) };
}

function plain(recording: Recording): RecordingSink {
  const clock = new HandClock();
  const sink = new RecordingSink();
  const progress = new PlainProgress(sink, clock);
  for (const [ms, event] of recording) {
    clock.advance(ms);
    progress.onEvent(event);
  }
  progress.close();
  return sink;
}

function tty(recording: Recording, options: { close?: boolean; columns?: number; rows?: number } = {}): RecordingSink {
  const clock = new HandClock();
  const terminal = recordingTerminal({ columns: options.columns ?? 60, rows: options.rows ?? 20 });
  const progress = openTtyProgress(terminal, clock);
  for (const [ms, event] of recording) {
    clock.advance(ms);
    progress.onEvent(event);
  }
  if (options.close ?? true) progress.close();
  return terminal.err;
}

/** A row whose duration stands at the right edge of 60 columns. */
function fill(line: string): string {
  const [, text = '', duration = ''] = /^(.*?) +(\d+\.\ds)$/.exec(line) ?? [];
  return `${text.padEnd(59 - duration.length)}${duration}`;
}
