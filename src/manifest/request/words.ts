import { extraBodyKeys, fields, ownColumns, squash } from './columns.ts';

/** Headers that say what they are, in other spellings and in Chinese. */
const CERTAIN: Readonly<Record<string, string>> = {
  modelname: 'model',
  模型: 'model',
  模型名称: 'model',
  提示词: 'prompt',
  提示詞: 'prompt',
  seconds: 'duration',
  durationsec: 'duration',
  durationseconds: 'duration',
  时长: 'duration',
  時長: 'duration',
  时长秒: 'duration',
  视频时长: 'duration',
  ratio: 'aspect_ratio',
  比例: 'aspect_ratio',
  画幅: 'aspect_ratio',
  宽高比: 'aspect_ratio',
  長寬比: 'aspect_ratio',
  长宽比: 'aspect_ratio',
  画面比例: 'aspect_ratio',
  视频比例: 'aspect_ratio',
  编号: 'id',
  編號: 'id',
  imageurl: 'image',
  firstframe: 'image',
  firstframeurl: 'image',
  首帧: 'image',
  首帧图: 'image',
  首帧图片: 'image',
  lastimageurl: 'last_image',
  lastframe: 'last_image',
  lastframeurl: 'last_image',
  尾帧: 'last_image',
  尾帧图: 'last_image',
  尾帧图片: 'last_image',
  referenceimages: 'reference_image_urls',
  referenceurls: 'reference_image_urls',
  referenceimageurl: 'reference_image_urls',
  参考图: 'reference_image_urls',
  参考图片: 'reference_image_urls',
  种子: 'extra_body.seed',
  随机种子: 'extra_body.seed',
  优先级: 'priority',
};

/** Headers that may mean a field, and may mean something else: a person decides. */
const LIKELY: Readonly<Record<string, string>> = {
  text: 'prompt',
  description: 'prompt',
  caption: 'prompt',
  描述: 'prompt',
  画面描述: 'prompt',
  文案: 'prompt',
  内容: 'prompt',
  提示: 'prompt',
  no: 'id',
  number: 'id',
  序号: 'id',
  名称: 'id',
  name: 'id',
  length: 'duration',
  time: 'duration',
  秒: 'duration',
  长度: 'duration',
  size: 'aspect_ratio',
  尺寸: 'aspect_ratio',
  picture: 'image',
  photo: 'image',
  url: 'image',
  图片: 'image',
  图片链接: 'image',
  images: 'reference_image_urls',
  音频: 'extra_body.audio',
  声音: 'extra_body.audio',
  背景音乐: 'extra_body.bgm',
  配乐: 'extra_body.bgm',
};

const spelt = new Map<string, string>([
  ...Object.entries(CERTAIN),
  ...[...fields, ...ownColumns].map((name) => [squash(name), name] as const),
  ...extraBodyKeys.flatMap((key) =>
    [key, `extra_body.${key}`].map((name) => [squash(name), `extra_body.${key}`] as const),
  ),
]);

/** The field that a header certainly means, whatever its case, spaces and brackets: `Aspect Ratio`, `时长（秒）`. */
export function certainField(header: string): string | undefined {
  return spelt.get(wordOf(header));
}

/** The field that a header may mean. */
export function likelyField(header: string): string | undefined {
  const word = wordOf(header);
  return spelt.get(word) ?? (Object.hasOwn(LIKELY, word) ? LIKELY[word] : undefined);
}

function wordOf(header: string): string {
  return squash(header).replaceAll(/[()[\]:]/g, '');
}
