import { insideFolder } from './package-site.ts';

export const indexFolder = `${insideFolder}/apt`;
export const fetchFolder = `${insideFolder}/fetched`;
export const debFolder = `${insideFolder}/debs`;
export const stateFolder = `${insideFolder}/state`;

const common = {
  // Its own user may not enter the folders of a store; the same for all, so that it makes the same files.
  'APT::Sandbox::User': 'root',
  'APT::Install-Suggests': '0',
  'APT::Get::Assume-Yes': '1',
  // A version that the step names may be older than what is there.
  'APT::Get::allow-downgrades': '1',
  'Acquire::Languages': 'none',
  'Acquire::ForceHash': 'SHA256',
  'Dir::Log': '/dev/null',
  'Dir::Log::Terminal': '',
  'Dir::Log::History': '',
  'Dpkg::Use-Pty': '0',
};

export const asking = settings({
  ...common,
  'Dir::State::lists': `${indexFolder}/lists/`,
  'Dir::Cache': `${indexFolder}/cache/`,
  'Dir::Cache::archives': 'archives/',
  'Dir::Cache::pkgcache': 'pkgcache.bin',
  'Dir::Cache::srcpkgcache': '',
  'APT::Update::Error-Mode': 'any',
});

export const installing = settings({
  ...common,
  'APT::Install-Recommends': '0',
  'APT::Default-Release': '',
  'Dir::Etc::SourceList': '/dev/null',
  'Dir::Etc::SourceParts': '/dev/null',
  'Dir::Etc::Preferences': '/dev/null',
  'Dir::Etc::PreferencesParts': '/dev/null',
  'Dir::State::lists': `${stateFolder}/lists/`,
  'Dir::Cache': `${stateFolder}/cache/`,
  'Dir::Cache::archives': 'archives/',
  'Dir::Cache::pkgcache': '',
  'Dir::Cache::srcpkgcache': '',
});

/** A layer is thrown away when the machine crashes. A file of the image that a step put there before stays as it is. */
export const dpkgOptions = ['--force-unsafe-io', '--force-confdef', '--force-confold', '--log=/dev/null'].flatMap(
  (option) => ['-o', `DPkg::Options::=${option}`],
);

/** Settings on the command line come after those of the image's own files. */
function settings(values: Readonly<Record<string, string>>): string[] {
  return ['-q', ...Object.entries(values).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
}
