import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Capability, capabilityMask, defaultCapabilities } from './capabilities.ts';
import { compileSeccomp, type SeccompArchitecture, seccompArchitecture } from './seccomp-compile.ts';
import { defaultSeccompProfile, type SeccompRule } from './seccomp-profile.ts';
import { syscallNumbers } from './syscall-numbers.ts';

interface Call {
  readonly architecture: number;
  readonly number: number;
  /** 64 bits each. */
  readonly args: readonly bigint[];
}

const audit = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
const results = new Map([
  [0x7fff0000, 'allow'],
  [0x00050001, 'EPERM'],
  [0x00050026, 'ENOSYS'],
]);

/** What the kernel would do: an interpreter of the instructions that filters may use. */
function interpret(program: Buffer, call: Call): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(call.number, 0);
  data.writeUInt32LE(call.architecture, 4);
  call.args.forEach((value, index) => {
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index);
  });
  let accumulator = 0;
  for (let at = 0; ; at++) {
    const [whenTrue, whenFalse] = [program.readUInt8(at * 8 + 2), program.readUInt8(at * 8 + 3)];
    const operand = program.readUInt32LE(at * 8 + 4);
    const jump = (holds: boolean): void => {
      at += holds ? whenTrue : whenFalse;
    };
    switch (program.readUInt16LE(at * 8)) {
      case 0x20:
        accumulator = data.readUInt32LE(operand);
        break;
      case 0x05:
        at += operand;
        break;
      case 0x15:
        jump(accumulator === operand);
        break;
      case 0x35:
        jump(accumulator >= operand);
        break;
      case 0x45:
        jump((accumulator & operand) !== 0);
        break;
      case 0x06:
        return results.get(operand) ?? `unknown result ${operand}`;
      default:
        return `unknown instruction at ${at}`;
    }
  }
}

/** What the profile says, read straight from its rules. */
function expected(call: Call, capabilities: readonly Capability[], architecture: SeccompArchitecture): string {
  if (call.architecture !== audit[architecture]) return 'ENOSYS';
  const names = new Map([...syscallNumbers[architecture]].map(([name, number]) => [number, name]));
  const name = names.get(call.number);
  if (call.number > Math.max(...names.keys())) return 'ENOSYS';
  const allows = (rule: SeccompRule): boolean =>
    name !== undefined &&
    rule.names.includes(name) &&
    (rule.architectures?.includes(architecture) ?? true) &&
    (rule.capabilities?.some((capability) => capabilities.includes(capability)) ?? true) &&
    argumentIsRight(rule, call);
  if (defaultSeccompProfile.allowed.some(allows)) return 'allow';
  return name !== undefined && defaultSeccompProfile.unimplemented.includes(name) ? 'ENOSYS' : 'EPERM';
}

function argumentIsRight(rule: SeccompRule, call: Call): boolean {
  if (rule.when === undefined) return true;
  const value = BigInt.asUintN(64, call.args[rule.when.argument] ?? 0n);
  if ('noneOfBits' in rule.when) return (value & BigInt(rule.when.noneOfBits)) === 0n;
  return value < BigInt(rule.when.below) || rule.when.orOneOf.some((one) => BigInt(one) === value);
}

const capabilitySets: readonly (readonly Capability[])[] = [
  defaultCapabilities,
  [],
  [...defaultCapabilities, 'SYS_ADMIN', 'SYS_PTRACE', 'SYSLOG'],
];
const interestingArguments = [
  0n,
  1n,
  8n,
  11n,
  12n,
  13n,
  40n,
  45n,
  46n,
  0x20000n,
  0x10000000n,
  0xffffffffn,
  -1n,
  1n << 32n,
];

describe.each(['x64', 'arm64'] as const)('the compiled default profile on %s', (architecture) => {
  it.each(capabilitySets.map((set) => [capabilityMask(set), set] as const))(
    'gives each call its verdict (%s)',
    (_, set) => {
      const program = compileSeccomp(defaultSeccompProfile, set, architecture);

      for (let number = 0; number < 520; number++) {
        for (const argument of interestingArguments) {
          const call = { architecture: audit[architecture], number, args: [argument, argument] };
          const found = interpret(program, call);
          if (found !== expected(call, set, architecture)) expect.fail(`${number}(${argument}) gives ${found}`);
        }
      }
    },
  );

  it('agrees with the profile for any call at all', () => {
    const program = compileSeccomp(defaultSeccompProfile, defaultCapabilities, architecture);
    const call = fc.record({
      architecture: fc.oneof(fc.constant<number>(audit[architecture]), fc.nat({ max: 0xffffffff })),
      number: fc.oneof(
        fc.nat({ max: 0xffffffff }),
        fc.nat({ max: 480 }),
        fc.nat({ max: 480 }).map((n) => 0x40000000 + n),
      ),
      args: fc.array(fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }), { minLength: 6, maxLength: 6 }),
    });

    fc.assert(
      fc.property(call, (one) => interpret(program, one) === expected(one, defaultCapabilities, architecture)),
      { numRuns: 2000 },
    );
  });

  it('is short', () => {
    expect(compileSeccomp(defaultSeccompProfile, defaultCapabilities, architecture).byteLength / 8).toBeLessThan(300);
  });

  it('knows every call that the profile names', () => {
    const numbers = [...syscallNumbers.x64.keys(), ...syscallNumbers.arm64.keys()];

    const unknown = defaultSeccompProfile.allowed
      .flatMap((rule) => rule.names)
      .filter((name) => !numbers.includes(name));

    expect(unknown).toEqual([]);
  });
});

it('has no table for other architectures', () => {
  expect(() => seccompArchitecture('riscv64')).toThrow(expect.objectContaining({ code: 'ENVIRONMENT_UNSUPPORTED' }));
});

it('writes the default capabilities as the kernel shows them', () => {
  expect(capabilityMask(defaultCapabilities)).toBe('00000000a80425fb');
});
