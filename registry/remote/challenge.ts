/** One way to authenticate that a `WWW-Authenticate` header offers. RFC 9110 §11.6.1 */
export interface Challenge {
  /** Lower case: `basic`, `bearer`. */
  readonly scheme: string;
  /** By lower-case name; the first of two with one name counts. */
  readonly parameters: ReadonlyMap<string, string>;
}

const maxHeaderLength = 8 * 1024;
const maxChallenges = 16;
const maxParameters = 32;
const token = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const token68 = /[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))/y;
const space = /[ \t]+/y;
const separator = /[ \t]*,[ \t,]*/y;
const equals = /[ \t]*=[ \t]*/y;
const quoted = /"((?:[^"\\]|\\.)*)"/y;
/** Servers leave the quotes out around addresses and scopes, which are no tokens. */
const unquoted = /[^\s",\\=][^\s",\\]*/y;
/** And the commas between parameters: what follows then is one more only with its `=`. */
const parameterAhead = /[ \t]+(?=[!#$%&'*+\-.^_`|~0-9A-Za-z]+=["A-Za-z0-9/])/y;

/**
 * Reads every challenge out of a header that a hostile server may have sent. What is malformed ends the reading: the
 * challenges before it are returned. Takes time linear in the header's length.
 */
export function parseChallenges(header: string): Challenge[] {
  const text = header.slice(0, maxHeaderLength);
  const challenges: Challenge[] = [];
  let position = 0;
  take(separator);

  while (position < text.length && challenges.length < maxChallenges) {
    const scheme = take(token);
    if (scheme === undefined) break;
    const parameters = new Map<string, string>();
    challenges.push({ scheme: scheme[0].toLowerCase(), parameters });
    if (take(space) !== undefined && !takeParameters(parameters)) take(token68);
    if (take(separator) === undefined) break;
  }
  return challenges;

  /** True when at least one was read. Leaves the position before the separator that ends the challenge. */
  function takeParameters(parameters: Map<string, string>): boolean {
    for (let count = 0; ; count++) {
      if (count >= maxParameters) return true;
      const before = position;
      if (count > 0 && take(separator) === undefined && take(parameterAhead) === undefined) return true;
      const parameter = takeParameter();
      if (parameter === undefined) {
        position = before;
        return count > 0;
      }
      if (!parameters.has(parameter.name)) parameters.set(parameter.name, parameter.value);
    }
  }

  function takeParameter(): { name: string; value: string } | undefined {
    const name = take(token);
    if (name === undefined || take(equals) === undefined) return undefined;
    const text68 = take(quoted);
    const value = text68 === undefined ? take(unquoted)?.[0] : (text68[1] ?? '').replace(/\\(.)/g, '$1');
    return value === undefined ? undefined : { name: name[0].toLowerCase(), value };
  }

  function take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    position = pattern.lastIndex;
    return found;
  }
}
