/** What really happened, known to nobody in the simulated world. */
export class Truth {
  /** Attempts of which an intent was begun to be written: from here on they may leave. */
  readonly intended = new Set<string>();
  /** Task ids whose answer a journal has taken. */
  readonly journaled = new Set<string>();
  /** Task ids whose record was committed. */
  readonly recorded = new Set<string>();
  /** Workers whose journals may be torn in the middle: those prove nothing. */
  readonly torn = new Set<string>();
  /** Rows of which a person said, wrongly, that they were not sent. */
  readonly misjudged = new Set<number>();
}
