/** For `--import`: as if the optional package had not been installed. */
import { registerHooks } from 'node:module';

registerHooks({
  resolve(specifier, context, nextResolve) {
    return nextResolve(specifier === 'bullmq-otel' ? 'not-installed' : specifier, context);
  },
});
