import type { InputChange } from './compare-preimages.ts';

/** A list that names entries of a file tree: the name of its input, and where the record of it is. */
interface ListedEntry {
  /** Kind, mode, owner, and the like: all but the content. */
  readonly about: string;
  readonly content: string;
}

/**
 * Compares what two copies read, entry by entry.
 * @param before lines as `listingOf` (builder/copy/listing.ts) gives them: words, then the path as JSON
 */
export function compareListings(input: string, before: readonly string[], after: readonly string[]): InputChange[] {
  const [old, now] = [entriesOf(before), entriesOf(after)];
  const changes: InputChange[] = [];
  for (const part of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [was, is] = [old.get(part), now.get(part)];
    if (was === undefined) changes.push({ input, part, ...shown('after', is?.content || is?.about) });
    else if (is === undefined) changes.push({ input, part, ...shown('before', was.content || was.about) });
    else if (was.content !== is.content) changes.push({ input, part, before: was.content, after: is.content });
    else if (was.about !== is.about) changes.push({ input, part, before: was.about, after: is.about });
  }
  return changes;
}

function entriesOf(lines: readonly string[]): Map<string, ListedEntry> {
  const entries = new Map<string, ListedEntry>();
  let matched = '';
  for (const line of lines) {
    const [, words = '', quoted = ''] = /^(.*?) ("(?:[^"\\]|\\.)*")$/.exec(line) ?? [];
    if (quoted === '') continue;
    if (words.startsWith('match ')) {
      matched = pathOf(quoted);
      continue;
    }
    const digest = /\bsha\d+:[0-9a-f]+\b/.exec(words)?.[0] ?? '';
    // What was matched itself has no path of its own.
    entries.set(pathOf(quoted) || matched || '.', {
      about: words.replace(digest, '').replace(/\s+/g, ' ').trim(),
      content: digest,
    });
  }
  return entries;
}

/** Paths are bytes, one character each. */
function pathOf(quoted: string): string {
  return Buffer.from(String(JSON.parse(quoted)), 'latin1').toString('utf8');
}

function shown(side: 'before' | 'after', text: string | undefined): Partial<InputChange> {
  return text === undefined ? {} : { [side]: text };
}
