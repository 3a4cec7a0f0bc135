import { type Descriptor, type Digest, isDigest, isRepositoryName, isTag, mediaTypes } from '../../core/index.ts';
import { answerJson, type Exchange } from './exchange.ts';
import { nameUnknown, RequestError } from './request-error.ts';

const catalogPage = 1000;
const maxPage = 100_000;
/** Of descriptors in one answer: clients read as much as they read of a manifest. */
const maxReferrersBytes = 3 * 1024 * 1024;

/** distribution-spec, end-8a, end-8b */
export async function sendTags(exchange: Exchange, repository: string): Promise<void> {
  const { view } = exchange.served;
  if (!(await view.hasRepository(repository))) throw nameUnknown(repository);
  const { last, limit } = pageOf(exchange, isTag, maxPage);
  const found = limit === 0 ? [] : await view.tags(repository, { last, limit: limit + 1 });
  const tags = found.slice(0, limit);
  answerJson(exchange, { name: repository, tags }, nextLink(`/v2/${repository}/tags/list`, found, limit));
}

/** Every repository with a manifest. Docker's registry has it so; the specification has no such thing. */
export async function sendCatalog(exchange: Exchange): Promise<void> {
  const { last, limit } = pageOf(exchange, isRepositoryName, catalogPage);
  const found = limit === 0 ? [] : await exchange.served.view.repositories({ last, limit: limit + 1 });
  const repositories = found.slice(0, limit);
  answerJson(exchange, { repositories }, nextLink('/v2/_catalog', found, limit));
}

/** distribution-spec, end-12a, end-12b */
export async function sendReferrers(exchange: Exchange, repository: string, subject: Digest): Promise<void> {
  const { query, served } = exchange;
  const artifactType = query.get('artifactType') ?? '';
  const last = query.get('last') ?? '';
  const all = await served.view.referrers(repository, subject);
  const wanted = all.filter(
    (descriptor) => descriptor.digest > last && (artifactType === '' || descriptor.artifactType === artifactType),
  );
  const manifests = firstOf(wanted, maxReferrersBytes);
  const next = manifests.length < wanted.length ? manifests.at(-1)?.digest : undefined;
  const more = new URLSearchParams({ ...(artifactType === '' ? {} : { artifactType }), last: next ?? '' });
  answerJson(
    exchange,
    { schemaVersion: 2, mediaType: mediaTypes.index, manifests },
    {
      'Content-Type': mediaTypes.index,
      ...(artifactType === '' ? {} : { 'OCI-Filters-Applied': 'artifactType' }),
      ...(next === undefined ? {} : { Link: link(`/v2/${repository}/referrers/${subject}?${more}`) }),
    },
  );
}

/** As many as fit, one at least. */
function firstOf(descriptors: readonly Descriptor[], maxBytes: number): readonly Descriptor[] {
  let bytes = 0;
  const end = descriptors.findIndex((descriptor) => {
    bytes += JSON.stringify(descriptor).length + 1;
    return bytes > maxBytes;
  });
  return end === -1 ? descriptors : descriptors.slice(0, Math.max(end, 1));
}

/** @throws RequestError where `n` or `last` is none */
function pageOf(
  { query }: Exchange,
  isName: (text: string) => boolean,
  most: number,
): { readonly last: string | undefined; readonly limit: number } {
  const [n, last] = [query.get('n'), query.get('last')];
  if (n !== null && !/^\d{1,9}$/.test(n)) throw invalidPage('n is not a number');
  if (last !== null && last !== '' && !isName(last) && !isDigest(last)) throw invalidPage('last is not a name');
  return { last: last ?? undefined, limit: n === null ? most : Math.min(Number(n), most) };
}

function invalidPage(message: string): RequestError {
  return new RequestError(400, { code: 'UNSUPPORTED', message });
}

/** RFC 8288. `found` has one more than the page when there is a next one. */
function nextLink(path: string, found: readonly string[], limit: number): Record<string, string> {
  const last = found[limit - 1];
  if (found.length <= limit || last === undefined) return {};
  return { Link: link(`${path}?${new URLSearchParams({ n: String(limit), last })}`) };
}

function link(address: string): string {
  return `<${address}>; rel="next"`;
}
