import { describe, expect, it } from 'vitest';
import { outputsOf } from './output-flags.ts';
import { RecordingSink, recordingTerminal } from './progress/fake-terminal.ts';

const context = { folder: '/work', terminal: recordingTerminal() };
const onTerminal = {
  folder: '/work',
  terminal: { ...recordingTerminal(), out: new RecordingSink({ columns: 80, rows: 24 }) },
};
const file = (name: string) => ({ kind: 'file', file: name });
const stream = { kind: 'stream', write: expect.any(Function) };

describe('outputsOf', () => {
  it.each([
    ['out', { kind: 'local', folder: '/work/out' }],
    ['type=local,dest=/x', { kind: 'local', folder: '/x' }],
    ['type=tar,dest=a.tar', { kind: 'tar', to: file('/work/a.tar') }],
    ['type=oci,dest=a.tar', { kind: 'oci', to: file('/work/a.tar'), compression: 'uncompressed' }],
    ['type=oci,dest=a,tar=false', { kind: 'oci-folder', folder: '/work/a', compression: 'uncompressed' }],
    ['type=docker,dest=a.tar,compression=gzip', { kind: 'docker', to: file('/work/a.tar'), compression: 'gzip' }],
    ['type=tar,"dest=a,b.tar"', { kind: 'tar', to: file('/work/a,b.tar') }],
    ['-', { kind: 'tar', to: stream }],
    ['type=docker,dest=-', { kind: 'docker', to: stream, compression: 'uncompressed' }],
  ])('takes %s', (text, output) => {
    const request = outputsOf([text], context);

    expect(request.outputs).toEqual([output]);
    expect(request.usesStandardOutput).toBe(text.endsWith('-'));
  });

  it('takes a registry for a push, and an image for one only when it says so', () => {
    expect(outputsOf(['type=registry'], context)).toMatchObject({ outputs: [], push: true, names: [] });
    expect(outputsOf(['type=image,name=a/b:1'], context)).toMatchObject({
      push: false,
      names: [{ repository: 'a/b', tag: '1' }],
    });
    expect(outputsOf(['type=image,"name=a/b,c/d",push=true'], context)).toMatchObject({
      push: true,
      names: [{ repository: 'a/b' }, { repository: 'c/d' }],
    });
  });

  it('takes several, of which one at most goes to standard output', () => {
    expect(outputsOf(['out', 'type=oci,dest=x.tar'], context).outputs).toHaveLength(2);
    expect(() => outputsOf(['-', 'type=oci,dest=-'], context)).toThrow('given to - already');
    expect(() => outputsOf(['-'], onTerminal)).toThrow('not written to a terminal');
  });

  it.each([
    ['', 'it names nothing'],
    ['dest=x', 'it has no type'],
    ['type=ocy,dest=x', 'there is no type ocy'],
    ['type=oci', 'it says not where to'],
    ['type=local,dest=-', 'cannot go to standard output'],
    ['type=oci,dest=-,tar=false', 'cannot go to standard output'],
    ['type=oci,dest=x,tar=maybe', 'neither true nor false'],
    ['type=tar,dest=x,name=y', 'takes no name'],
    ['type=oci,dest=x,compression=lz4', 'no compression lz4'],
    ['type=registry,compression=lz4', 'no compression lz4'],
    ['type=registry,compression=gzip,compression-level=11', 'has no level 11'],
    ['type=oci,dest=x,compression-level=3', 'takes no compression-level'],
    ['type=oci,dst=x', 'dst is unknown'],
    ['type=oci,dest=x,dest=y', 'given twice'],
    ['type=oci,dest', 'is not KEY=VALUE'],
  ])('refuses %j', (text, problem) => {
    expect(() => outputsOf([text], context)).toThrow(
      expect.objectContaining({
        code: 'USAGE_OUTPUT',
        message: expect.stringContaining(problem),
        hint: expect.any(String),
      }),
    );
  });
});
