import { excerpt } from '../../core/text.ts';
import { isKnownModel, isMix, isOffPeak, knownModels } from '../../core/model.ts';
import { nearest } from '../../core/suggestion.ts';
import type { Field } from './field-names.ts';
import type { GenerationRequest, Report } from './fields.ts';
import { flaw } from './text-flaws.ts';
import { urlWarnings } from './url-flaws.ts';

/** The input of the rules between fields. */
interface Draft {
  /** The valid fields. */
  request: Partial<GenerationRequest>;
  /** All fields of the row, also invalid ones, so that one mistake is not reported twice. */
  given: ReadonlySet<Field>;
  /** Models that the configuration adds to the known ones. Their abilities are not documented. */
  models: readonly string[];
}

interface Rule {
  name: string;
  column: Field | 'extra_body.audio' | 'extra_body.bgm';
  /** `documented`: an error for a known model, and a warning for a configured one, whose name is the only hint. */
  severity: 'error' | 'warning' | 'documented';
  /** The message if the rule is broken; false if it is not. */
  broken: (draft: Draft) => string | false;
}

const LONG_PROMPT = 5000;

/** The model, unless it is unknown: then its rules are unknown, too. */
function usable({ request: { model }, models }: Draft): string | undefined {
  return model !== undefined && (isKnownModel(model) || models.includes(model)) ? model : undefined;
}

/** By api.md, "The request": errors are from the contract page [S], warnings from documents of a vendor or the operator [D]. */
const rules: readonly Rule[] = [
  {
    name: 'model-unknown',
    column: 'model',
    severity: 'error',
    broken: (draft) =>
      draft.request.model !== undefined &&
      usable(draft) === undefined &&
      unknownModel(draft.request.model, draft.models),
  },
  {
    name: 'prompt-length',
    column: 'prompt',
    severity: 'warning',
    broken: ({ request: { prompt = '' } }) => {
      // Code points, as people count; never more than the UTF-16 units, which are cheap to count.
      const length = prompt.length > LONG_PROMPT ? Array.from(prompt).length : 0;
      return (
        length > LONG_PROMPT &&
        `${length} characters (Unicode code points) are more than ${LONG_PROMPT}, and may be refused`
      );
    },
  },
  {
    name: 'last-image-without-image',
    column: 'last_image',
    severity: 'error',
    broken: ({ given }) =>
      given.has('last_image') && !given.has('image') && 'a last frame needs a first one, in image',
  },
  {
    name: 'reference-with-image',
    column: 'reference_image_urls',
    severity: 'error',
    broken: ({ given }) =>
      given.has('reference_image_urls') &&
      (given.has('image') || given.has('last_image')) &&
      'reference images cannot be combined with image or last_image',
  },
  {
    name: 'reference-without-mix',
    column: 'reference_image_urls',
    severity: 'documented',
    broken: (draft) => {
      const model = usable(draft);
      const refused = draft.given.has('reference_image_urls') && model !== undefined && !isMix(model);
      return (
        refused &&
        `only a mix model takes reference images, such as viduq3p-mix-720p; ${excerpt(model)} is not one`
      );
    },
  },
  {
    name: 'mix-without-reference',
    column: 'reference_image_urls',
    severity: 'documented',
    broken: (draft) => {
      const model = usable(draft);
      const missing = !draft.given.has('reference_image_urls') && model !== undefined && isMix(model);
      return missing && `the mix model ${excerpt(model)} needs 1 to 7 reference images`;
    },
  },
  {
    name: 'reference-many',
    column: 'reference_image_urls',
    severity: 'warning',
    broken: ({ request: { reference_image_urls: list = [] } }) =>
      list.length > 4 && `${list.length} reference images are more than 4, and may be refused`,
  },
  {
    name: 'aspect-ratio-with-image',
    column: 'aspect_ratio',
    severity: 'warning',
    broken: ({ given }) =>
      given.has('aspect_ratio') && given.has('image') && 'may be ignored: the image decides',
  },
  {
    name: 'offpeak-audio',
    column: 'extra_body.audio',
    severity: 'warning',
    broken: ({ request: { model = '', extra_body } }) =>
      isOffPeak(model) &&
      extra_body?.['audio'] === false &&
      'off-peak without audio is likely refused; leave audio out or true',
  },
  {
    name: 'bgm-no-effect',
    column: 'extra_body.bgm',
    severity: 'warning',
    broken: ({ request: { model = '', extra_body } }) =>
      isKnownModel(model) && extra_body?.['bgm'] === true && 'true has no effect on this model',
  },
  {
    name: 'mix-540p',
    column: 'model',
    severity: 'warning',
    broken: ({ request: { model = '' } }) =>
      isKnownModel(model) &&
      model.includes('-mix-540p') &&
      `${excerpt(model)} may be refused: mix models are offered in 720p and 1080p`,
  },
];

/** Reports every broken rule between fields, and every doubtful URL. */
export function applyRules(draft: Draft, report: Report): void {
  const documented = isKnownModel(draft.request.model ?? '') ? 'error' : 'warning';
  for (const { name, column, severity, broken } of rules) {
    const message = broken(draft);
    if (message !== false)
      report(severity === 'documented' ? documented : severity, column, flaw(name, message));
  }
  for (const column of ['image', 'last_image', 'reference_image_urls'] as const) {
    for (const url of [draft.request[column] ?? []].flat()) {
      for (const warning of urlWarnings(url)) report('warning', column, warning);
    }
  }
}

function unknownModel(model: string, models: readonly string[]): string {
  if (model === '') return 'is blank; a model is required, such as viduq3p-720p';
  const word = model
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s_]+/g, '-');
  const suggestion = nearest(word, [...knownModels, ...models]);
  const hint = suggestion === undefined ? '' : `; did you mean ${suggestion}?`;
  return `${excerpt(model)} is not a known model${hint} Known: viduq3p- or viduq3t-, optional mix-, 540p, 720p or 1080p, optional -offpeak`;
}
