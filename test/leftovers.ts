import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

/** Processes get this long to end after the last test. */
const graceMs = 3_000;

/**
 * Vitest's global setup: gives the whole run one temp folder, and fails the run when tests leave a file, a mount or a
 * process behind. The folder tells this run's leftovers from those of others on the same machine.
 */
export default function setup(): () => Promise<void> {
  const before = process.env.TMPDIR;
  const folder = mkdtempSync(path.join(tmpdir(), 'kiln-test-'));
  chmodSync(folder, 0o711); // The unprivileged user's own folder is inside.
  process.env.TMPDIR = folder;
  return async () => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
    const left = await leftoversAfterGrace(folder);
    if (left.length === 0) {
      rmSync(folder, { recursive: true });
      return;
    }
    throw new Error(`the tests left behind:\n  ${left.join('\n  ')}`);
  };
}

async function leftoversAfterGrace(folder: string): Promise<readonly string[]> {
  for (let waitedMs = 0; waitedMs < graceMs; waitedMs += 100) {
    if (leftovers(folder).length === 0) return [];
    await delay(100);
  }
  return leftovers(folder);
}

/** One line for each file in `folder`, each mount on or from it, and each process that works in it. */
export function leftovers(folder: string): readonly string[] {
  const files = readdirSync(folder).map((name) => `file ${path.join(folder, name)}`);
  return [...files, ...mountsOf('self', folder).map((line) => `mount ${line}`), ...processesOf(folder)];
}

/** Processes, other than this one and its children of the test runner, that hold on to `folder`. */
export function processesOf(folder: string): readonly string[] {
  const ids = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  return ids.flatMap((id) => {
    const command = (readProc(id, 'cmdline') ?? '').replaceAll('\0', ' ').trim();
    if (command === '' || command.includes('vitest')) return [];
    const holds =
      isIn(folder, linkOf(id, 'cwd')) || isIn(folder, linkOf(id, 'root')) || mountsOf(id, folder).length > 0;
    const started = (readProc(id, 'environ') ?? '').split('\0').some((entry) => isIn(folder, entry.split('=')[1]));
    return holds || started ? [`process ${id} ${command.slice(0, 200)}`] : [];
  });
}

export function mountsOf(id: string, folder: string): readonly string[] {
  return (readProc(id, 'mountinfo') ?? '').split('\n').filter((line) => line.includes(folder));
}

function isIn(folder: string, file: string | undefined): boolean {
  return file === folder || file?.startsWith(`${folder}/`) === true;
}

function readProc(id: string, file: string): string | undefined {
  try {
    return readFileSync(`/proc/${id}/${file}`, 'latin1');
  } catch {
    return undefined; // The process has ended, or is another user's.
  }
}

function linkOf(id: string, file: string): string | undefined {
  try {
    return readlinkSync(`/proc/${id}/${file}`);
  } catch {
    return undefined;
  }
}
