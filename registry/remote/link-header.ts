const maxHeaderLength = 8 * 1024;
const target = /[ \t,]*<([^<>]*)>/y;
const parameter = /[ \t]*;[ \t]*([!#$&+\-.^_`|~0-9A-Za-z]+)\*?[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^"\s,;]*)))?/y;
const separator = /[ \t]*(?:,|$)/y;

/**
 * The target of the first link of relation `next`, as it is written: relative or absolute. Undefined without one, and
 * from where a hostile header is malformed. Takes time linear in the header's length. RFC 8288 §3
 */
export function nextLink(header: string): string | undefined {
  const text = header.slice(0, maxHeaderLength);
  let position = 0;
  for (;;) {
    const link = take(target);
    if (link === undefined) return undefined;
    const relations = takeParameters();
    if (relations.includes('next')) return link[1];
    if (take(separator) === undefined || position >= text.length) return undefined;
  }

  /** The words of `rel`; a second one does not count. RFC 8288 §3.3 */
  function takeParameters(): readonly string[] {
    let relations: readonly string[] | undefined;
    for (;;) {
      const found = take(parameter);
      if (found === undefined) return relations ?? [];
      if (found[1]?.toLowerCase() === 'rel') {
        relations ??= (found[2]?.replace(/\\(.)/g, '$1') ?? found[3] ?? '').toLowerCase().split(/[ \t]+/);
      }
    }
  }

  function take(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found === null) return undefined;
    position = pattern.lastIndex;
    return found;
  }
}
