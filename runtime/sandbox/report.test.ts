import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ToolError } from '../../core/index.ts';
import { parseReport } from './report.ts';

const report = (...fields: readonly string[]): Buffer => Buffer.from(fields.map((field) => `${field}\0`).join(''));

it('is nothing when nothing went wrong', () => {
  expect(parseReport(Buffer.alloc(0))).toBeUndefined();
});

it('names the operation, its subject and the reason', () => {
  const error = parseReport(report('setup', 'bind', '/host/secret', 'No such file or directory'));

  expect(error).toMatchObject({
    code: 'SANDBOX_SETUP_FAILED',
    message: 'the sandbox could not be set up: bind /host/secret: No such file or directory',
    hint: 'check the source of the mount',
  });
});

it('leaves out the line end that the kernel puts behind its reason', () => {
  const error = parseReport(report('setup', 'mount the overlay', '/store', 'overlay: too many lower directories \n'));

  expect(error?.message).toBe(
    'the sandbox could not be set up: mount the overlay /store: overlay: too many lower directories',
  );
});

it.each([
  ['not-found', 'SANDBOX_COMMAND_NOT_FOUND'],
  ['not-executable', 'SANDBOX_COMMAND_NOT_EXECUTABLE'],
])('tells %s apart', (kind, code) => {
  expect(parseReport(report(kind, 'exec', 'nginx', 'Permission denied'))).toMatchObject({ code });
});

it('says what to do where a container hides parts of /proc', () => {
  const error = parseReport(report('setup', 'mount', '/proc', 'Operation not permitted'));

  expect(error?.hint).toContain('systempaths=unconfined');
});

it('makes an error of anything else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      expect(parseReport(bytes)).toBeInstanceOf(ToolError);
    }),
  );
});
