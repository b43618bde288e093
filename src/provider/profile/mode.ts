/** How a request makes its video: api.md, "mode". It is derived, shown, and never sent. */
const MODES = ['text', 'image', 'start-end', 'reference'] as const;
export type Mode = (typeof MODES)[number];

export function modeOf(request: {
  image?: unknown;
  last_image?: unknown;
  reference_image_urls?: unknown;
}): Mode {
  if (request.image !== undefined) return request.last_image === undefined ? 'image' : 'start-end';
  return request.reference_image_urls === undefined ? 'text' : 'reference';
}
