import { isDeepStrictEqual } from 'node:util';
import { parseToml } from '../buildfile/toml.ts';
import { LineWriter } from './line-writer.ts';
import { ValuePrinter } from './print-value.ts';
import { readTomlSyntax, type Statement } from './toml-syntax.ts';
import { normalKey } from './written-text.ts';

/**
 * The text in its one layout; comments, the order of keys and steps, and what it says stay. What is formatted already
 * comes back as it is.
 * @throws BuildfileError when the text is not TOML
 */
export function formatBuildfile(text: string, file: string): string {
  const before = parseToml(text, file);
  const formatted = printStatements(readTomlSyntax(before.text.replaceAll('\r\n', '\n')).statements);
  if (!isDeepStrictEqual(parseToml(formatted, file).value, before.value)) {
    throw new TypeError(`formatting ${file} would have changed what it says`);
  }
  return formatted;
}

function printStatements(statements: readonly Statement[]): string {
  const writer = new LineWriter();
  const values = new ValuePrinter(writer);
  const opens = sectionStarts(statements);
  let needsBlank = false;
  let afterHeader = false;
  for (const [index, statement] of statements.entries()) {
    if (statement.kind === 'blank') {
      needsBlank = !afterHeader;
      continue;
    }
    if (!writer.isEmpty && (needsBlank || opens[index])) writer.endLine();
    needsBlank = false;
    afterHeader = statement.kind === 'header';
    printStatement(statement, writer, values);
  }
  return writer.toString();
}

function printStatement(
  statement: Exclude<Statement, { readonly kind: 'blank' }>,
  writer: LineWriter,
  values: ValuePrinter,
): void {
  switch (statement.kind) {
    case 'comment':
      writer.put(statement.comment.text);
      writer.endLine();
      return;
    case 'header': {
      const name = statement.keys.map(normalKey).join('.');
      writer.put(statement.isList ? `[[${name}]]` : `[${name}]`);
      break;
    }
    default:
      writer.put(`${statement.assignment.keys.map(normalKey).join('.')} = `);
      values.print(statement.assignment.value);
  }
  writer.endLine(statement.comment?.text);
}

/** Which statements begin a section: a header, or the first of the comments right above it. */
function sectionStarts(statements: readonly Statement[]): boolean[] {
  const starts = statements.map(({ kind }) => kind === 'header');
  for (let index = statements.length - 2; index >= 0; index--) {
    if (statements[index]?.kind !== 'comment' || !starts[index + 1]) continue;
    starts[index] = true;
    starts[index + 1] = false;
  }
  return starts;
}
