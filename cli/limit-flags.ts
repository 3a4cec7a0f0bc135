import type { StepLimits } from '../builder/index.ts';
import type { BuildFlags } from './commands/build.ts';

/** `--memory --cpus --pids-limit --shm-size --ulimit`. @throws ToolError USAGE_FLAG_VALUE */
export function limitsOf(
  _flags: Pick<BuildFlags, 'memory' | 'cpus' | 'pids-limit' | 'shm-size' | 'ulimit'>,
): StepLimits {
  return {};
}
