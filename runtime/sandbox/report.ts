import { ToolError } from '../../core/index.ts';

/**
 * Reads what the launcher reported: NUL-ended fields kind, operation, subject, reason.
 * @returns undefined when there was nothing to report, so that the exit status is the payload's
 */
export function parseReport(bytes: Uint8Array): ToolError | undefined {
  if (bytes.byteLength === 0) return undefined;
  const [kind, operation = '', subject = '', said = 'no reason given'] = Buffer.from(bytes).toString().split('\0');
  // What the kernel says of a mount ends with a line end.
  const reason = said.trim();
  if (kind === 'not-found') {
    return new ToolError(
      'SANDBOX_COMMAND_NOT_FOUND',
      `the command ${JSON.stringify(subject)} is not there: ${reason}`,
      {
        hint: 'check its spelling and that an earlier step installs it; a script may also name a missing interpreter',
      },
    );
  }
  if (kind === 'not-executable') {
    return new ToolError('SANDBOX_COMMAND_NOT_EXECUTABLE', `${JSON.stringify(subject)} cannot be run: ${reason}`, {
      hint: 'make it executable (chmod +x), and check that it is made for this machine',
    });
  }
  const what = subject === '' ? operation : `${operation} ${subject}`;
  return new ToolError('SANDBOX_SETUP_FAILED', `the sandbox could not be set up: ${what}: ${reason}`, {
    hint: setupHint(operation, subject, reason),
  });
}

function setupHint(operation: string, subject: string, reason: string): string | undefined {
  if (operation === 'mount' && subject === '/proc' && reason === 'Operation not permitted') {
    return 'a container around this one hides parts of /proc: run that with --security-opt systempaths=unconfined';
  }
  if (operation === 'connect the network by') {
    return 'check that it runs here (containers need --device /dev/net/tun), or choose with --network host or none';
  }
  if (operation === 'set a resource limit')
    return 'only root may raise a limit, and the kernel bounds some: ask for less';
  if (reason.includes('too many lower directories'))
    return 'an image has 500 layers at most here: give neighbouring steps the same layer = "…"';
  if (operation === 'enter the working directory') return 'make the directory in an earlier step';
  if (operation.startsWith('become the') || operation === 'set additional groups') {
    return 'the id is outside the range of subordinate ids of this user; see /etc/subuid and /etc/subgid';
  }
  if (operation === 'bind' && reason === 'No such file or directory') return 'check the source of the mount';
  if (/^Operation not permitted|^Function not implemented/.test(reason)) {
    return 'this process may not make sandboxes: run it as root, or where user namespaces are allowed';
  }
  return undefined;
}
