import type { Context } from './context.ts';
import { harmlessLine } from './terminal-text.ts';

/** One line on stderr; the text may come from a registry. */
export function warn({ terminal }: Pick<Context, 'terminal'>, text: string): void {
  terminal.say(`kiln: warning: ${harmlessLine(text)}`);
}
