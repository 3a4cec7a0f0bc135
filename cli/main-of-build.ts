export { runBuild } from './build-run.ts';
export { build } from './commands/build.ts';
export { main } from './main.ts';
export { parseInvocation } from './program.ts';
