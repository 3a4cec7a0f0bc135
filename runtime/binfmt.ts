import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, type Platform, platformOf } from '../core/index.ts';

/** The first bytes of a program: e_ident[EI_CLASS], e_ident[EI_DATA] and e_machine. elf(5) */
interface ElfKind {
  readonly bits: 32 | 64;
  readonly order: 'little' | 'big';
  readonly machine: number;
}

const elfKinds: Readonly<Record<string, ElfKind>> = {
  '386': { bits: 32, order: 'little', machine: 3 },
  amd64: { bits: 64, order: 'little', machine: 62 },
  arm: { bits: 32, order: 'little', machine: 40 },
  arm64: { bits: 64, order: 'little', machine: 183 },
  loong64: { bits: 64, order: 'little', machine: 258 },
  mips64le: { bits: 64, order: 'little', machine: 8 },
  ppc64le: { bits: 64, order: 'little', machine: 21 },
  riscv64: { bits: 64, order: 'little', machine: 243 },
  s390x: { bits: 64, order: 'big', machine: 22 },
};

/** Where the kernel lists interpreters for programs of other machines. */
const binfmtFolder = '/proc/sys/fs/binfmt_misc';

/**
 * Whether programs of a platform run in sandboxes here: of this machine's own architecture, or by an interpreter that
 * the kernel holds open (flag F), since there is none inside. Not those of a 32-bit sibling, though the kernel may run
 * them: the seccomp profile knows the system calls of one architecture.
 */
export async function canRun(platform: Platform, folder = binfmtFolder): Promise<boolean> {
  if (platform.os !== 'linux') return false;
  if (platform.architecture === platformOf(process.arch).architecture) return true;
  const kind = Object.hasOwn(elfKinds, platform.architecture) ? elfKinds[platform.architecture] : undefined;
  if (kind === undefined) return false;
  const header = elfHeader(kind);
  const status = (await readIfThere(path.join(folder, 'status')))?.trim();
  if (status !== 'enabled') return false;
  for (const name of await readdir(folder)) {
    if (name === 'status' || name === 'register') continue;
    const entry = parseBinfmtEntry((await readIfThere(path.join(folder, name))) ?? '');
    if (entry?.fixed && matches(entry, header)) return true;
  }
  return false;
}

/** An interpreter that is registered and enabled. */
interface BinfmtEntry {
  readonly offset: number;
  readonly magic: Buffer;
  readonly mask: Buffer;
  /** Whether its interpreter was opened when it was registered. */
  readonly fixed: boolean;
}

/** Reads the text of a file in binfmt_misc; undefined for those that are off or go by the extension of a name. */
export function parseBinfmtEntry(text: string): BinfmtEntry | undefined {
  const [state, ...lines] = text.split('\n');
  const fields = new Map(
    lines.map((line) => /^(\w+):? (.*)$/.exec(line)).flatMap((match) => (match ? [[match[1], match[2]]] : [])),
  );
  const magic = hex(fields.get('magic'));
  const mask = fields.get('mask') === undefined ? Buffer.alloc(magic?.length ?? 0, 0xff) : hex(fields.get('mask'));
  if (state !== 'enabled' || magic === undefined || mask?.length !== magic.length) return undefined;
  return { offset: Number(fields.get('offset') ?? 0), magic, mask, fixed: fields.get('flags')?.includes('F') === true };
}

function hex(text: string | undefined): Buffer | undefined {
  return text !== undefined && /^(?:[0-9a-f]{2})+$/i.test(text) ? Buffer.from(text, 'hex') : undefined;
}

function matches({ offset, magic, mask }: BinfmtEntry, header: Buffer): boolean {
  return magic.every((byte, index) => (((header[offset + index] ?? 0) ^ byte) & (mask[index] ?? 0)) === 0);
}

/** Of a program that can be executed, as far as interpreters look. */
function elfHeader({ bits, order, machine }: ElfKind): Buffer {
  const header = Buffer.alloc(20);
  header.set([0x7f, 0x45, 0x4c, 0x46, bits === 64 ? 2 : 1, order === 'little' ? 1 : 2, 1]);
  const executable = 2;
  if (order === 'little') {
    header.writeUInt16LE(executable, 16);
    header.writeUInt16LE(machine, 18);
  } else {
    header.writeUInt16BE(executable, 16);
    header.writeUInt16BE(machine, 18);
  }
  return header;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'EISDIR'].includes(errorCode(error) ?? '')) return undefined;
    throw error;
  }
}
