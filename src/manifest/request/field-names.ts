import { nearest } from '../../core/suggestion.ts';

/** The fields that are sent, in the order of the contract page's examples. */
export const fields = [
  'model',
  'prompt',
  'image',
  'last_image',
  'reference_image_urls',
  'aspect_ratio',
  'duration',
  'extra_body',
] as const;
export type Field = (typeof fields)[number];

/** Columns for vidbatch itself, which are never sent. */
export const ownColumns = ['id', 'not_before', 'priority'] as const;
export type OwnColumn = (typeof ownColumns)[number];

/** The columns that `export` appends. They are no part of the request when an export is read again. */
export const exportColumns = [
  'batch',
  'row_key',
  'line',
  'state',
  'task_id',
  'provider_status',
  'result_url',
  'http_status',
  'error_code',
  'error',
  'attempts',
  'submitted_at',
] as const;

/** Appended if a row has one: failed tasks that were made again. */
export const EARLIER_TASK_IDS = 'earlier_task_ids';

/** Deeper dotted columns are kept, and not sent. */
const DEEPEST_PATH = 32;

export function isField(column: string): column is Field {
  return (fields as readonly string[]).includes(column);
}

export function isOwn(column: string): column is OwnColumn {
  return (ownColumns as readonly string[]).includes(column);
}

export function isExportColumn(name: string): boolean {
  return name === EARLIER_TASK_IDS || (exportColumns as readonly string[]).includes(name);
}

/** Whether this column decides what is sent, or when. */
export function speaks(column: string): boolean {
  return isField(column) || isOwn(column) || pathInExtraBody(column) !== undefined;
}

/** Whether vidbatch reads this column. */
export function isOurs(column: string): boolean {
  return speaks(column) || isExportColumn(column);
}

/** `['a', 'b']` for `extra_body.a.b`. */
export function pathInExtraBody(column: string): string[] | undefined {
  if (!column.startsWith('extra_body.')) return undefined;
  const [, ...path] = column.split('.');
  return path.length > DEEPEST_PATH || path.some((key) => key.trim() === '') ? undefined : path;
}

/** Equal for names that differ only in case, spaces, width, or snake, kebab and camel. */
function squash(name: string): string {
  return name
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[\s_.\-\u200b\ufeff]/g, '');
}

const byWord = (names: Readonly<Record<string, readonly string[]>>): [word: string, name: string][] =>
  Object.entries(names).flatMap(([name, all]) => all.map((word): [string, string] => [word, name]));

/** The names of vidbatch. */
const SPELLINGS = [...fields, ...ownColumns].map((name): [string, string] => [squash(name), name]);

/**
 * The names of fields at other gateways. Without such a column, the row would pay for another video than was meant.
 */
const ALIASES = new Map(
  byWord({
    image: ['imageurl', 'firstframe'],
    last_image: ['lastimageurl', 'lastframe'],
    reference_image_urls: ['referenceimages', 'referenceurls'],
    aspect_ratio: ['ratio'],
  }),
);

/** Headers that certainly mean a field. */
const CERTAIN = [
  ...byWord({
    model: ['modelname', '模型', '模型名称'],
    prompt: ['提示词', '提示詞'],
    duration: [
      'seconds',
      'durations',
      'durationsec',
      'durationsecs',
      'durationseconds',
      'durationinseconds',
      'clipduration',
      'videoduration',
      '时长',
      '時長',
      '时长秒',
      '视频时长',
    ],
    aspect_ratio: ['比例', '画幅', '宽高比', '長寬比', '长宽比', '画面比例', '视频比例'],
    id: ['编号', '編號'],
    image: ['firstframeurl', '首帧', '首帧图', '首帧图片'],
    last_image: ['lastframeurl', '尾帧', '尾帧图', '尾帧图片'],
    reference_image_urls: ['referenceimageurl', '参考图', '参考图片'],
    'extra_body.seed': ['种子', '随机种子'],
    priority: ['优先级'],
  }),
  ...ALIASES,
];

/** Headers that may mean a field; a person decides. */
const LIKELY = byWord({
  prompt: ['text', 'description', 'caption', '描述', '画面描述', '文案', '内容', '提示'],
  id: ['no', 'number', 'shot', 'shotid', 'shotno', '序号', '镜号', '镜头号', '名称', 'name'],
  duration: ['length', 'time', '秒', '长度'],
  aspect_ratio: ['size', '尺寸'],
  image: ['picture', 'photo', 'url', '图片', '图片链接'],
  reference_image_urls: ['images'],
  'extra_body.audio': ['音频', '声音'],
  'extra_body.bgm': ['背景音乐', '配乐'],
});

/** What headers mean: depends on the keys that the provider's `extra_body` has. */
export class ColumnWords {
  readonly #spellings: ReadonlyMap<string, string>;
  readonly #certain: ReadonlyMap<string, string>;
  readonly #likely: ReadonlyMap<string, string>;

  /** `keys`: those of `extra_body`. A bare `seed` belongs into it. */
  constructor(keys: Iterable<string>) {
    const extra = new Set<string>();
    const spellings = new Map<string, string>();
    for (const key of keys) {
      const name = `extra_body.${key}`;
      extra.add(name);
      for (const one of [key, name]) spellings.set(squash(one), name);
    }
    for (const [word, name] of SPELLINGS) spellings.set(word, name);
    const known = ([, name]: [string, string]): boolean => !name.startsWith('extra_body.') || extra.has(name);
    this.#spellings = spellings;
    this.#certain = new Map([...CERTAIN.filter(known), ...spellings]);
    this.#likely = new Map(LIKELY.filter(known));
  }

  /** The field that a header certainly means: `Aspect Ratio`, `Duration (s)`, `时长（秒）`. */
  certain(header: string): string | undefined {
    return this.#certain.get(wordOf(header));
  }

  /** The field that a header may mean. */
  likely(header: string): string | undefined {
    return this.certain(header) ?? this.#likely.get(wordOf(header));
  }

  /** The column of vidbatch that this column looks like. */
  alike(column: string, raw: Readonly<Record<string, unknown>>): string | undefined {
    // An export names an input column called `state` `input.state`.
    if (column.startsWith('input.')) return undefined;
    const word = squash(column);
    const spelling = this.#spellings.get(word);
    if (spelling !== undefined) return spelling;
    const alias = ALIASES.get(word);
    if (alias !== undefined) return Object.hasOwn(raw, alias) ? undefined : alias;
    // Beside a model, `mode` is not a typo of it: vidbatch prints a mode itself.
    if (word === 'mode' && Object.hasOwn(raw, 'model')) return undefined;
    return SPELLINGS.find(([name]) => {
      const { length } = name;
      // Short names are similar to too many other words.
      const farthest = length < 4 ? 0 : length < 8 ? 1 : 2;
      const isNear = Math.abs(word.length - length) <= farthest;
      return isNear && nearest(word, [name], farthest) !== undefined;
    })?.[1];
  }
}

function wordOf(header: string): string {
  return squash(header).replaceAll(/[()[\]:]/g, '');
}
