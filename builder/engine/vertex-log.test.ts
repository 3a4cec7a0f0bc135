import { describe, expect, it } from 'vitest';
import { ToolError } from '../../core/index.ts';
import type { BuildEvent } from '../events.ts';
import { StepFailedError } from './errors.ts';
import { VertexLog } from './vertex-log.ts';

/** What a log says of parts that end with these errors, in this order. */
async function calledOff(...ends: readonly (readonly [title: string, error: Error])[]): Promise<readonly string[]> {
  const events: BuildEvent[] = [];
  const log = new VertexLog({ now: () => 0 }, (event) => events.push(event));
  for (const [title, error] of ends) await log.tell({ title }, () => Promise.reject(error)).catch(() => {});
  return events.flatMap((event) => (event.type === 'error' && event.isCalledOff ? [event.vertex.title] : []));
}

function failed(title: string): StepFailedError {
  const position = { file: 'Buildfile', line: 1, column: 1 };
  return new StepFailedError({ title, position, command: 'false', exitCode: 1, output: Buffer.alloc(0) });
}

describe('VertexLog', () => {
  it('tells what failed from what only ended because of it', async () => {
    const [command, other] = [failed('a'), new ToolError('FETCH_STATUS', 'gone')];

    expect(await calledOff(['a', command], ['b', command], ['c', command])).toEqual(['b', 'c']);
    // With a shell in the failed step, the others end first.
    expect(await calledOff(['b', command], ['a', command])).toEqual(['b']);
    expect(await calledOff(['a', other], ['b', other])).toEqual(['b']);
  });
});
