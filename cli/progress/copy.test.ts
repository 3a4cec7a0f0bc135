import { describe, expect, it } from 'vitest';
import { type Descriptor, mediaTypes, parseDigest } from '../../core/index.ts';
import type { CopyEvent } from '../../registry/index.ts';
import { CopyProgress } from './copy.ts';
import { HandClock, type RecordingTerminal, recordingTerminal } from './fake-terminal.ts';

const [one, two, three] = ['1', '2', '3'].map((digit) => blob(digit, mediaTypes.layerGzip)) as [
  Descriptor,
  Descriptor,
  Descriptor,
];
const config = blob('c', mediaTypes.config);

const events: readonly CopyEvent[] = [
  { type: 'start', descriptor: one },
  { type: 'skip', descriptor: two },
  { type: 'progress', descriptor: one, bytes: 1_000_000 },
  { type: 'mount', descriptor: three },
  { type: 'start', descriptor: config },
  { type: 'done', descriptor: config },
  { type: 'done', descriptor: one },
];

describe('CopyProgress', () => {
  it('prints one line per layer, in Docker’s words, when it is no terminal', () => {
    expect(copy(recordingTerminal(), events).err.text).toBe(`222222222222: Layer already exists
333333333333: Mounted from another repository
111111111111: Pushed
`);
  });

  it('shows how far layers are on a terminal', () => {
    const terminal = copy(recordingTerminal({ columns: 60, rows: 20 }), events.slice(0, 3), { close: false });

    expect(terminal.err.screen).toEqual(['222222222222: Layer already exists', '111111111111: Pushing 1MB/2.5MB']);
  });

  it('leaves the final state on a terminal', () => {
    const terminal = copy(recordingTerminal({ columns: 60, rows: 20 }), events);

    expect(terminal.err.screen).toEqual([
      '222222222222: Layer already exists',
      '333333333333: Mounted from another repository',
      '111111111111: Pushed',
    ]);
  });

  it('says nothing when quiet', () => {
    expect(copy(recordingTerminal(), events, { quiet: true }).err.text).toBe('');
  });
});

function copy(
  terminal: RecordingTerminal,
  recording: readonly CopyEvent[],
  options: { readonly quiet?: boolean; readonly close?: boolean } = {},
): RecordingTerminal {
  const clock = new HandClock();
  const progress = new CopyProgress('push', { terminal, clock }, { quiet: options.quiet ?? false });
  for (const event of recording) {
    clock.advance(200);
    progress.onEvent(event);
  }
  if (options.close ?? true) progress[Symbol.dispose]();
  return terminal;
}

function blob(digit: string, mediaType: string): Descriptor {
  return { mediaType, digest: parseDigest(`sha256:${digit.repeat(64)}`), size: 2_500_000 };
}
