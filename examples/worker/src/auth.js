// Whether a request may pass.

// Digests have one length, whatever the tokens have, so that no answer takes longer for being nearly right.
const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));

/** Whether the request has the token. Without one set, nothing passes. */
export async function isAllowed(request, token) {
  // A header has no blanks at its ends; a secret that came from a file has a line's end.
  const set = String(token ?? "").trim();
  const [, given] = /^Bearer +(.+)$/i.exec(request.headers.get("Authorization") ?? "") ?? [];
  if (!set || !given) return false;
  const [ours, theirs] = await Promise.all([digest(set), digest(given)]);
  return crypto.subtle.timingSafeEqual(ours, theirs);
}
