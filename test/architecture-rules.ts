import path from 'node:path';

/** Path relative to the repository → text. */
export type SourceTree = ReadonlyMap<string, string>;

export interface Part {
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

/** Who may import whom. ARCHITECTURE.md says why. */
export const parts: Readonly<Record<string, Part>> = {
  core: { imports: [], packages: ['ssri', 'p-limit'] },
  registry: { imports: ['core'], packages: ['axios', 'bcryptjs'] },
  runtime: { imports: ['core'], packages: ['tar-stream'] },
  builder: { imports: ['core', 'registry', 'runtime'], packages: ['@iarna/toml'] },
  rebuild: { imports: ['core', 'registry', 'runtime', 'builder'], packages: [] },
  cli: { imports: ['core', 'registry', 'runtime', 'builder', 'rebuild'], packages: ['commander'] },
};

export const maximumLines = 400;

/** What only cli/ may do. */
const forbiddenBelowCli: readonly (readonly [RegExp, string])[] = [
  [/\bconsole\.\w/, 'prints: only cli/ does'],
  [/\bprocess\.(stdout|stderr|argv|exit\b)/, 'uses the terminal: only cli/ does'],
  [/\bprocess\.env\b/, 'reads the environment: only cli/ does'],
  [/\bDate\.now\b|\bnew Date\(\)/, 'asks for the time: take a Clock'],
  [/\bMath\.random\b/, 'is not deterministic: Math.random'],
];

interface Import {
  readonly file: string;
  readonly target: string;
}

/** Every breach of the architecture's rules in `tree`: `file: what is wrong`, sorted. */
export function violations(tree: SourceTree): readonly string[] {
  const product = [...tree].filter(([file, text]) => partOf(file) !== undefined && !isTest(file, text));
  const imports = product.flatMap(([file, text]) => importsOf(file, text));
  return [
    ...[...tree].flatMap(([file, text]) => lengthViolations(file, text)),
    ...product.flatMap(([file, text]) => sentenceViolations(file, text)),
    ...imports.flatMap((found) => [...importViolations(found), ...testViolations(found, tree)]),
    ...sharedPackages(imports),
  ].sort();
}

/** Tests, and what only tests share, may reach further than the product, which must not import it. */
function isTest(file: string, text: string): boolean {
  const isSupport = () =>
    importsOf(file, text).some(({ target }) => target === 'vitest' || resolved(file, target).startsWith('test/'));
  return file.endsWith('.test.ts') || isSupport();
}

function partOf(file: string): string | undefined {
  const folder = file.split('/')[0] ?? '';
  return Object.hasOwn(parts, folder) ? folder : undefined;
}

/** Path of what `file` imports as `target`, relative to the repository. */
function resolved(file: string, target: string): string {
  return target.startsWith('.') ? path.posix.join(path.posix.dirname(file), target) : target;
}

function lengthViolations(file: string, text: string): readonly string[] {
  const lines = text.replace(/\n$/, '').split('\n').length;
  return lines > maximumLines ? [`${file}: has ${lines} lines, more than ${maximumLines}`] : [];
}

function sentenceViolations(file: string, text: string): readonly string[] {
  if (partOf(file) === 'cli') return [];
  const code = withoutComments(text);
  return forbiddenBelowCli.filter(([pattern]) => pattern.test(code)).map(([, sentence]) => `${file}: ${sentence}`);
}

function importsOf(file: string, text: string): readonly Import[] {
  const statement = /(?:^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*|^\s*import\s*|\bimport\(\s*)(['"])([^'"\s]+)\1/gm;
  const found = withoutComments(text).matchAll(statement);
  return [...found].map(([, , target = '']) => ({ file, target }));
}

function importViolations({ file, target }: Import): readonly string[] {
  if (target.startsWith('node:')) return [];
  if (!target.startsWith('.')) return packageViolations(file, target);
  const imported = resolved(file, target);
  const from = partOf(file) ?? '';
  const to = partOf(imported);
  if (to === from) return [];
  if (to === undefined) {
    return imported === 'package.json' ? [] : [`${file}: imports ${imported}, which is no part of the product`];
  }
  if (!parts[from]?.imports.includes(to)) return [`${file}: ${from} may not import ${to}`];
  return imported === `${to}/index.ts` ? [] : [`${file}: enters ${to} through ${imported}, not its index.ts`];
}

function testViolations({ file, target }: Import, tree: SourceTree): readonly string[] {
  const imported = resolved(file, target);
  const text = tree.get(imported);
  return text !== undefined && isTest(imported, text) ? [`${file}: imports ${imported}, which is for tests`] : [];
}

function packageViolations(file: string, target: string): readonly string[] {
  const name = packageName(target);
  const from = partOf(file) ?? '';
  return parts[from]?.packages.includes(name) ? [] : [`${file}: ${from} may not import the package ${name}`];
}

function sharedPackages(imports: readonly Import[]): readonly string[] {
  const users = new Map<string, Set<string>>();
  for (const { file, target } of imports) {
    if (target.startsWith('.') || target.startsWith('node:')) continue;
    const name = packageName(target);
    users.set(name, (users.get(name) ?? new Set()).add(file));
  }
  return [...users]
    .filter(([, files]) => files.size > 1)
    .map(([name, files]) => `${[...files].sort().join(', ')}: only one file may import the package ${name}`);
}

function packageName(target: string): string {
  return target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
}

/** Good enough for imports and calls: the `//` of an address in a string is told by the colon before it. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}
