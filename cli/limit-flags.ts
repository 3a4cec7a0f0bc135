import type { StepLimits } from '../builder/index.ts';
import { ToolError } from '../core/index.ts';
import { ulimitNames } from '../runtime/index.ts';
import type { BuildFlags } from './commands/build.ts';
import { parseSize } from './size.ts';

/** Docker's: below it not even a shell starts. */
const minMemoryBytes = 6 << 20;
/** The kernel gives out time in slices of this part of a processor at least. */
const minCpus = 0.01;
/** pids_max of the kernel, less one for the sandbox itself. */
const maxPids = (1 << 22) - 1;

/** `--memory --cpus --pids-limit --shm-size --ulimit`. @throws ToolError USAGE_FLAG_VALUE */
export function limitsOf(
  flags: Pick<BuildFlags, 'memory' | 'cpus' | 'pids-limit' | 'shm-size' | 'ulimit'>,
): StepLimits {
  const ulimits = parseUlimits(flags.ulimit);
  const pids = flags['pids-limit'] === undefined ? undefined : parsePids(flags['pids-limit']);
  return {
    ...(flags.memory === undefined ? {} : { memoryBytes: parseMemory(flags.memory) }),
    ...(flags.cpus === undefined ? {} : { cpus: parseCpus(flags.cpus) }),
    ...(pids === undefined ? {} : { pids }),
    ...(flags['shm-size'] === undefined ? {} : { shmBytes: parseShm(flags['shm-size']) }),
    ...(ulimits.size === 0 ? {} : { ulimits }),
  };
}

function parseMemory(text: string): number {
  const bytes = parseSize(text, '--memory');
  if (bytes >= minMemoryBytes) return bytes;
  throw invalid('--memory', text, 'is too little for any program', 'give it 6m at least');
}

function parseShm(text: string): number {
  const bytes = parseSize(text, '--shm-size');
  // To tmpfs(5) a size of 0 means no limit.
  if (bytes > 0) return bytes;
  throw invalid('--shm-size', text, 'is no size', 'write --shm-size 64m');
}

function parseCpus(text: string): number {
  const cpus = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (cpus >= minCpus && cpus <= 10_000) return cpus;
  throw invalid('--cpus', text, 'is not a number of processors', 'write --cpus 2 or --cpus 0.5; the least is 0.01');
}

/** Undefined for no limit. */
function parsePids(text: string): number | undefined {
  if (text === '-1') return undefined;
  const pids = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (pids >= 1 && pids <= maxPids) return pids;
  throw invalid(
    '--pids-limit',
    text,
    'is not a number of processes',
    `write a number up to ${maxPids}, or -1 for no limit`,
  );
}

function parseUlimits(texts: readonly string[]): Map<string, { readonly soft: number; readonly hard: number }> {
  const ulimits = new Map<string, { readonly soft: number; readonly hard: number }>();
  for (const text of texts) {
    const match = /^([^=]*)=(-1|unlimited|\d{1,19})(?::(-1|unlimited|\d{1,19}))?$/.exec(text);
    if (match === null) {
      throw invalid('--ulimit', text, 'is not a limit', 'write --ulimit nofile=1024 or --ulimit nofile=1024:4096');
    }
    const [, name = '', first = '', second = first] = match;
    if (!ulimitNames.includes(name)) {
      throw invalid('--ulimit', text, 'names no resource', `known are ${ulimitNames.join(', ')}`);
    }
    if (ulimits.has(name)) throw invalid('--ulimit', text, 'is given twice', `say --ulimit ${name}=… once`);
    const [soft, hard] = [limitValue(first), limitValue(second)];
    if (!Number.isSafeInteger(soft) || !Number.isSafeInteger(hard)) {
      throw invalid('--ulimit', text, 'is too large', 'write -1 for no limit');
    }
    if (hard !== -1 && (soft === -1 || soft > hard)) {
      throw invalid('--ulimit', text, 'has a soft limit above the hard one', 'the soft limit comes first: SOFT:HARD');
    }
    ulimits.set(name, { soft, hard });
  }
  return ulimits;
}

function limitValue(text: string): number {
  return text === 'unlimited' ? -1 : Number(text);
}

function invalid(flag: string, text: string, problem: string, hint: string): ToolError {
  return new ToolError('USAGE_FLAG_VALUE', `${flag} ${JSON.stringify(text)} ${problem}`, { hint });
}
