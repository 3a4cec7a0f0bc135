/** For messages: without user, password and query, any of which may hold a secret. */
export function showUrl(url: URL): string {
  return `${url.origin}${url.pathname.slice(0, 512)}`;
}

/** Parameters of the distribution API, which hold no secrets; signatures and states of uploads have other names. */
const harmlessParameters = ['n', 'last', 'digest', 'mount', 'from', 'artifactType', 'ns', 'service', 'scope'];

/** For a list of requests: `showUrl` with those parameters that tell one request from another. */
export function showRequestUrl(url: URL): string {
  const shown = [...url.searchParams].flatMap(([name, value]) =>
    harmlessParameters.includes(name) ? [`${name}=${value.slice(0, 200)}`] : [],
  );
  const hidden = url.searchParams.size > shown.length ? ['…'] : [];
  const query = [...shown, ...hidden].join('&');
  return plainText(query === '' ? showUrl(url) : `${showUrl(url)}?${query}`, 1000);
}

/** Text from a stranger, made fit for a terminal: one line, no control or direction-changing characters, not endless. */
export function plainText(text: string, maxLength = 300): string {
  return text
    .slice(0, maxLength * 4)
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
    .slice(0, maxLength);
}
