/**
 * The result of the promise, or after `ms` what `late` returns or throws. The work itself continues; its late error is
 * ignored.
 */
export async function within<T>(ms: number, promise: Promise<T>, late: () => T): Promise<T> {
  const { promise: over, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  try {
    return await Promise.race([promise, over.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}
