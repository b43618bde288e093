/**
 * A number in [0, 1) that depends on nothing but its arguments: the same seed, purpose and n give the same
 * number in every run. Purposes are independent of one another, so that adding latency to a run does not
 * change which of its requests fail.
 */
export function draw(seed: number, purpose: string, n: number): number {
  const text = `${seed}:${purpose}:${n}`;
  // FNV-1a over the text; its low bits are weak for short, similar texts, so murmur3's finaliser follows.
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
