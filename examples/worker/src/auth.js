// Whether a request may pass.

// Digests have one length, whatever the tokens have, so that no answer takes longer for being nearly right.
const digest = (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));

/** Whether the request has the token. Without one set, nothing passes. */
export async function isAllowed(request, token) {
  const [, given] = /^Bearer +(\S+)$/i.exec(request.headers.get("Authorization") ?? "") ?? [];
  if (!token || !given) return false;
  const [ours, theirs] = await Promise.all([digest(token), digest(given)]);
  return crypto.subtle.timingSafeEqual(ours, theirs);
}
