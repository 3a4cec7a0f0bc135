import { parseStanzas } from '../bootstrap/apt-sources.ts';
import { splitRequested } from './question.ts';

export interface AptMarks {
  /** /var/lib/apt/extended_states before; empty when there was none. */
  readonly before: string;
  /** /var/lib/dpkg/status before and after. */
  readonly statusBefore: string;
  readonly statusAfter: string;
  /** As the step names them. */
  readonly names: readonly string[];
}

/**
 * apt's note of what came as a dependency, so that `apt-get autoremove` in the image knows. Packages are installed as
 * files here, all of which apt takes to be asked for. Sorted, unlike apt's own, which has the order of its hash table.
 */
export function autoInstalled({ before, statusBefore, statusAfter, names }: AptMarks): string {
  const after = parseStanzas(statusAfter);
  const native = after.find((fields) => fields.get('package') === 'dpkg')?.get('architecture') ?? 'amd64';
  const old = new Set(parseStanzas(statusBefore).filter(isInstalled).map(idOf));
  const asked = askedFor(names, after);
  const marks = new Map(
    parseStanzas(before).map((fields) => [`${fields.get('package')} ${fields.get('architecture')}`, fields]),
  );
  for (const fields of after) {
    const name = fields.get('package') ?? '';
    const architecture = fields.get('architecture') === 'all' ? native : (fields.get('architecture') ?? native);
    const id = `${name} ${architecture}`;
    if (asked.has(name)) marks.delete(id);
    else if (isInstalled(fields) && !old.has(idOf(fields)))
      marks.set(
        id,
        new Map([
          ['package', name],
          ['architecture', architecture],
          ['auto-installed', '1'],
        ]),
      );
  }
  return [...marks]
    .filter(([, fields]) => fields.get('auto-installed') === '1')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, f]) => `Package: ${f.get('package')}\nArchitecture: ${f.get('architecture')}\nAuto-Installed: 1\n\n`)
    .join('');
}

/** The packages that were asked for by name, or by a name that they provide. */
function askedFor(names: readonly string[], installed: readonly ReadonlyMap<string, string>[]): ReadonlySet<string> {
  const real = new Set(installed.map((fields) => fields.get('package')));
  const asked = new Set<string>();
  for (const text of names) {
    const name = splitRequested(text).name.replace(/:[a-z0-9-]+$/, '');
    if (real.has(name)) asked.add(name);
    else {
      for (const fields of installed) {
        const provided = (fields.get('provides') ?? '').split(',').map((part) => part.trim().split(/[\s(:]/)[0]);
        if (provided.includes(name)) asked.add(fields.get('package') ?? '');
      }
    }
  }
  return asked;
}

function isInstalled(fields: ReadonlyMap<string, string>): boolean {
  return fields.get('status')?.endsWith(' ok installed') === true;
}

function idOf(fields: ReadonlyMap<string, string>): string {
  return `${fields.get('package')} ${fields.get('architecture')}`;
}
