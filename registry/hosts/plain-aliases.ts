import type { ParseToml } from './config-file.ts';

/** `"name" = "value"` with nothing to be unescaped, or nothing. */
const line =
  /^[ \t]*(?:"([^"\\\u0000-\u001f\u007f]*)"[ \t]*=[ \t]*"([^"\\\u0000-\u001f\u007f]*)"[ \t]*)?(?:#[^\u0000-\u0008\u000a-\u001f\u007f]*)?$/;

/**
 * TOML in which files that hold plain aliases and nothing else are read line by line: distributions ship hundreds of
 * them, whose parsing would take longer than most commands.
 */
export function parsesPlainAliases(parseToml: ParseToml): ParseToml {
  return (text, file) => plainAliases(text) ?? parseToml(text, file);
}

/** The document of such a file; undefined for any other. */
function plainAliases(text: string): Readonly<Record<string, unknown>> | undefined {
  const lines = text.split('\n');
  const start = lines.findIndex((candidate) => /^\[aliases\][ \t]*$/.test(candidate));
  if (start === -1 || lines.slice(0, start).some((before) => line.exec(before)?.[1] !== undefined)) return undefined;
  const aliases = new Map<string, string>();
  for (const [index, written] of lines.entries()) {
    if (index === start) continue;
    const found = line.exec(written);
    if (found === null) return undefined;
    const [, name, value = ''] = found;
    if (name === undefined) continue;
    // A key twice is a mistake, which the parser puts into words.
    if (aliases.has(name)) return undefined;
    aliases.set(name, value);
  }
  return { aliases: Object.fromEntries(aliases) };
}
