import { ToolError } from '../../core/index.ts';
import type { BootstrapSource } from '../plan/plan.ts';

/** The two steps in which mmdebstrap installs: dpkg takes the first set, apt adds the second to it. mmdebstrap(1) */
export interface InstallSteps {
  /** What follows `apt-get`. */
  readonly essential: readonly string[];
  /** Packages and apt patterns (apt-patterns(7)); may be empty. */
  readonly further: readonly string[];
}

/** By name: the condition, besides being not essential, of the packages a variant adds, and packages it names. */
const variants = new Map<string, { readonly priority?: string; readonly packages?: readonly string[] }>([
  ['essential', {}],
  ['apt', {}],
  ['required', { priority: '?priority(required)' }],
  ['minbase', { priority: '?priority(required)' }],
  ['buildd', { priority: '?priority(required)', packages: ['build-essential'] }],
  ['important', { priority: '?or(?priority(required),?priority(important))' }],
  ['debootstrap', { priority: '?or(?priority(required),?priority(important))' }],
  ['standard', { priority: '?or(~prequired,~pimportant,~pstandard)' }],
]);

export const variantNames: readonly string[] = [...variants.keys()];

/**
 * What mmdebstrap will ask apt for.
 * @throws ToolError BOOTSTRAP_INVALID for names that apt would read as something else
 */
export function installSteps(source: BootstrapSource, architecture: string): InstallSteps {
  checkNames(source);
  const variant = variants.get(source.variant);
  if (variant === undefined) {
    throw new ToolError('BOOTSTRAP_INVALID', `${JSON.stringify(source.variant)} is not a variant of a bootstrap`, {
      hint: `write one of ${variantNames.join(', ')}`,
    });
  }
  const suite = `?or(?archive(^${source.suite}$),?codename(^${source.suite}$))`;
  const narrow = (condition: string) => `?narrow(${suite},?architecture(${architecture}),${condition})`;
  return {
    essential: source.variant === 'apt' ? ['dist-upgrade'] : ['install', narrow('?essential')],
    further: [
      ...source.include,
      ...(variant.packages ?? []),
      ...(variant.priority === undefined ? [] : [narrow(`?and(${variant.priority},?not(?essential))`)]),
    ],
  };
}

function checkNames(source: BootstrapSource): void {
  const isName = (text: string) => /^[a-z0-9][a-z0-9.-]*$/i.test(text);
  for (const name of [source.distribution, source.suite]) {
    if (!isName(name)) {
      throw new ToolError('BOOTSTRAP_INVALID', `${JSON.stringify(name)} is no name of a distribution or suite`);
    }
  }
  for (const name of source.include) {
    // Debian policy, 5.6.1 and 5.6.12. To apt a leading - is an option, and a trailing one removes.
    if (!/^[a-z0-9][a-z0-9.+-]*[a-z0-9.+](?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]*[A-Za-z0-9.+~])?$/.test(name)) {
      throw new ToolError('BOOTSTRAP_INVALID', `${JSON.stringify(name)} in include is not a package name`, {
        hint: 'write name or name=version',
      });
    }
  }
}
