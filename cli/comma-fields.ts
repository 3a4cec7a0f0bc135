import { nearest, ToolError } from '../core/index.ts';

export interface CommaFieldsOptions<Key extends string> {
  /** With its dashes. */
  readonly flag: string;
  readonly keys: readonly Key[];
  /** Of the error. */
  readonly code: string;
}

/**
 * The fields of `type=oci,dest=a.tar,"name=a,b"`: a line of CSV whose fields are `KEY=VALUE`, as docker has it.
 * @throws ToolError of the given code, for what is no field, is unknown, or comes twice
 */
export function commaFields<Key extends string>(
  text: string,
  { flag, keys, code }: CommaFieldsOptions<Key>,
): ReadonlyMap<Key, string> {
  const fields = new Map<Key, string>();
  for (const [, quoted, plain] of text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)) {
    const field = quoted?.replaceAll('""', '"') ?? plain ?? '';
    const equals = field.indexOf('=');
    const name = (equals === -1 ? field : field.slice(0, equals)).trim().toLowerCase();
    const key = keys.find((known) => known === name);
    const wrong = (why: string, hint: string) =>
      new ToolError(code, `${flag} ${JSON.stringify(text)}: ${why}`, { hint });
    if (equals === -1) throw wrong(`${JSON.stringify(field)} is not KEY=VALUE`, `it takes ${keys.join(', ')}`);
    if (key === undefined) {
      const near = nearest(name, keys);
      throw wrong(`${name} is unknown`, near === undefined ? `it takes ${keys.join(', ')}` : `did you mean ${near}=…?`);
    }
    if (fields.has(key)) throw wrong(`${key} is given twice`, 'give each once');
    fields.set(key, field.slice(equals + 1));
  }
  return fields;
}

/** `true`, `false`, and what else docker takes for them; undefined for anything else. */
export function booleanField(value: string): boolean | undefined {
  if (['true', 't', '1'].includes(value.toLowerCase())) return true;
  return ['false', 'f', '0'].includes(value.toLowerCase()) ? false : undefined;
}
