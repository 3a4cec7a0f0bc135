export { run } from './commands/run.ts';
export { runContainer } from './container-run.ts';
export { main } from './main.ts';
export { parseInvocation } from './program.ts';
