import { mkdir } from 'node:fs/promises';
import { ToolError } from '../../core/index.ts';
import { type Launcher, runSandbox, type SandboxSpec } from '../../runtime/index.ts';
import type { ShellOptions } from './failed-step.ts';

const anyShell = '/bin/sh';

/**
 * Runs an interactive shell on this process's terminal: the program of `shell`, else /bin/sh. Resolves to its exit
 * code.
 * @throws ToolError SANDBOX_COMMAND_NOT_FOUND when the image has neither
 */
export async function openShell(
  launcher: Launcher,
  spec: SandboxSpec,
  shell: readonly string[],
  options: ShellOptions & { readonly scratch: string },
): Promise<number> {
  const programs = new Set([shell[0] ?? anyShell, anyShell]);
  for (const [index, program] of [...programs].entries()) {
    const places = spec.writable === undefined ? {} : { writable: await withNewWork(spec.writable, index) };
    const interactive = { ...spec, ...places, argv: [program], env: { ...spec.env, ...options.env }, terminal: true };
    try {
      const { signal, scratch } = options;
      const io = { stdio: 'inherit' } as const;
      return (await runSandbox(launcher, interactive, io, { signal, scratch, forwardSignals: true })).exitCode;
    } catch (error) {
      const isAbsent = error instanceof ToolError && error.code.startsWith('SANDBOX_COMMAND_');
      if (!isAbsent || program === anyShell) throw error;
    }
  }
  return 0;
}

/** A volatile overlay takes each work folder once. */
async function withNewWork({ upper, work }: { readonly upper: string; readonly work: string }, attempt: number) {
  const fresh = `${work}-shell-${attempt}`;
  await mkdir(fresh);
  return { upper, work: fresh };
}
