import { type LineWriter, widthOf } from './line-writer.ts';
import type { ArrayItem, Assignment, Value } from './toml-syntax.ts';
import { normalKey, normalScalar } from './written-text.ts';

/** Longer lines are broken where an array allows it. */
const maxWidth = 100;

/** A shorter array within a table stays on its line, however long that is: its parts would be read with more effort. */
const minBrokenWidth = 40;

type ArrayValue = Value & { readonly kind: 'array' };
type TableValue = Value & { readonly kind: 'table' };

/**
 * Writes values. An array stays on one line when it fits there, unless its author broke it after the bracket or it holds
 * a comment; otherwise each element has a line. An inline table is broken only inside an array that it holds.
 */
export class ValuePrinter {
  readonly #writer: LineWriter;
  readonly #onOneLine = new Map<Value, string>();
  readonly #broken = new Map<Value, boolean>();

  constructor(writer: LineWriter) {
    this.#writer = writer;
  }

  /** @param after how many characters follow on the same line */
  print(value: Value, indent = '', after = 0): void {
    if (value.kind === 'scalar') this.#writer.put(normalScalar(value.text));
    else if (!this.#mustBreak(value) && this.#fits(this.#flat(value), after)) this.#writer.put(this.#flat(value));
    else this.#printBroken(value, indent);
  }

  /** Something in it cannot stay on this line, or is too long for it. */
  #printBroken(value: Value, indent: string): void {
    if (value.kind === 'table') this.#printTable(value, indent);
    else if (value.kind === 'array' && canBreak(value)) this.#printArray(value, indent);
    else this.#writer.put(this.#flat(value));
  }

  #printArray({ items, comment }: ArrayValue, indent: string): void {
    const writer = this.#writer;
    const inner = `${indent}  `;
    writer.put('[');
    writer.endLine(comment?.text);
    for (const item of withoutBlankEnd(items)) {
      if (item.kind === 'blank') {
        writer.endLine();
        continue;
      }
      writer.put(inner);
      if (item.kind === 'comment') writer.put(item.comment.text);
      else {
        this.print(item.value, inner, 1);
        writer.put(',');
      }
      writer.endLine(item.kind === 'element' ? item.comment?.text : undefined);
    }
    writer.put(`${indent}]`);
  }

  #printTable(table: TableValue, indent: string): void {
    const writer = this.#writer;
    const isForced = table.entries.some(({ value }) => this.#mustBreak(value));
    const chosen = isForced ? undefined : this.#longestBreakable(table);
    writer.put('{ ');
    for (const [index, { keys, value }] of table.entries.entries()) {
      writer.put(`${index === 0 ? '' : ', '}${keys.map(normalKey).join('.')} = `);
      if (value === chosen || this.#mustBreak(value)) this.#printBroken(value, indent);
      else writer.put(this.#flat(value));
    }
    writer.put(' }');
  }

  #longestBreakable({ entries }: TableValue): Value | undefined {
    let longest: Value | undefined;
    let most = minBrokenWidth - 1;
    for (const { value } of entries) {
      const { length } = this.#flat(value);
      if (length <= most || !canBreak(value)) continue;
      longest = value;
      most = length;
    }
    return longest;
  }

  #flat(value: Value): string {
    const known = this.#onOneLine.get(value);
    if (known !== undefined) return known;
    const text = this.#makeFlat(value);
    this.#onOneLine.set(value, text);
    return text;
  }

  #makeFlat(value: Value): string {
    switch (value.kind) {
      case 'scalar':
        return normalScalar(value.text);
      case 'array':
        return `[${elementsOf(value)
          .map((element) => this.#flat(element))
          .join(', ')}]`;
      default:
        if (value.entries.length === 0) return '{}';
        return `{ ${value.entries.map((entry) => this.#flatEntry(entry)).join(', ')} }`;
    }
  }

  #flatEntry({ keys, value }: Assignment): string {
    return `${keys.map(normalKey).join('.')} = ${this.#flat(value)}`;
  }

  #fits(text: string, after: number): boolean {
    // No need to count what is far too long.
    if (text.length > 2 * maxWidth && !text.slice(0, 2 * maxWidth + 1).includes('\n')) return false;
    const [firstLine = ''] = text.split('\n', 1);
    return this.#writer.column + widthOf(firstLine) + after <= maxWidth;
  }

  #mustBreak(value: Value): boolean {
    const known = this.#broken.get(value);
    if (known !== undefined) return known;
    const must = this.#findMustBreak(value);
    this.#broken.set(value, must);
    return must;
  }

  #findMustBreak(value: Value): boolean {
    if (value.kind === 'table') return value.entries.some((entry) => this.#mustBreak(entry.value));
    if (value.kind === 'scalar' || !canBreak(value)) return false;
    if (value.isBroken || value.comment !== undefined || value.items.some(({ kind }) => kind === 'comment'))
      return true;
    return value.items.some(
      (item) =>
        item.kind === 'element' &&
        (item.comment !== undefined || this.#mustBreak(item.value) || this.#flat(item.value).includes('\n')),
    );
  }
}

/** Whether there is an array in it that holds something. */
function canBreak(value: Value): boolean {
  switch (value.kind) {
    case 'scalar':
      return false;
    case 'array':
      return value.comment !== undefined || value.items.some(({ kind }) => kind !== 'blank');
    default:
      return value.entries.some((entry) => canBreak(entry.value));
  }
}

function elementsOf({ items }: ArrayValue): Value[] {
  return items.flatMap((item) => (item.kind === 'element' ? [item.value] : []));
}

function withoutBlankEnd(items: readonly ArrayItem[]): readonly ArrayItem[] {
  return items.at(-1)?.kind === 'blank' ? items.slice(0, -1) : items;
}
