import { usageError } from '../../core/errors.ts';
import { nearest } from '../../core/suggestion.ts';
import type { Dialect } from '../dialect.ts';
import { ark } from './ark.ts';
import { minimax } from './minimax.ts';
import { newApi } from './new-api.ts';
import { openaiVideos } from './openai-videos.ts';
import { openrouter } from './openrouter.ts';
import { vidu } from './vidu.ts';
import { viduGateway } from './vidu-gateway.ts';

const DIALECTS: readonly Dialect[] = [viduGateway, newApi, openaiVideos, vidu, ark, minimax, openrouter];

/** The dialects by the names of the built-in profiles. The first is the default. */
export const DIALECT_NAMES = DIALECTS.map(({ name }) => name);

/** @throws VidbatchError exit 2 for a dialect that the simulator does not speak. */
export function dialectOf(name: string = viduGateway.name): Dialect {
  const dialect = DIALECTS.find((one) => one.name === name);
  if (dialect !== undefined) return dialect;
  const meant = nearest(name, DIALECT_NAMES, 2);
  throw usageError(
    'NO_SUCH_PROFILE',
    `the simulator does not speak ${JSON.stringify(name.slice(0, 80))}${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    `It speaks ${DIALECT_NAMES.join(', ')}.`,
  );
}
