/** A key without quotes where it needs none, else in double quotes where these need no escapes. */
export function normalKey(written: string): string {
  const inner = /^["'](.+)["']$/s.exec(written)?.[1];
  return inner !== undefined && /^[A-Za-z0-9_-]+$/.test(inner) ? inner : normalScalar(written);
}

/** A string of one line in double quotes, where these need no escapes; anything else as it was written. */
export function normalScalar(written: string): string {
  if (!written.startsWith("'") || written.startsWith("'''")) return written;
  const inner = written.slice(1, -1);
  return /["\\\u0000-\u001f\u007f]/.test(inner) ? written : `"${inner}"`;
}
