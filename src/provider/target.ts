import { requireProvider, type Config } from '../core/config.ts';
import { configuredProfile } from './profile/load.ts';

/**
 * What `createProvider` needs of the configuration: the URL, and the key unless the configured profile needs none.
 * @throws VidbatchError exit 2 when one is missing.
 */
export function requireTarget(config: Config): ReturnType<typeof requireProvider> {
  return requireProvider(config, { keyless: needsNoKey(config) });
}

/** Whether the requests of this configuration can be made without a key that it lacks. */
export function needsNoKey(config: Config): boolean {
  return config.apiKey === undefined && configuredProfile(config).auth === undefined;
}
