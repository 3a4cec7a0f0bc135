export { copy } from './commands/copy.ts';
export { pull } from './commands/pull.ts';
export { push } from './commands/push.ts';
export { runCopy } from './copy-run.ts';
export { main } from './main.ts';
export { parseInvocation } from './program.ts';
export { runPull } from './pull-run.ts';
