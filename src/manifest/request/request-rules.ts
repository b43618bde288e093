import { defaultProfile } from '../../provider/profile/load.ts';
import { matcher, modelsOf, type Models } from '../../provider/profile/models.ts';
import { parseSpan, type ModelEntry, type RowRule } from '../../provider/profile/row-schema.ts';
import type { Profile } from '../../provider/profile/schema.ts';
import { ColumnWords, isField, type Field } from './field-names.ts';
import { extraKey, fieldSchemas, type ExtraKey, type GenerationRequest } from './fields.ts';

/** A row, as far as the rules between fields ask. */
export interface Draft {
  /** The valid fields. */
  request: Partial<GenerationRequest>;
  /** All fields of the row, also invalid ones, so that one mistake is not reported twice. */
  given: ReadonlySet<Field>;
}

/** The rules of a profile for its rows, compiled. */
export interface RequestRules {
  models: Models;
  /** What a model is that no entry names. */
  unknownModel: 'error' | 'warning' | 'allowed';
  longestPrompt: number;
  /** More reference images may be refused. */
  doubtfulReferences: number;
  extraKeys: ReadonlyMap<string, ExtraKey>;
  words: ColumnWords;
  /** `model`: undefined if the row has no valid one. */
  of: (model: string | undefined) => ModelRules;
}

/** The rules that depend on the model. */
export interface ModelRules {
  /** The entry that names it. */
  entry: ModelEntry | undefined;
  schemas: ReturnType<typeof fieldSchemas>;
  /** The rules between fields that concern it. */
  between: readonly BetweenFields[];
}

interface BetweenFields extends Pick<RowRule, 'name' | 'column' | 'severity' | 'message'> {
  isBroken: (draft: Draft) => boolean;
}

const compiled = new WeakMap<Profile, RequestRules>();

/** Default: the rules of the default profile. */
export function requestRules(profile: Profile = defaultProfile()): RequestRules {
  const known = compiled.get(profile);
  if (known !== undefined) return known;
  const rules = compile(profile);
  compiled.set(profile, rules);
  return rules;
}

/** A manifest has few models, but each of its cells may hold another mistake. */
const MOST_MODELS = 1000;

function compile(profile: Profile): RequestRules {
  const { fields } = profile;
  const models = modelsOf(profile);
  const between = profile.rules.map(compileRule);
  const byModel = new Map<string, ModelRules>();
  const of = (name = ''): ModelRules => {
    const entry = models.entryOf(name);
    const { references } = entry ?? {};
    const schemas = fieldSchemas({
      ratios: entry?.aspect_ratio ?? fields.aspect_ratio,
      duration: entry?.duration ?? fields.duration,
      // A model that takes no reference image is judged by another rule, which names the model.
      mostReferences:
        references === undefined || references.to === 0 ? fields.reference_image_urls.most : references.to,
    });
    return { entry, schemas, between: between.filter(({ isFor }) => isFor(name)) };
  };
  return {
    models,
    unknownModel: profile.unknownModel ?? (profile.models.length === 0 ? 'allowed' : 'error'),
    longestPrompt: fields.prompt?.longest ?? Infinity,
    doubtfulReferences: fields.reference_image_urls.doubtfulAbove ?? Infinity,
    extraKeys: new Map(
      Object.entries(fields.extra_body).map(([key, type]) => [key, extraKey(key, type)] as const),
    ),
    words: new ColumnWords(Object.keys(fields.extra_body)),
    of: (name = '') => {
      const known = byModel.get(name);
      if (known !== undefined) return known;
      if (byModel.size >= MOST_MODELS) byModel.clear();
      const rules = of(name);
      byModel.set(name, rules);
      return rules;
    },
  };
}

type Condition = (draft: Draft) => boolean;

/** `isFor`: whether the rule's condition on the model holds. */
function compileRule({ when, ...rule }: RowRule): BetweenFields & { isFor: (model: string) => boolean } {
  const { model, ...others } = when;
  const onModel = [model ?? 'given'].flat();
  const isModel = matcher(onModel.map(String));
  const conditions = Object.entries(others).map(([field, wanted]) => conditionOf(field, [wanted].flat()));
  return {
    ...rule,
    isFor: (name) => onModel.includes('given') || isModel(name),
    isBroken: (draft) => conditions.every((holds) => holds(draft)),
  };
}

/** Any of the wanted values holds. */
function conditionOf(column: string, wanted: readonly (string | number | boolean)[]): Condition {
  const [field = '', key] = column.split('.');
  const valueOf = ({ request }: Draft): unknown =>
    isField(field) ? (key === undefined ? request[field] : request.extra_body?.[key]) : undefined;
  const isGiven = (draft: Draft): boolean =>
    key === undefined ? isField(field) && draft.given.has(field) : valueOf(draft) !== undefined;
  const tests = wanted.map((one): Condition => {
    if (one === 'given') return isGiven;
    if (one === 'absent') return (draft) => !isGiven(draft);
    if (typeof one === 'boolean') return (draft) => valueOf(draft) === one;
    const span = parseSpan(one);
    const matches = matcher([String(one)]);
    return (draft) => {
      const value = valueOf(draft);
      if (typeof value === 'number') return span !== undefined && value >= span.from && value <= span.to;
      return typeof value === 'string' && matches(value);
    };
  });
  return (draft) => tests.some((holds) => holds(draft));
}
