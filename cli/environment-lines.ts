import { ToolError } from '../core/index.ts';
import type { Environment } from './context.ts';

/**
 * `KEY=VALUE` as it is; `KEY` alone takes the value from the environment, and is nothing when it is not set there.
 * @throws ToolError USAGE_FLAG_VALUE
 */
export function assignment(text: string, flag: string, env: Environment): readonly [string, string] | undefined {
  const equals = text.indexOf('=');
  const key = equals === -1 ? text : text.slice(0, equals);
  if (key === '' || /[\s\0]/.test(key)) {
    throw new ToolError('USAGE_FLAG_VALUE', `${flag} ${JSON.stringify(text)} has no usable name before the =`, {
      hint: `write ${flag} KEY=VALUE`,
    });
  }
  if (equals !== -1) return [key, text.slice(equals + 1)];
  const value = env[key];
  return value === undefined ? undefined : [key, value];
}

/**
 * The lines of an `--env-file`, by Docker's rules: `#` begins a comment line, values are taken as they are, without
 * quoting.
 * @throws ToolError USAGE_ENV_FILE
 */
export function parseEnvFile(text: string, file: string, env: Environment): string[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .flatMap((line, index) => {
      const written = line.trimStart();
      if (written === '' || written.startsWith('#')) return [];
      const equals = written.indexOf('=');
      const key = equals === -1 ? written : written.slice(0, equals);
      if (key === '' || /\s/.test(key)) {
        throw new ToolError('USAGE_ENV_FILE', `${file}:${index + 1}: ${JSON.stringify(key)} is not a variable's name`);
      }
      if (equals !== -1) return [written];
      return env[key] === undefined ? [] : [`${key}=${env[key]}`];
    });
}
