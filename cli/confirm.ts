import type { Context } from './context.ts';
import { ask } from './prompt.ts';
import { harmlessLine } from './terminal-text.ts';

/**
 * Asks before something is gone for good, where there is somebody to answer. Scripts mean what they say.
 * @returns false when the answer was no
 */
export async function confirm(
  { terminal, signal }: Pick<Context, 'terminal' | 'signal'>,
  flags: { readonly force?: boolean; readonly yes?: boolean },
  question: string,
): Promise<boolean> {
  if (flags.force || flags.yes || terminal.input.isTTY !== true || !terminal.err.isTerminal) return true;
  const answer = await ask(terminal, `${harmlessLine(question)} [y/N]`, { signal, hint: 'say --yes' });
  if (/^y(?:es)?$/i.test(answer.trim())) return true;
  terminal.err.write('Nothing was deleted\n');
  return false;
}
