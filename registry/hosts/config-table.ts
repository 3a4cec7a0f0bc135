/** What is wrong with a file, each with the key it stands under. */
export type Problems = string[];

/**
 * A parsed TOML table that is read by key. What has the wrong type is noted among the problems, so that all of a file's
 * are told at once; keys that nobody asks for are somebody else's and stay unread.
 */
export class ConfigTable {
  /** Where in the file, for people: `registry[0].mirror[1]`. */
  readonly place: string;
  readonly #values: Readonly<Record<string, unknown>>;
  readonly #problems: Problems;

  constructor(values: Readonly<Record<string, unknown>>, problems: Problems, place = '') {
    this.#values = values;
    this.#problems = problems;
    this.place = place;
  }

  /** Undefined also when it is empty, which is how these files say "not set". */
  text(key: string): string | undefined {
    const value = this.#values[key];
    if (value === undefined || value === '') return undefined;
    if (typeof value === 'string') return value;
    return this.complain(key, 'is to be a text');
  }

  flag(key: string): boolean | undefined {
    const value = this.#values[key];
    if (value === undefined || typeof value === 'boolean') return value;
    return this.complain(key, 'is to be true or false');
  }

  texts(key: string): readonly string[] | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value;
    return this.complain(key, 'is to be a list of texts');
  }

  /** Whatever is there, for what has more than one form. */
  value(key: string): unknown {
    return this.#values[key];
  }

  table(key: string): ConfigTable | undefined {
    const value = this.#values[key];
    if (value === undefined) return undefined;
    if (isTable(value)) return new ConfigTable(value, this.#problems, this.#path(key));
    return this.complain(key, 'is to be a table');
  }

  tables(key: string): readonly ConfigTable[] {
    const value = this.#values[key];
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every(isTable)) {
      return value.map((item, index) => new ConfigTable(item, this.#problems, `${this.#path(key)}[${index}]`));
    }
    this.complain(key, `is to be written as [[${key}]]`);
    return [];
  }

  /** In the order of the file. */
  keys(): readonly string[] {
    return Object.keys(this.#values);
  }

  complain(key: string, what: string): undefined {
    this.#problems.push(`${this.#path(key)} ${what}`);
    return undefined;
  }

  #path(key: string): string {
    const shown = /^[A-Za-z0-9_-]+$/.test(key) ? key : quotedValue(key);
    return this.place === '' ? shown : `${this.place}.${shown}`;
  }
}

/** A value in a message: short, and without the user and password that an address may have. */
export function quotedValue(text: string): string {
  return JSON.stringify(text.replace(/^([^/]*\/\/)?[^/]*@/, '$1…@').slice(0, 200));
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
