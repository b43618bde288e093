import type { z } from 'zod';
import type { Report } from './finding.ts';

/** Checks one value by its schema and reports every broken rule under `column`; undefined when there was one. */
export function check<T>(
  schema: z.ZodType<T>,
  name: string,
  value: unknown,
  column: string,
  report: Report,
): T | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const rule: unknown = issue.code === 'custom' ? issue.params?.['rule'] : undefined;
    const [index] = issue.path;
    report({
      severity: 'error',
      column,
      rule: typeof rule === 'string' ? rule : `${name.replaceAll('_', '-')}-type`,
      message: typeof index === 'number' ? `item ${index + 1}: ${issue.message}` : issue.message,
    });
  }
  return undefined;
}
