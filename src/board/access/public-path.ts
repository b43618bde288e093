import { usageError } from '../../core/errors.ts';

/**
 * The path under which browsers see the board, without a slash at its end; empty: the board has the whole host name.
 * @throws VidbatchError exit 2 for a text that is not a path.
 */
export function parsePublicPath(text: string | undefined): string {
  const path = (text ?? '').replace(/\/$/, '');
  if (/^(?:\/[\w.~-]+)*$/.test(path) && !/\/\.{1,2}(?:\/|$)/.test(path)) return path;
  throw usageError('BAD_PUBLIC_PATH', `--public-path: "${text}" is not a path such as /vidbatch`);
}

/** The path of a request below the public path. A proxy may have taken the public path away already. */
export function withoutPublicPath(url: string, publicPath: string): string {
  const after = url.slice(publicPath.length);
  if (publicPath === '' || !url.startsWith(publicPath) || !/^(?:[/?]|$)/.test(after)) return url;
  return after.startsWith('/') ? after : `/${after}`;
}
