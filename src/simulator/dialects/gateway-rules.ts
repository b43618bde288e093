import { isPlainObject, parseJson } from '../../core/json.ts';
import { isText, type Json, type Validation } from '../dialect.ts';

const MODEL = /^viduq3[pt]-(mix-)?(540p|720p|1080p)(-offpeak)?$/;
const RATIOS = new Set(['16:9', '9:16', '1:1', '4:3', '3:4']);
const MAX_SEED = 2_147_483_647;

type Check = (body: Json, extraModels: readonly string[]) => string | undefined;

/**
 * The rules of the contract page, written a second time on purpose: with the rules of the client, the simulator would share
 * the client's mistakes.
 */
const CHECKS: readonly Check[] = [
  ({ model }, extra) =>
    typeof model === 'string' && (MODEL.test(model) || extra.includes(model))
      ? undefined
      : 'model is missing or unknown',
  ({ prompt }) => (isText(prompt) ? undefined : 'prompt is required'),
  ({ image }) => (image === undefined || isText(image) ? undefined : 'image must be a non-empty string'),
  ({ image, last_image: last }) => {
    if (last === undefined) return undefined;
    if (!isText(last)) return 'last_image must be a non-empty string';
    return image === undefined ? 'last_image needs image' : undefined;
  },
  ({ model, image, reference_image_urls: references }) => {
    const mix = String(model).includes('-mix-');
    if (references === undefined) return mix ? 'a mix model needs reference_image_urls' : undefined;
    if (!mix) return 'reference_image_urls needs a mix model';
    if (image !== undefined) return 'reference_image_urls cannot be combined with image';
    if (!Array.isArray(references) || references.length === 0 || !references.every(isText)) {
      return 'reference_image_urls must be a list of URLs, at least one';
    }
    return references.length > 7 ? 'reference_image_urls must not be more than 7' : undefined;
  },
  ({ aspect_ratio: ratio }) =>
    ratio === undefined || (typeof ratio === 'string' && RATIOS.has(ratio))
      ? undefined
      : 'aspect_ratio must be one of 16:9, 9:16, 1:1, 4:3, 3:4',
  ({ duration }) =>
    duration === undefined || isIntegerIn(duration, 1, 16)
      ? undefined
      : 'duration must be an integer between 1 and 16',
  ({ extra_body: extra }) => {
    if (extra === undefined) return undefined;
    if (!isPlainObject(extra)) return 'extra_body must be an object';
    if (!isOptionalBoolean(extra['audio'])) return 'extra_body.audio must be a boolean';
    if (!isOptionalBoolean(extra['bgm'])) return 'extra_body.bgm must be a boolean';
    const { seed } = extra;
    return seed === undefined || isIntegerIn(seed, 0, MAX_SEED)
      ? undefined
      : 'extra_body.seed is out of range';
  },
];

/** Reads the body of a create. `extraModels`: models in addition to the contract page. */
export function validate(bodyText: string, extraModels: readonly string[]): Validation {
  const body = parseJson(bodyText)?.value;
  if (!isPlainObject(body)) return { valid: false, message: 'the body is not a JSON object' };
  for (const check of CHECKS) {
    const message = check(body, extraModels);
    if (message !== undefined) return { valid: false, message };
  }
  return { valid: true, body: body as Json & { prompt: string } };
}

const isOptionalBoolean = (value: unknown): boolean => value === undefined || typeof value === 'boolean';
const isIntegerIn = (value: unknown, min: number, max: number): boolean =>
  typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max;
