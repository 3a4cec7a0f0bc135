import type { Problem } from './problems.ts';

/** The lines a Dockerfile may begin with, before its first instruction. */
const comment = /^\s*(?:#.*)?$/;
const directive = /^\s*#\s*(?:syntax|escape|check)\s*=\s*\S/i;
/** In TOML an = would follow the word. */
const instruction = /^\s*(?:FROM|ARG)\s+[^\s=]/i;

/** What to say about a text that is no TOML and begins like a Dockerfile; undefined when it does not. */
export function dockerfileProblem(text: string, file: string): Problem | undefined {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/, 1000);
  const first = lines.findIndex((line) => !comment.test(line));
  const isDockerfile = directive.test(lines[0] ?? '') || instruction.test(lines[first] ?? '');
  if (!isDockerfile) return undefined;
  const line = instruction.test(lines[first] ?? '') ? first + 1 : 1;
  const message =
    'this is a Dockerfile; Kiln reads Buildfiles, which are TOML and begin with from = "IMAGE" (docs/buildfile.md)';
  return { code: 'BUILDFILE_DOCKERFILE', message, position: { file, line, column: 1 } };
}
