import { ToolError } from '../../core/index.ts';
import type { Capability } from './capabilities.ts';
import type { ArgumentRule, SeccompProfile, SeccompRule } from './seccomp-profile.ts';
import { syscallNumbers } from './syscall-numbers.ts';

export type SeccompArchitecture = keyof typeof syscallNumbers;

/** What happens to a system call. */
export type Verdict = 'allow' | 'EPERM' | 'ENOSYS' | ArgumentRule;

/** One verdict for all numbers from `first` to the next range's. */
export interface VerdictRange {
  readonly first: number;
  readonly verdict: Verdict;
}

/** linux/audit.h; numbers of other architectures (32-bit x86 and ARM) mean other calls, and are all refused. */
const auditArchitecture: Readonly<Record<SeccompArchitecture, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 };

const allow = 0x7fff_0000;
const refuseWith = { EPERM: 0x0005_0000 + 1, ENOSYS: 0x0005_0000 + 38 } as const;

/** Offsets in struct seccomp_data, linux/seccomp.h. */
const offsetOf = { number: 0, architecture: 4, firstArgument: 16 } as const;

/** linux/bpf_common.h: the few instructions that are used. */
const opcode = { load: 0x20, jump: 0x05, ifEqual: 0x15, ifAtLeast: 0x35, ifAnyBit: 0x45, result: 0x06 } as const;

/** struct sock_filter, linux/filter.h. */
interface Instruction {
  readonly code: number;
  /** How many instructions to skip when a condition holds, and when it does not: at most 255. */
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly operand: number;
}

/** @throws ToolError ENVIRONMENT_UNSUPPORTED for an architecture (as in `process.arch`) without a table of calls */
export function seccompArchitecture(nodeArchitecture: string): SeccompArchitecture {
  if (nodeArchitecture === 'x64' || nodeArchitecture === 'arm64') return nodeArchitecture;
  throw new ToolError('ENVIRONMENT_UNSUPPORTED', `sandboxes are not supported on ${nodeArchitecture} machines`, {
    hint: 'use a 64-bit x86 or ARM machine',
  });
}

/**
 * Compiles a profile for a process with `capabilities` to a program for seccomp(2): bytes of struct sock_filter.
 * Calls of another architecture, x32 calls, and calls younger than the tables get ENOSYS.
 */
export function compileSeccomp(
  profile: SeccompProfile,
  capabilities: readonly Capability[],
  architecture: SeccompArchitecture,
): Buffer {
  const program = [
    statement(opcode.load, offsetOf.architecture),
    condition(opcode.ifEqual, auditArchitecture[architecture], 1, 0),
    statement(opcode.result, refuseWith.ENOSYS),
    statement(opcode.load, offsetOf.number),
    ...search(verdictRanges(profile, capabilities, architecture)),
  ];
  return Buffer.concat(program.map(encode));
}

/** The profile's verdict for every number, as ranges that begin with 0 and differ from their neighbours. */
export function verdictRanges(
  profile: SeccompProfile,
  capabilities: readonly Capability[],
  architecture: SeccompArchitecture,
): readonly VerdictRange[] {
  const numbers = syscallNumbers[architecture];
  const verdicts = new Map<number, Verdict>();
  for (const name of profile.unimplemented) setVerdict(verdicts, numbers.get(name), 'ENOSYS');
  const applicable = profile.allowed.filter((rule) => applies(rule, capabilities, architecture));
  // What is allowed for certain arguments may be allowed without a condition to the holder of a capability.
  for (const rule of [...applicable.filter((rule) => rule.when), ...applicable.filter((rule) => !rule.when)]) {
    for (const name of rule.names) setVerdict(verdicts, numbers.get(name), rule.when ?? 'allow');
  }
  const afterLast = Math.max(...numbers.values()) + 1;
  const ranges: VerdictRange[] = [];
  for (let number = 0; number <= afterLast; number++) {
    const verdict = number === afterLast ? 'ENOSYS' : (verdicts.get(number) ?? 'EPERM');
    if (ranges.at(-1)?.verdict !== verdict) ranges.push({ first: number, verdict });
  }
  return ranges;
}

function applies(rule: SeccompRule, capabilities: readonly Capability[], architecture: SeccompArchitecture): boolean {
  if (rule.architectures !== undefined && !rule.architectures.includes(architecture)) return false;
  return rule.capabilities === undefined || rule.capabilities.some((capability) => capabilities.includes(capability));
}

function setVerdict(verdicts: Map<number, Verdict>, number: number | undefined, verdict: Verdict): void {
  if (number !== undefined) verdicts.set(number, verdict);
}

/** Binary search: the number of the call is in the accumulator, so that a call costs log2(ranges) comparisons. */
function search(ranges: readonly VerdictRange[]): Instruction[] {
  const [only] = ranges;
  if (only === undefined) throw new TypeError('there is no range to search');
  if (ranges.length === 1) return conclude(only.verdict);
  const middle = ranges.length >> 1;
  const lower = search(ranges.slice(0, middle));
  const upper = search(ranges.slice(middle));
  const first = ranges[middle]?.first ?? 0;
  if (lower.length <= 255) return [condition(opcode.ifAtLeast, first, lower.length, 0), ...lower, ...upper];
  const far = statement(opcode.jump, lower.length);
  return [condition(opcode.ifAtLeast, first, 0, 1), far, ...lower, ...upper];
}

function conclude(verdict: Verdict): Instruction[] {
  if (verdict === 'allow') return [statement(opcode.result, allow)];
  if (verdict === 'EPERM' || verdict === 'ENOSYS') return [statement(opcode.result, refuseWith[verdict])];
  return [...testArgument(verdict), statement(opcode.result, allow), statement(opcode.result, refuseWith.EPERM)];
}

/** Falls through when the argument is right, skips one instruction when it is not. */
function testArgument(rule: ArgumentRule): Instruction[] {
  // Both architectures are little-endian: the lower half of a 64-bit argument comes first.
  const low = offsetOf.firstArgument + 8 * rule.argument;
  if ('noneOfBits' in rule) return [statement(opcode.load, low), condition(opcode.ifAnyBit, rule.noneOfBits, 1, 0)];
  const count = rule.orOneOf.length;
  return [
    statement(opcode.load, low + 4),
    condition(opcode.ifEqual, 0, 0, count + 3),
    statement(opcode.load, low),
    condition(opcode.ifAtLeast, rule.below, count === 0 ? 1 : 0, count),
    ...rule.orOneOf.map((value, index) =>
      condition(opcode.ifEqual, value, count - 1 - index, index === count - 1 ? 1 : 0),
    ),
  ];
}

function statement(code: number, operand: number): Instruction {
  return { code, whenTrue: 0, whenFalse: 0, operand };
}

function condition(code: number, operand: number, whenTrue: number, whenFalse: number): Instruction {
  return { code, whenTrue, whenFalse, operand };
}

function encode(instruction: Instruction): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(instruction.code, 0);
  bytes.writeUInt8(instruction.whenTrue, 2);
  bytes.writeUInt8(instruction.whenFalse, 3);
  bytes.writeUInt32LE(instruction.operand, 4);
  return bytes;
}
