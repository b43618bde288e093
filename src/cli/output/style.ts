import { styleText } from 'node:util';

/** How a piece of a line looks on a terminal with colours. It adds nothing to the words, because not every reader sees colours. */
export type Look = 'heading' | 'good' | 'warning' | 'bad' | 'soft';

const FORMATS: Readonly<Record<Look, Parameters<typeof styleText>[0]>> = {
  heading: 'bold',
  good: 'green',
  warning: 'yellow',
  bad: ['bold', 'red'],
  soft: 'dim',
};

/** Text with a look. Only `render` writes escape codes; text of files and providers cannot bring any. */
export class Styled {
  readonly text: string;
  readonly look: Look;
  constructor(look: Look, text: string) {
    this.look = look;
    this.text = text;
  }
}

type Piece = string | Styled;
/** What a command prints: a text, or pieces, each with or without a look. */
export type Line = Piece | readonly Piece[];

/** The same without looks. */
export function plain(line: Line): string {
  return piecesOf(line)
    .map((piece) => (typeof piece === 'string' ? piece : piece.text))
    .join('');
}

/** The text for a stream. Node decides about colours by the stream, NO_COLOR, FORCE_COLOR and TERM. */
export function render(line: Line, stream: NodeJS.WriteStream): string {
  const safe = (text: string): string => (stream.isTTY ? terminalText(text) : text);
  return piecesOf(line)
    .map((piece) =>
      typeof piece === 'string'
        ? safe(piece)
        : styleText(FORMATS[piece.look], safe(piece.text), { stream, validateStream: true }),
    )
    .join('');
}

function piecesOf(line: Line): readonly Piece[] {
  return typeof line === 'string' || line instanceof Styled ? [line] : line;
}

/** Escapes control characters, so that text of files and providers cannot steer the terminal. Lines stay lines. */
export function terminalText(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (c) =>
    c === '\n' || c === '\t' ? c : `\\u${(c.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
