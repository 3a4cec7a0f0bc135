/** For messages: without user, password and query, any of which may hold a secret. */
export function showUrl(url: URL): string {
  return `${url.origin}${url.pathname.slice(0, 512)}`;
}

/** Text from a stranger, made fit for a terminal: one line, no control or direction-changing characters, not endless. */
export function plainText(text: string, maxLength = 300): string {
  return text
    .slice(0, maxLength * 4)
    .replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g, ' ')
    .trim()
    .slice(0, maxLength);
}
