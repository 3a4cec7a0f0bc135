import { type ScannedKey, TomlScanner } from './toml-scanner.ts';

/** Where one key path or array element was written. Offsets are in UTF-16 units; the value's end is exclusive. */
export interface TomlNode {
  keyStart: number;
  keyEnd: number;
  valueStart: number;
  valueEnd: number;
  /** How the value came to be: decides what may be added to it. */
  kind: 'value' | 'implicit' | 'header' | 'dotted' | 'list';
  /** By key, or by index for elements of arrays. */
  readonly children: Map<string | number, TomlNode>;
}

/** Arrays and inline tables within each other; what a person writes is below ten. */
const maxDepth = 64;

/**
 * Finds where everything in a TOML text is written. It reads structure only: whether numbers and dates are well formed
 * is left to the parser. Names that would let a text reach the parser's own prototypes are refused here, before the
 * parser sees them.
 * @throws TomlSyntaxError
 */
export function locateToml(text: string): TomlNode {
  const scanner = new TomlScanner(text);
  const root = makeNode('header', 0, 0);
  let table = root;
  for (scanner.skipTrivia(); !scanner.atEnd; scanner.skipTrivia()) {
    if (scanner.peek() === '[') table = readHeader(scanner, root);
    else readAssignment(scanner, table, 0);
    scanner.expectLineEnd();
  }
  return root;
}

function readHeader(scanner: TomlScanner, root: TomlNode): TomlNode {
  const isList = scanner.peek(2) === '[[';
  scanner.offset += isList ? 2 : 1;
  scanner.skipBlanks();
  const keys = scanner.dottedKey();
  scanner.expect(isList ? ']]' : ']', `expected ${isList ? ']]' : ']'} at the end of the table's name`);
  const last = keys.at(-1) ?? keys[0];
  const parent = descend(scanner, root, keys.slice(0, -1), 'implicit');
  return isList ? appendTable(scanner, parent, last) : openTable(scanner, parent, last);
}

function openTable(scanner: TomlScanner, parent: TomlNode, key: ScannedKey): TomlNode {
  const found = parent.children.get(key.name);
  if (found === undefined) return addChild(scanner, parent, key, 'header');
  if (found.kind !== 'implicit') throw redefined(scanner, key, found);
  return Object.assign(found, { kind: 'header', ...keyRange(key) });
}

function appendTable(scanner: TomlScanner, parent: TomlNode, key: ScannedKey): TomlNode {
  const list = parent.children.get(key.name) ?? addChild(scanner, parent, key, 'list');
  if (list.kind !== 'list') throw redefined(scanner, key, list);
  const element = Object.assign(makeNode('header', key.start, key.end), keyRange(key));
  list.children.set(list.children.size, element);
  return element;
}

function readAssignment(scanner: TomlScanner, table: TomlNode, depth: number): void {
  const keys = scanner.dottedKey();
  const last = keys.at(-1) ?? keys[0];
  const parent = descend(scanner, table, keys.slice(0, -1), 'dotted');
  const found = parent.children.get(last.name);
  if (found !== undefined) throw redefined(scanner, last, found);
  scanner.expect('=', 'expected = after the key');
  scanner.skipBlanks();
  readValue(scanner, addChild(scanner, parent, last, 'value'), depth);
}

/** Walks to the table that a key's leading parts name, and makes what is missing. */
function descend(scanner: TomlScanner, from: TomlNode, keys: readonly ScannedKey[], kind: TomlNode['kind']): TomlNode {
  let node = from;
  for (const key of keys) {
    let next = node.children.get(key.name);
    if (next?.kind === 'value') throw redefined(scanner, key, next);
    if (next?.kind === 'list') next = next.children.get(next.children.size - 1);
    node = next ?? addChild(scanner, node, key, kind);
  }
  return node;
}

function addChild(scanner: TomlScanner, parent: TomlNode, key: ScannedKey, kind: TomlNode['kind']): TomlNode {
  // @iarna/toml looks up tables on objects with a prototype: `[constructor]` would write to `Object` itself.
  if (key.name === '__proto__' || (kind !== 'value' && key.name in Object.prototype))
    throw scanner.fail(`\`${key.name}\` cannot be used as a name here`, key.start);
  const node = Object.assign(makeNode(kind, key.start, key.end), keyRange(key));
  parent.children.set(key.name, node);
  return node;
}

function readValue(scanner: TomlScanner, node: TomlNode, depth: number): void {
  if (depth > maxDepth) throw scanner.fail(`values are nested more than ${maxDepth} deep`);
  node.valueStart = scanner.offset;
  if (scanner.peek() === '[') readArray(scanner, node, depth);
  else if (scanner.peek() === '{') readInlineTable(scanner, node, depth);
  else scanner.skipScalar();
  node.valueEnd = scanner.offset;
}

function readArray(scanner: TomlScanner, node: TomlNode, depth: number): void {
  const start = scanner.offset++;
  for (;;) {
    scanner.skipTrivia();
    if (scanner.peek() === ']') break;
    if (scanner.atEnd) throw scanner.fail('this array is not closed', start);
    const element = makeNode('value', scanner.offset, scanner.offset);
    node.children.set(node.children.size, element);
    readValue(scanner, element, depth + 1);
    Object.assign(element, { keyEnd: element.valueEnd });
    scanner.skipTrivia();
    if (scanner.peek() === ',') scanner.offset++;
    else if (scanner.peek() !== ']') throw unclosed(scanner, 'array', start, ']');
  }
  scanner.offset++;
}

function readInlineTable(scanner: TomlScanner, node: TomlNode, depth: number): void {
  const start = scanner.offset++;
  scanner.skipBlanks();
  while (scanner.peek() !== '}') {
    if (isLineEnd(scanner)) throw scanner.fail('an inline table is written on one line', start);
    readAssignment(scanner, node, depth + 1);
    scanner.skipBlanks();
    if (scanner.peek() === '}') break;
    if (isLineEnd(scanner)) throw scanner.fail('an inline table is written on one line', start);
    scanner.expect(',', 'expected , or } in an inline table');
    scanner.skipBlanks();
    if (scanner.peek() === '}') throw scanner.fail('an inline table has no comma before its }');
  }
  scanner.offset++;
}

function isLineEnd(scanner: TomlScanner): boolean {
  return scanner.atEnd || scanner.peek() === '\n' || scanner.peek() === '\r' || scanner.peek() === '#';
}

function unclosed(scanner: TomlScanner, what: string, start: number, closing: string) {
  return scanner.atEnd
    ? scanner.fail(`this ${what} is not closed`, start)
    : scanner.fail(`expected , or ${closing} in an ${what}`);
}

function redefined(scanner: TomlScanner, key: ScannedKey, first: TomlNode) {
  const line = scanner.text.slice(0, first.keyStart).split('\n').length;
  return scanner.fail(`\`${key.name}\` is already defined on line ${line}`, key.start);
}

function keyRange({ start, end }: ScannedKey) {
  return { keyStart: start, keyEnd: end, valueStart: start, valueEnd: end };
}

function makeNode(kind: TomlNode['kind'], start: number, end: number): TomlNode {
  return { keyStart: start, keyEnd: end, valueStart: start, valueEnd: end, kind, children: new Map() };
}
