/**
 * Seeds that have failed once, or that alone show what a breakage does. A seed means a run only together with the code
 * that draws from it: whoever changes that looks for new ones (`run.ts --breakage …`), which `mutation.test.ts` asks for.
 */
export const SEEDS: Record<number, string> = {
  2504: 'an old attempt is answered while a newer one of the same row is under way',
  248: 'a frozen worker wakes up after its row was settled by a person and sent by another worker',
  4540: 'a batch is cancelled after the ledger was restored, before the journals say what was sent',
  474: 'a claim was committed and judged while its worker could not hear of it; the worker claims under the same id',
  2952: 'a restored attempt comes back for a row that is not pending any more',
  3809: 'two workers start on a machine at once after the ledger was restored, and one reads what the other must know',
  15986: 'one worker reads a journal while another starts to send rows that the journal says were sent',
  507994138:
    'two attempts of a row never left, and the earlier one decides only once the later one is settled',
};

/** Run each time, one after another. */
export const FIRST_SEEDS = 1_500;

/** All that every run of the tests tries, the known ones first. */
export function seeds(): number[] {
  return [...Object.keys(SEEDS).map(Number), ...Array.from({ length: FIRST_SEEDS }, (_, n) => n + 1)];
}
