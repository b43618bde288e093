import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('../../package.json') as {
  version: string;
  engines: { node: string };
};

/** The version of vidbatch. */
export const VERSION = manifest.version;
/** The versions of Node that it runs on, such as `>=22.19.0`. */
export const NODE_VERSIONS = manifest.engines.node;
