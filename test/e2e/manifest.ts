/** A CSV with ids `prefix-00001` …, each with a prompt of its own. */
export function csvOf(rows: number, prefix = 'row'): string {
  return `id,model,prompt\n${Array.from({ length: rows }, (_, i) => csvRow(`${prefix}-${i + 1}`)).join('')}`;
}

export function csvRow(id: string, prompt = `the shot ${id}`): string {
  return `${id},viduq3p-720p,${prompt}\n`;
}

/** How often each prompt was accepted: a row that was paid twice counts two. */
export function countByPrompt(accepted: readonly { body: { prompt: string } }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { body } of accepted) counts.set(body.prompt, (counts.get(body.prompt) ?? 0) + 1);
  return counts;
}

export function paidTwice(accepted: readonly { body: { prompt: string } }[]): string[] {
  return [...countByPrompt(accepted)].filter(([, times]) => times > 1).map(([prompt]) => prompt);
}
